"""The halves of a pool: by patient, as equal as that allows, and the same for the same seed."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import POOL, tiny_cohort

from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.errors import ConfigError
from semiqc_jax.rounds.halves import pool_halves


class Patients(Cohort):
    """Subjects that are known by their patient alone: `visits[p]` of patient p."""

    def __init__(self, visits):
        one = tiny_cohort().subjects[0]
        patients = [f"p{p}" for p, n in enumerate(visits) for _ in range(n)]
        self.subjects = tuple(
            dataclasses.replace(one, subject_id=f"s{i}", patient_id=patient) for i, patient in enumerate(patients)
        )

    image = slice_image = _label = None


@given(visits=st.lists(st.integers(1, 3), min_size=2, max_size=12), seed=st.integers(0, 99))
def test_no_patient_is_in_both_halves(visits, seed):
    cohort = Patients(visits)
    pool = tuple(range(len(cohort.subjects)))
    halves = pool_halves(cohort, pool, seed)
    assert sorted(halves[0] + halves[1]) == list(pool)
    patients = [{cohort.subjects[i].patient for i in half} for half in halves]
    assert not patients[0] & patients[1]
    assert all(patients)
    assert abs(len(halves[0]) - len(halves[1])) <= max(visits)
    assert all(list(half) == sorted(half) for half in halves)
    assert pool_halves(cohort, pool[::-1], seed) == tuple(half[::-1] for half in halves)


@given(n=st.integers(2, 20), seed=st.integers(0, 99))
def test_halves_of_single_visits_are_equal(n, seed):
    first, second = pool_halves(Patients([1] * n), range(n), seed)
    assert 0 <= len(first) - len(second) <= 1


def test_the_seed_draws_them():
    cohort = Patients([1] * 12)
    assert len({pool_halves(cohort, range(12), seed) for seed in range(8)}) > 1


def test_a_subject_without_a_patient_is_one():
    cohort = tiny_cohort()
    halves = pool_halves(cohort, [cohort.index(i) for i in POOL], 1)
    assert [len(half) for half in halves] == [2, 2]


@pytest.mark.parametrize(("visits", "said"), [([], "0 patients"), ([3], "1 patient ")])
def test_one_patient_cannot_be_halved(visits, said):
    with pytest.raises(ConfigError, match=f"{said}.*cannot be halved.*config.cross_fit"):
        pool_halves(Patients(visits), range(sum(visits)), 1)
