"""Agreement and summaries by hand."""

from __future__ import annotations

import numpy as np
import pytest

from semiqc_jax.evaluation.agreement import agreement, bootstrap_interval, defined_mean, summary

NAN = float("nan")


def test_bland_altman_by_hand() -> None:
    found = agreement([12.0, 18.0, 33.0, NAN], [10.0, 20.0, 30.0, 40.0])  # differences 2, -2, 3
    assert found["n"] == 3
    assert found["bias"] == pytest.approx(1)
    sd = np.sqrt((1 + 9 + 4) / 2)
    assert found["loa_low"] == pytest.approx(1 - 1.96 * sd)
    assert found["loa_high"] == pytest.approx(1 + 1.96 * sd)
    assert found["mae"] == pytest.approx(7 / 3)
    # deviations of p: -9, -3, 12 and of r: -10, 0, 10
    assert found["pearson_r"] == pytest.approx(210 / np.sqrt(234 * 200))


def test_too_few_pairs() -> None:
    assert agreement([], [])["n"] == 0
    assert np.isnan(agreement([], [])["bias"])
    one = agreement([3.0], [1.0])
    assert one["bias"] == one["mae"] == 2
    assert np.isnan(one["loa_low"])
    assert np.isnan(agreement([1.0, 2.0], [1.0, 2.0])["pearson_r"])
    assert np.isnan(agreement([1.0, 2.0, 3.0], [5.0, 5.0, 5.0])["pearson_r"])


def test_summary_counts_the_undefined() -> None:
    found = summary([1.0, NAN, 3.0])
    assert (found["mean"], found["n"], found["n_undefined"]) == (2, 2, 1)
    assert found["sd"] == pytest.approx(np.sqrt(2))
    assert np.isnan(defined_mean([NAN]))
    assert np.isnan(summary([2.0])["sd"])


def test_bootstrap_holds_the_mean_and_repeats() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 400)
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)
    assert np.isnan(bootstrap_interval([0.5, NAN])).all()
    assert np.isnan(bootstrap_interval(np.zeros(0))).all()


def test_bootstrap_over_draws_and_patients() -> None:
    rng = np.random.default_rng(2)
    draw, patient = rng.normal(0, 1, (8, 1)), rng.normal(0, 1, (1, 200))
    low, high = bootstrap_interval(draw + patient)
    # of independent effects the variances of the two means add (population variances: it is a bootstrap)
    half = 1.96 * np.sqrt(draw.var() / 8 + patient.var() / 200)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    same = np.repeat(patient, 8, 0)  # draws that agree add nothing
    assert np.ptp(bootstrap_interval(same)) == pytest.approx(np.ptp(bootstrap_interval(patient)), rel=0.1)
    holed = np.vstack([patient, patient])
    holed[0, 0] = NAN  # a patient that one draw does not know is left out of both
    assert np.isfinite(bootstrap_interval(holed)).all()
