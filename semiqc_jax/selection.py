"""Scores -> weights: which subjects, frames and slices of the pool the next round trains on."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Float


class Selection(NamedTuple):
    """What enters the pseudo-labelled stream, and how much it counts."""

    weight: Float[Array, "N T Z"]  # 0 = left out; a choice of subjects is broadcast over its frames and slices
