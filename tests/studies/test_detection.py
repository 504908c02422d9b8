"""Detection figures, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from semiqc_jax.studies.detection import (
    Estimate,
    patient_weights,
    risk_coverage,
    weighted_auc,
    weighted_sensitivity,
    within_networks,
)


def test_auc_with_ties_and_weights_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    score, bad = rng.integers(0, 9, 80).astype(float), rng.random(80) < 0.3
    weights = rng.integers(0, 4, (3, 80)).astype(float)
    found = weighted_auc(score, bad, ~bad, weights)
    np.testing.assert_allclose(found, [roc_auc_score(bad, score, sample_weight=w) for w in weights])


def test_rows_that_are_neither_bad_nor_good_do_not_count() -> None:
    score, ones = np.array([3.0, 1.0, 9.0, 2.0]), np.ones((1, 4))
    bad, good = np.array([True, False, False, False]), np.array([False, True, False, True])
    assert weighted_auc(score, bad, good, ones) == [1.0]


def test_sensitivity_leaves_a_tenth_of_the_good_above_the_threshold() -> None:
    score = np.r_[np.arange(10.0), 8.5, 9.5, 20.0, 3.0]  # ten good, four bad: the threshold is 8
    bad = np.arange(14) >= 10
    assert weighted_sensitivity(score, bad, ~bad, np.ones((1, 14))) == pytest.approx([0.75])
    heavy = np.where(np.arange(14) == 9, 5.0, 1.0)[None]  # more than a tenth of the weight sits on 9
    assert weighted_sensitivity(score, bad, ~bad, heavy) == pytest.approx([0.5])


def test_figures_are_taken_within_a_network() -> None:
    network, bad = np.repeat([0, 1], 4), np.array([0, 0, 1, 1] * 2, bool)
    score = np.array([1.0, 2, 3, 4, 101, 102, 103, 104])  # scales that differ do no harm
    auc, sensitivity = within_networks(score, bad, ~bad, network, np.ones((1, 8)))
    assert (auc.value, sensitivity.value) == (1.0, 1.0)
    np.testing.assert_allclose(risk_coverage(score, bad, network, np.array([0.5, 1.0])), [0.0, 0.5])


def test_patients_are_drawn_whole() -> None:
    weights = patient_weights(np.array([7, 7, 3, 9, 3]), resamples=50)
    assert weights.shape == (51, 5)
    np.testing.assert_array_equal(weights[0], 1)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 1])
    np.testing.assert_array_equal(weights[:, [0, 2, 3]].sum(1), 3)


def test_a_paired_difference_has_a_narrower_interval() -> None:
    noise = np.random.default_rng(0).normal(size=200)
    a, b = Estimate(np.r_[0.9, 0.9 + noise]), Estimate(np.r_[0.8, 0.8 + noise])
    assert a.minus(b).as_json() == pytest.approx([0.1, 0.1, 0.1])
