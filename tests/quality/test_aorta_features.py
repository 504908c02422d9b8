"""Features of two discs, by hand; what they must not depend on."""

import numpy as np
import pytest
from aortas import CHECKS, PIXEL_MM, T, aorta, evidence_of, measure
from hypothesis import given, settings
from hypothesis import strategies as st

from semiqc_jax.quality.features import features
from semiqc_jax.segmentation.assemble import MEASURED

INTACT = aorta()
AREA = np.stack([(c == INTACT).sum((1, 2, 3)) * PIXEL_MM**2 for c in (1, 2)])


def edge_length(mask):
    """Pixel edges along a mask's border."""
    return sum(np.abs(np.diff(mask.astype(int), axis=axis)).sum() for axis in (0, 1))


def test_two_discs_by_hand():
    found = measure(INTACT)
    for c, vessel in enumerate(("aao", "dao")):
        area, after, before = AREA[c], np.roll(AREA[c], -1), np.roll(AREA[c], 1)
        span, mean = np.ptp(area), area.mean()
        bend = np.abs(after - 2 * area + before).mean()
        outline = [edge_length(frame[0] == c + 1) for frame in INTACT]
        expected = {
            "area": mean,
            "area_ratio": area.max() / area.min(),
            "step_ratio": np.maximum(area / after, after / area).max(),
            "strain": 100 * span / area.min(),
            "excess": np.abs(after - area).sum() / 2 / span - 1,
            "roughness": 100 * (bend - span * (1 - np.cos(2 * np.pi / T)) * 2 / np.pi) / mean,
            "irregularity": max((n * PIXEL_MM / 4) ** 2 / a for n, a in zip(outline, area, strict=True)),
            "brightness": 1,
        }
        for name, value in expected.items():
            assert found[f"{vessel}_{name}"][0] == pytest.approx(max(value, 0), rel=1e-4, abs=1e-4), name
        assert found[f"{vessel}_drift"][0] < 0.5
    assert found["vessel_ratio"][0] == pytest.approx(AREA[0].mean() / AREA[1].mean(), rel=1e-4)
    assert found["agreement"][0] == pytest.approx(np.corrcoef(AREA)[0, 1], abs=1e-3)
    assert found["distance"][0] == pytest.approx(np.hypot(60, 40), abs=0.5)
    assert found["distance_change"][0] < 0.5
    assert found["axis_turn"][0] < 1
    for name in ("missing", "stray_area", "touching"):
        assert found[name][0] == 0, name


def test_damage_by_hand():
    gone, stray, moved, exchanged, bright = (INTACT.copy() for _ in range(5))
    gone[3][gone[3] == 1] = 0
    stray[5, 0, 2:5, 50:54] = 2  # 12 pixels
    moved[7] = np.roll(moved[7], 3, -1)
    exchanged[9:] = np.array([0, 2, 1])[exchanged[9:]]
    late = aorta(lag=4)
    found = measure(gone, stray, moved, exchanged, bright, late)
    assert found["missing"][0] == pytest.approx(1 / 40)
    assert found["aao_area_ratio"][0] < 1.3  # frames that miss a vessel count as missing alone
    assert found["stray_area"][1] == pytest.approx(12 * 4, rel=1e-4)
    assert found["aao_drift"][2] == pytest.approx(3 * PIXEL_MM, abs=0.5)
    assert found["axis_turn"][2] < 1
    assert found["distance"][3] == pytest.approx(found["distance"][4], rel=1e-3)
    assert found["axis_turn"][3] == pytest.approx(180, abs=1)
    assert found["aao_drift"][3] == pytest.approx(np.hypot(60, 40), abs=1)
    assert found["phase_lag"][4] < 1
    assert found["phase_lag"][5] == pytest.approx(20, abs=1)


def test_brightness_by_hand():
    image = np.full(INTACT.shape[2:], 0.2)
    smallest = INTACT[0, 0] == 1
    image[tuple(np.argwhere(smallest)[0])] = 1
    found = measure(INTACT, image=image)
    assert found["aao_brightness"][0] == pytest.approx(1 / image[smallest].mean(), rel=1e-4)
    assert found["dao_brightness"][0] == pytest.approx(1)


def test_touching_vessels_by_hand():
    label = np.zeros_like(INTACT)
    label[..., 20:30, 20:30], label[..., 20:30, 30:40] = 1, 2
    found = measure(label)
    assert found["touching"][0] == pytest.approx(10 / 40)
    assert found["aao_irregularity"][0] == pytest.approx(1)


@pytest.mark.parametrize("n_frames", [1, 2, 3, T])
def test_nothing_found_is_finite_and_the_worst(n_frames):
    found = measure(np.zeros((n_frames, 1, 64, 64), np.int32))
    assert np.isfinite(list(found.values())).all()
    assert (found["missing"][0], found["aao_area"][0], found["confidence"][0]) == (1, 0, 0)
    for name in ("aao_area_ratio", "dao_step_ratio", "vessel_ratio", "aao_irregularity", "dao_brightness"):
        assert found[name][0] == 10, name
    assert found["distance_change"][0] == 100
    assert found["axis_turn"][0] == 180


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_few_frames_have_no_neighbours_in_time(n_frames):
    found = measure(aorta(n_frames))
    assert np.isfinite(list(found.values())).all()
    for name in ("aao_excess", "dao_roughness", "phase_lag", "agreement"):
        assert found[name][0] == 0, name
    assert found["aao_step_ratio"][0] == 1
    if n_frames == 1:
        assert (found["aao_area_ratio"][0], found["aao_strain"][0], found["aao_drift"][0]) == (1, 0, 0)


@settings(max_examples=6)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 7, 12]))
def test_neither_padding_nor_the_first_frame_matters(seed, n_frames):
    rng = np.random.default_rng(seed)
    label = aorta(n_frames).copy()
    spots = rng.random(label.shape) < 0.02
    label[spots] = rng.integers(0, 3, spots.sum())
    alone, padded = measure(label), measure(label, np.roll(label, rng.integers(1, 8), 0), INTACT)
    for name, value in padded.items():
        np.testing.assert_allclose(value[:2], alone[name][0], rtol=1e-3, atol=2e-3, err_msg=name)


def test_padding_may_hold_anything():
    evidence = evidence_of(aorta(7), INTACT)

    def spoil(x):
        x = x.copy()
        x[0, 7:] = 7
        return x

    spoilt = evidence._replace(**{name: spoil(getattr(evidence, name)) for name in MEASURED})
    np.testing.assert_allclose(features(spoilt, CHECKS), features(evidence, CHECKS), rtol=1e-5, atol=1e-5)
