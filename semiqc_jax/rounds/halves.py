"""The two halves of the pool of a cross-fitted run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.errors import ConfigError


def pool_halves(cohort: Cohort, pool: Sequence[int], seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split a pool at random into two halves, as equal as whole patients allow, each in the order of the pool.

    Reproducible from the set of subjects and the seed. All studies of a patient share a half where the cohort knows
    patients (`Subject.patient`).

    Raises:
        ConfigError: the pool is of fewer than two patients.
    """
    studies: dict[str, list[int]] = {}
    for i in pool:
        studies.setdefault(cohort.subjects[i].patient, []).append(i)
    if len(studies) < 2:
        what = f"the pool is of {len(studies)} patient{'s' * (len(studies) != 1)} and cannot be halved"
        raise ConfigError(what, "config.cross_fit", "label fewer subjects, or train without cross_fit")
    patients = [str(patient) for patient in np.random.default_rng(seed).permutation(sorted(studies))]
    halves: tuple[set[int], set[int]] = (set(), set())
    for patient in sorted(patients, key=lambda patient: -len(studies[patient])):  # those of many studies first
        min(halves, key=len).update(studies[patient])
    first, second = (tuple(i for i in pool if i in half) for half in halves)
    return first, second
