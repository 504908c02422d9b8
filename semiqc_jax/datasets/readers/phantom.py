"""Reader of the synthetic cohorts: the source is a specification such as `subjects=60,seed=1`."""

from __future__ import annotations

from functools import partial

from semiqc_jax.datasets import phantom
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.study import Study


def find(source: str, options: ReaderOptions = DEFAULT) -> list[Found]:
    """The subjects of the cohort of `options.task` that `source` specifies.

    Raises:
        ConfigError: no such specification.
    """
    spec = phantom.parse_spec(source, options.task)
    return [Found(phantom.subject_id(i), source, partial(read, spec, i)) for i in range(spec.n_subjects)]


def read(spec: phantom.CohortSpec, index: int) -> Study:
    """Make one subject."""
    return phantom.phantom_subject(spec, index)[0]
