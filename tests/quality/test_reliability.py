"""Probabilities against outcomes, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from semiqc_jax.quality.reliability import (
    fit_platt,
    platt_probability,
    reliability,
    reliability_table,
    wilson_interval,
)


def test_wilson_by_hand():
    # 8 of 10: centre (8 + 1.9207) / 13.8415, half 1.96 sqrt(1.6 + 0.9604) / 13.8415
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(0, 10)[0] == 0.0


def test_table_by_hand():
    probability, good = np.array([0.1, 0.1, 0.5, 1.0]), np.array([False, True, True, True])
    found = reliability_table(probability, good)
    bins = [(b.low, b.n, b.predicted, b.observed) for b in found.bins]
    assert np.array(bins) == pytest.approx(np.array([(0, 2, 0.1, 0.5), (0.4, 1, 0.5, 1), (0.8, 1, 1, 1)]))
    assert found.ece == pytest.approx((2 * 0.4 + 0.5 + 0) / 4)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.25 + 0) / 4)


def test_scale_is_logistic_regression_on_drawn_in_outcomes():
    rng = np.random.default_rng(1)
    score = rng.uniform(0.05, 0.95, 300)
    good = rng.random(300) < expit(2 * logit(score) - 0.5)
    found = fit_platt(score, good)
    n = good.sum()
    high, low = (n + 1) / (n + 2), 1 / (300 - n + 2)
    x = np.repeat(logit(score), 2)[:, None]
    y = np.tile([1, 0], 300)
    weight = np.stack([np.where(good, high, low), 1 - np.where(good, high, low)], 1).ravel()
    theirs = LogisticRegression(C=1e6, tol=1e-8).fit(x, y, weight)
    assert found.slope == pytest.approx(theirs.coef_[0, 0], rel=1e-3)
    assert found.offset == pytest.approx(theirs.intercept_[0], abs=1e-3)


@pytest.mark.parametrize("good", [[True] * 12, [False] * 12, [True] * 6 + [False] * 6, []])
def test_separated_and_one_sided_outcomes_stay_finite_and_monotonic(good):
    score = np.linspace(1, 0, len(good))
    scale = fit_platt(score, np.array(good, bool))
    p = platt_probability(np.array([0.0, 0.3, 1.0, np.nan]), scale)
    assert np.isfinite(p).all()
    assert p[0] <= p[1] <= p[2]
    assert p[3] == p[0]  # an unknown score is the worst


def test_a_score_that_is_worse_than_none_says_the_same_of_all():
    scale = fit_platt(np.linspace(0, 1, 40), np.arange(40) < 20)
    assert platt_probability(np.array([0.1, 0.9]), scale) == pytest.approx([0.5, 0.5])


def test_no_case_is_predicted_from_itself():
    score, good = np.full(9, 0.5), np.arange(9) == 0
    found = reliability(score, good)
    # the good one by eight bad ones, 1/10; each bad one by a good (2/3) and seven bad ones (1/9), 13/72
    assert found.brier == pytest.approx((0.9**2 + 8 * (13 / 72) ** 2) / 9, rel=1e-3)
    assert reliability(score[:0], good[:0]).bins == ()
