"""`Quality`: what quality control says of a cohort's segmentations."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Bool, Float


class Quality(NamedTuple):
    """The verdict on N subjects. Names and sentences of the R checks are kept by the module that made it."""

    score: Float[Array, " N"]  # in [0, 1], larger is better
    flags: Bool[Array, "N R"]  # check r failed
    values: Float[Array, "N R"]  # what check r measured, in the check's own unit
