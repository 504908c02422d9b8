"""What evaluation says about the choices of a finished run."""

import math

import numpy as np
import pytest

from semiqc_jax.rounds.evaluate import accepted_by_group, rank_correlation


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0.1, 0.2, 0.3], [1.0, 5.0, 6.0], 1.0),
        ([0.1, 0.2, 0.3, 0.4], [4.0, 3.0, 2.0, 1.0], -1.0),
        ([0.1, 0.2, 0.3], [1.0, 3.0, 2.0], 0.5),  # 1 - 6 * (0 + 1 + 1) / (3 * 8)
        ([0.5, 0.5], [1.0, 2.0], math.nan),
        ([0.5], [1.0], math.nan),
        ([0.1, 0.2, 0.3], [1.0, math.nan, 2.0], math.nan),
    ],
)
def test_rank_correlation(a, b, expected):
    assert rank_correlation(a, b) == pytest.approx(expected, nan_ok=True)


def test_accepted_by_group():
    groups = ["NOR", "DCM", None, "DCM", "NOR", "DCM"]
    accepted = np.array([1, 0, 1, 1, 1, 0], bool)
    good = np.array([1, 1, 1, 0, 0, 1], bool)
    assert accepted_by_group(groups, accepted, good) == {
        "DCM": {"n": 3, "accepted": 1, "good": 2},
        "NOR": {"n": 2, "accepted": 2, "good": 1},
    }
    assert accepted_by_group([None, None], accepted[:2], good[:2]) == {}
