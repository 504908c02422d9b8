"""Reader of the synthetic cohort: its source is a specification such as `subjects=60,seed=1`."""

from __future__ import annotations

from functools import partial

from semiqc_jax.datasets import phantom
from semiqc_jax.datasets.phantom.spec import PhantomSpec
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.study import Study


def find(source: str, options: ReaderOptions = DEFAULT) -> list[Found]:
    """The subjects of the cohort that `source` specifies.

    Raises:
        ConfigError: no such specification.
    """
    spec = phantom.parse_spec(source)
    return [Found(f"phantom{i:04d}", source, partial(read, spec, i)) for i in range(spec.n_subjects)]


def read(spec: PhantomSpec, index: int) -> Study:
    """Make one subject."""
    return phantom.phantom_subject(spec, index)[0]
