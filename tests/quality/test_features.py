"""Features of an ideal heart and of broken ones; what they must not depend on."""

from functools import partial

import jax
import numpy as np
import pytest
from hearts import DZ_MM, PIXEL_MM, evidence_of, heart
from hypothesis import given, settings
from hypothesis import strategies as st

from semiqc_jax.quality.features import features as features_by
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.segmentation.assemble import MEASURED

INTACT, LARGEST = heart(), heart(10, 9)
FEATURES = SHORT_AXIS_CHECKS.features
features = partial(features_by, checks=SHORT_AXIS_CHECKS)


def measure(label):
    """Features of one label volume by name (beside one that pads it: one compiled function serves all)."""
    values = np.asarray(features(evidence_of(label, LARGEST)))[0]
    return {feature.name: float(values[i]) for i, feature in enumerate(FEATURES)}


def broken(edit, label=INTACT):
    label = label.copy()
    edit(label)
    return measure(label)


def test_every_feature_is_documented_once():
    assert len(SHORT_AXIS_CHECKS.index) == len(FEATURES)
    assert all(feature.description and feature.source for feature in FEATURES)
    of_the_network = [f.name for i, f in enumerate(FEATURES) if i not in SHORT_AXIS_CHECKS.learnable]
    assert of_the_network == ["confidence", "entropy", "flip_agreement", "flip_agreement_worst"]


def test_an_ideal_heart():
    found = measure(INTACT)
    voxel_ml = PIXEL_MM**2 * DZ_MM / 1000
    volume = [(code == INTACT).sum((1, 2, 3)) * voxel_ml for code in (1, 2, 3)]
    lv_stroke, rv_stroke = (v[0] - v[1] for v in (volume[0], volume[2]))
    expected = {
        "lv_edv": volume[0][0],
        "rv_edv": volume[2][0],
        "lv_mass": volume[1][0] * 1.05,
        "lv_ef": 100 * lv_stroke / volume[0][0],
        "rv_ef": 100 * rv_stroke / volume[2][0],
        "stroke_volume_mismatch": 100 * (rv_stroke - lv_stroke) / lv_stroke,
        "rv_lv_ratio": volume[2][0] / volume[0][0],
        "mass_change": 100 * np.ptp(volume[1]) / volume[1].mean(),
        "lv_length": 80.0,
        "confidence": 1.0,
        "flip_agreement": 1.0,  # there is one prediction: neutral
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name
    for name in ("profile_gaps", "missing", "fragments", "holes", "open_cavity", "paradoxical_motion"):
        assert found[name] == 0, name
    assert found["profile_roughness"] < 0.3
    assert found["lv_irregularity"] < 1.45
    assert found["rv_attached"] > 0.2


def empty_slice(label):
    label[:, 3] = 0


def shifted_slice(label):
    label[:, 3] = np.roll(label[:, 3], 6, 1)


def leak(label):
    label[0, 2, 2:12, 2:12] = 1


def open_wall(label):
    label[:, :, :, 24:][label[:, :, :, 24:] == 2] = 0


@pytest.mark.parametrize(
    ("edit", "names"),
    [
        (empty_slice, ["profile_roughness", "lv_roughness", "rv_roughness", "profile_gaps"]),
        (shifted_slice, ["centroid_kink"]),
        (leak, ["fragments", "extra_pieces", "lv_irregularity", "lv_roughness", "centroid_motion"]),
        (open_wall, ["open_cavity"]),
        (lambda label: label.__setitem__((1, 3, slice(24, 27), slice(26, 29)), 0), ["holes"]),
        (lambda label: label.__setitem__((0, label[0] == 3), 0), ["missing", "rv_roughness"]),
        (lambda label: label.__setitem__((slice(None), 0, label[0, 0] > 0), 3), ["rv_alone"]),
        (lambda label: label.__setitem__((1, 2), INTACT[0, 0]), ["paradoxical_motion", "lv_roughness"]),
    ],
)
def test_damage_makes_its_features_worse(edit, names):
    whole, damaged = measure(INTACT), broken(edit)
    for name in names:
        assert damaged[name] > whole[name] + 1e-3, name


def test_a_frame_out_of_order_shows_in_the_curves():
    cine = heart(n_frames=10)
    whole = measure(cine)
    damaged = broken(lambda label: label.__setitem__(2, label[5].copy()), cine)
    assert whole["curve_excess"] < 0.05
    assert damaged["curve_excess"] > 0.2
    assert damaged["volume_jump"] > 1.5 * whole["volume_jump"]
    assert damaged["slice_excess"] > whole["slice_excess"] + 0.2


def test_how_much_of_the_rv_meets_myocardium():
    label = np.where(INTACT == 2, 2, 0)
    assert measure(label)["rv_attached"] == 0  # an RV that is nowhere is attached to nothing
    label[:, :, 2:8, 2:8] = 3
    assert measure(label)["rv_attached"] == 0
    label[:, :, 2:8, 8:10] = 2  # along one of the square's four sides
    assert measure(label)["rv_attached"] == pytest.approx(1 / 4)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7])
def test_nothing_found_is_finite_and_the_worst(n_frames):
    nothing = measure(np.zeros((n_frames, 4, 48, 48), np.int32))
    assert np.isfinite(list(nothing.values())).all()
    assert nothing["profile_roughness"] == 4
    for name in ("missing", "open_cavity", "fragments", "profile_gaps", "rv_alone"):
        assert nothing[name] == 1, name
    assert nothing["confidence"] == 0
    assert nothing["lv_edv"] == nothing["lv_ef"] == 0


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_neither_direction_nor_first_frame_nor_padding_matters(seed, cine):
    rng = np.random.default_rng(seed)
    label = heart(8 if cine else 2, n_slices=5).copy()
    spots = rng.random(label.shape) < 0.02
    label[spots] = rng.integers(0, 4, spots.sum())
    label[:, rng.integers(5)] = 0
    turned = np.roll(label[:, ::-1], rng.integers(1, 8), 0)
    first, second = (np.asarray(features(evidence_of(x, LARGEST)))[0] for x in (label, turned))
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.asarray(features(evidence_of(label)))[0], first, rtol=1e-3, atol=1e-4)


def test_padding_may_hold_anything():
    evidence = evidence_of(INTACT, LARGEST)

    def spoil(x):
        x = x.copy()
        x[0, 2:], x[0, :, 8:] = 7, 7
        return x

    spoilt = evidence._replace(**{name: spoil(getattr(evidence, name)) for name in MEASURED})
    assert not np.array_equal(spoilt.area_mm2, evidence.area_mm2)
    np.testing.assert_allclose(features(spoilt), features(evidence), rtol=1e-5, atol=1e-5)


def test_a_subject_does_not_see_its_neighbours():
    both = evidence_of(INTACT, LARGEST)
    swapped = jax.tree.map(lambda x: x[::-1], both)
    np.testing.assert_allclose(features(both)[::-1], features(swapped), rtol=1e-5)
