"""Features of closed curves: exact on sinusoids, blind to padding, and to where the cycle starts."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from curves_by_hand import random_curves
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jax.sharding import PartitionSpec

from semiqc_jax.benchmarks.curve_loop import features_of_one
from semiqc_jax.parallel import Devices
from semiqc_jax.quality.blocks import BLOCK, by_blocks
from semiqc_jax.quality.closed_waves import HARMONICS, fourier, series, waves
from semiqc_jax.quality.cycle_curves import BOUND, SAMPLES, cycle_curve_features, resampled_curves

T = 24
PHASE = np.arange(T) / T


def features(lv, myo, n_frames: int | None = None) -> dict[str, float]:
    """Features of one pair of curves of which the first `n_frames` exist, as floats."""
    lv, myo = np.asarray(lv, np.float32), np.asarray(myo, np.float32)
    there = np.arange(len(lv)) < (len(lv) if n_frames is None else n_frames)
    found = cycle_curve_features(*(jnp.asarray(x)[None] for x in (lv, myo, there)))
    return {name: float(value[0]) for name, value in found.items()}


def test_a_sinusoid_has_the_features_that_one_reckons_by_hand() -> None:
    found = features(100 + 50 * np.cos(2 * np.pi * PHASE), np.full(T, 80.0))
    expected = {
        "log_edv": np.log(150), "log_esv": np.log(50), "log_sv": np.log(100), "log_myo": np.log(80),
        "ef": 2 / 3, "myo_to_edv": np.log(80 / 150), "es_myo_to_lv": np.log(80 / 50), "mean_lv": 0.5,
        "systole": 0.5, "phase_es": 0.5, "phase_ed_cos": 1.0, "phase_ed_sin": 0.0,
        "lv_sv_excess": 0.0, "lv_sv_rest": 0.0, "lv_sv_harmonics_3_4": 0.0, "ef_over_smooth": 0.0,
        "lv_sv_jump": np.sin(2 * np.pi / T) / 2,  # from the mean to the next frame, over a stroke volume of 100
        "lv_cos_1": -0.5, "lv_sin_1": 0.0, "lv_cos_2": 0.0,
        "rise_in_ejection": 0.0, "fall_in_filling": 0.0, "empty": 0.0,
        "myo_change": 0.0, "myo_on_lv": 0.0, "correlation_rest": 0.0, "together_jump": 0.0,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=2e-4)


def test_a_harmonic_shows_in_its_band_with_its_root_mean_square() -> None:
    found = features(100 + 50 * np.cos(2 * np.pi * PHASE), 80 + 8 * np.cos(2 * np.pi * 6 * PHASE))
    assert found["myo_harmonics_5_7"] == pytest.approx(0.1 / np.sqrt(2), rel=1e-4)
    assert found["myo_harmonics_3_4"] == pytest.approx(0, abs=1e-4)
    assert found["myo_rest"] == pytest.approx(0.1 / np.sqrt(2), rel=1e-4)


def test_a_slice_lost_in_one_frame_moves_cavity_and_muscle_together() -> None:
    lv, myo = 100 + 50 * np.cos(2 * np.pi * PHASE), np.full(T, 80.0)
    lost = np.where(np.arange(T) == 6, 0.8, 1.0)
    whole, broken = features(lv, myo), features(lv * lost, myo * lost)
    assert broken["together_jump"] == pytest.approx(16 / 150, rel=1e-3)  # the muscle's step, over the EDV
    assert broken["myo_spike"] == pytest.approx(16 / (80 - 16 / T), rel=1e-3)
    assert broken["correlation_rest"] > 0.75
    assert broken["lv_sv_excess"] > whole["lv_sv_excess"] + 0.1


@given(st.integers(9, T - 1), st.integers(0, 2**31 - 1))
def test_what_padded_frames_hold_does_not_matter(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    curves = rng.uniform(1, 200, (2, T)).astype(np.float32)
    other = np.where(np.arange(T) < n, curves, rng.choice([np.nan, np.inf, -1e9, 0], (2, T)))
    assert features(*curves, n) == pytest.approx(features(*other, n), rel=1e-4, abs=1e-4)


@given(st.integers(1, T - 1), arrays(np.float32, (2, T), elements=st.integers(10, 200), unique=True))
def test_a_rotation_of_the_cycle_changes_phases_alone(shift: int, curves: np.ndarray) -> None:
    here, turned = features(*curves), features(*np.roll(curves, shift, 1))
    steady = [name for name in here if not name.startswith("phase_") and "next_jump" not in name]
    assert {k: here[k] for k in steady} == pytest.approx({k: turned[k] for k in steady}, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("n_frames", [0, 1, 2, 3])
def test_very_short_curves_have_finite_features(n_frames: int) -> None:
    found = features(np.resize([120.0, 60.0, 90.0], T), np.resize([80.0, 82.0, 81.0], T), n_frames)
    assert all(np.isfinite(x) and abs(x) <= BOUND for x in found.values())
    assert found["ef"] == pytest.approx(0.5 if n_frames > 1 else 0.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_count_as_zero(wrong: float) -> None:
    lv, myo = 100 + 50 * np.cos(2 * np.pi * PHASE), np.full(T, 80.0)
    assert features(np.where(PHASE == 0.25, wrong, lv), myo) == features(np.where(PHASE == 0.25, 0, lv), myo)


@pytest.mark.parametrize("n", [5, 24, 25, 30])
def test_the_series_goes_through_a_curve_of_few_harmonics(n: int) -> None:
    t = np.arange(n)
    curve = 3 + 2 * np.cos(2 * np.pi * t / n - 0.4) - np.sin(4 * np.pi * t / n)
    padded = jnp.asarray(np.pad(curve, (0, 40 - n), constant_values=9.0))
    coefficients = fourier(padded, jnp.asarray(n), waves(n, 40))
    assert coefficients.shape == (HARMONICS + 1,)
    np.testing.assert_allclose(coefficients[1], 2 * np.exp(-0.4j), atol=1e-4)
    np.testing.assert_allclose(series(coefficients, jnp.asarray(t / n)), curve, atol=1e-4)


def test_resampling_does_not_depend_on_the_number_of_frames() -> None:
    def resampled(n: int) -> np.ndarray:
        phase = np.arange(n) / n
        lv = np.pad(100 + 50 * np.cos(2 * np.pi * phase), (0, 40 - n))
        myo = np.pad(80 + 4 * np.sin(2 * np.pi * phase), (0, 40 - n))
        return np.asarray(resampled_curves(*(jnp.asarray(x)[None] for x in (lv, myo, np.arange(40) < n))))[0]

    even, denser = resampled(20), resampled(32)
    np.testing.assert_allclose(even, denser, atol=1e-4)
    np.testing.assert_allclose(even[:, 0], 0.5 + 0.5 * np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES), atol=1e-4)


def test_features_are_those_of_a_plain_loop_in_one_block_or_two() -> None:
    lv, myo, there = random_curves(BLOCK + 30)
    found = cycle_curve_features(*(jnp.asarray(x) for x in (lv, myo, there)))
    rows = [*range(20), *range(BLOCK - 20, BLOCK + 30)]
    plain = [features_of_one(lv[i, there[i]], myo[i, there[i]]) for i in rows]
    assert list(found) == list(plain[0])
    for name, values in found.items():
        expected = [one[name] for one in plain]
        np.testing.assert_allclose(np.asarray(values)[rows], expected, rtol=1e-4, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("n", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_every_subject_comes_back_in_its_place(n: int) -> None:
    numbers = jnp.arange(n)
    doubled, pair = by_blocks(lambda x, y: (2 * x, y.sum(-1)), numbers, jnp.stack([numbers, numbers], -1))
    np.testing.assert_array_equal(doubled, 2 * np.arange(n))
    np.testing.assert_array_equal(pair, doubled)


def test_blocks_of_a_sharded_cohort_stay_on_their_devices() -> None:
    numbers = Devices.of().shard(np.arange(3.0 * BLOCK, dtype=np.float32))
    compiled = jax.jit(lambda x: by_blocks(jnp.sin, x)).lower(numbers).compile()
    assert not {"all-gather", "all-to-all", "collective-permute"} & {*re.findall(r"[a-z]+-[a-z]+", compiled.as_text())}
    assert compiled(numbers).sharding.spec == PartitionSpec("data")
    np.testing.assert_allclose(compiled(numbers), np.sin(np.arange(3 * BLOCK)), atol=1e-6)
