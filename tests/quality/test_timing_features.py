"""Timing of the ventricles: exact on sines, the same wherever the cycle starts, silent without a whole cycle."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slices_by_hand import evidence_of, one

from semiqc_jax.quality.features import features
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS

NAMES = ("phase_lag", "curve_agreement", "peak_ejection", "peak_filling")
T = 24


def sine(n=T, lag=0.0, ef=0.6):
    """A volume of mean 1 - ef / 2 that is largest, 1, at the start of the cycle."""
    return 1 - ef / 2 * (1 - np.cos(2 * np.pi * (np.arange(n) / n - lag)))


def subject(lv, rv):
    """One slice of 100 cm2, so that a volume of 1 is 100 ml."""
    return one(np.stack([lv, np.ones_like(lv), rv], -1)[:, None] * 1e4)


def measure(*curves):
    values = np.asarray(features(evidence_of(*(subject(*each) for each in curves)), CHECKS))
    return [dict(zip(NAMES, row[[CHECKS.index[name] for name in NAMES]].tolist(), strict=True)) for row in values]


def flagged(*curves):
    flags = np.asarray(assess_rules(evidence_of(*(subject(*each) for each in curves)), CHECKS).flags)
    return [{name for name, flag in zip(CHECKS.rule_names, row, strict=True) if flag} & {*NAMES} for row in flags]


def test_sines_by_hand():
    together, late = measure((sine(), sine(ef=0.5)), (sine(), sine(lag=0.1)))
    assert together["phase_lag"] == pytest.approx(0, abs=1e-3)
    assert together["curve_agreement"] == pytest.approx(1, abs=1e-5)
    assert late["phase_lag"] == pytest.approx(10, abs=1e-3)
    assert late["curve_agreement"] == pytest.approx(np.cos(2 * np.pi * 0.1), abs=1e-5)
    slope = 0.3 * T * np.sin(2 * np.pi / T)  # over two frames, at the steepest
    assert together["peak_ejection"] == together["peak_filling"] == pytest.approx(slope, rel=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, T - 1))
def test_the_first_frame_does_not_matter(seed, turn):
    rng = np.random.default_rng(seed)
    lv, rv = (sine() + rng.normal(0, 0.05, T) for _ in range(2))
    here, there = measure((lv, rv), (np.roll(lv, turn), np.roll(rv, turn)))
    for name in NAMES:
        assert there[name] == pytest.approx(here[name], rel=1e-3, abs=1e-2), name


def test_padding_does_not_matter():
    short = (sine(10), sine(10, lag=0.05))
    assert measure(short, (sine(), sine()))[0] == pytest.approx(measure(short)[0], abs=1e-4)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_less_than_a_cycle_says_nothing(n):
    lv, rv = sine(n), sine(n, lag=0.5)
    assert measure((lv, rv))[0] == {"phase_lag": 0, "curve_agreement": 1, "peak_ejection": 3, "peak_filling": 3}
    assert flagged((lv, rv)) == [set()]


def test_what_fires():
    rounds = sine(30)
    torn = rounds.copy()
    torn[4:6] = 0.05  # two frames without a ventricle
    opposed = (rounds, sine(30, lag=0.5))
    still = (sine(30, ef=0.05), sine(30, ef=0.05))
    found = flagged((rounds, rounds), (torn, rounds), opposed, still)
    assert found[0] == set()
    assert found[1] >= {"peak_ejection", "peak_filling"}
    assert found[2] == {"phase_lag", "curve_agreement"}
    assert found[3] == {"peak_ejection", "peak_filling"}


def test_a_ventricle_that_is_nowhere_has_the_worst():
    no_rv, no_lv = measure((sine(), 0 * sine()), (0 * sine(), sine()))
    assert (no_rv["phase_lag"], no_rv["curve_agreement"]) == (50, -1)
    assert (no_lv["peak_ejection"], no_lv["peak_filling"]) == (20, 20)
    assert np.isfinite([*no_rv.values(), *no_lv.values()]).all()


def test_nan_volumes_fail():
    evidence = evidence_of(subject(sine(), sine()))
    area = evidence.area_mm2.copy()
    area[0, 3] = np.nan
    flags = jax.device_get(assess_rules(evidence._replace(area_mm2=area), CHECKS).flags)[0]
    assert {"phase_lag", "peak_ejection"} <= {name for name, f in zip(CHECKS.rule_names, flags, strict=True) if f}
