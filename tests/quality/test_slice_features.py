"""Features of slices: exact on profiles by hand, the same upside down and beside longer stacks."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slices_by_hand import beside_longest, evidence_of, one, tapering

from semiqc_jax.quality import slice_features as module
from semiqc_jax.quality.aorta import AORTA_CHECKS
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS

NAMES = module.slice_feature_names(SHORT_AXIS_CHECKS)
features = partial(module.slice_features, checks=SHORT_AXIS_CHECKS)


def measure(*args, **fields):
    """Features of one subject by name, each [T, Z] with padding."""
    values = np.asarray(features(beside_longest(one(*args, **fields))))[0]
    return {name: values[..., i] for i, name in enumerate(NAMES)}


def lv_alone(profile):
    area = np.zeros((*np.shape(profile), 3))
    area[..., 0] = profile
    return area


def test_places_in_a_profile_by_hand():
    found = measure(lv_alone([[0, 100, 400, 200, 0], [0, 100, 200, 200, 0]]))
    np.testing.assert_allclose(found["lv_share"][0, :5], [0, 0.25, 1, 0.5, 0])
    np.testing.assert_allclose(found["lv_bend"][0, :5], [-50 / 400, -100 / 400, 250 / 400, 0, -100 / 400])
    np.testing.assert_allclose(found["lv_smaller_neighbour"][0, :5], [0, 0, 0.25, 0, 0])
    np.testing.assert_allclose(found["lv_larger_neighbour"][0, :5], [0.25, 1, 0.5, 1, 0.5])
    np.testing.assert_allclose(found["lv_change"][:2, 2], [0.5, -0.5])
    assert found["end_of_stack"][0, :5].tolist() == [0, 1, 2, 1, 0]
    assert found["end_of_heart"][0, :5].tolist() == [0, 1, 2, 1, 0]
    assert found["lv_present"][0, :5].tolist() == [0, 1, 1, 1, 0]
    assert not found["myo_present"].any()


def test_softmax_against_neighbours_and_the_subject():
    confidence = [[0.5, 0.7, 0.9], [0.8, 0.8, 0.8]]
    found = measure(tapering(2, 3), confidence=confidence, uncertain_pixels=[[10, 20, 10], [20, 20, 20]])
    np.testing.assert_allclose(found["neighbour_confidence"][0, :3], [0.6, 0.7, 0.8], rtol=1e-6)
    np.testing.assert_allclose(found["other_confidence"][0, :3], 0.8, rtol=1e-6)
    np.testing.assert_allclose(found["frame_confidence"][:2, 0], [0.7, 0.8], rtol=1e-6)
    np.testing.assert_allclose(found["subject_confidence"][:2, :3], 0.76, rtol=1e-6)
    np.testing.assert_allclose(found["confidence_above_subject"][0, :3], [-0.26, -0.06, 0.14], atol=1e-6)
    np.testing.assert_allclose(found["uncertain_share"][0, :3], [0.5, 1, 0.5])


def test_shape_by_hand():
    area = tapering(2, 3)
    centroid = np.zeros((2, 3, 3, 2))
    centroid[0, 1, 2] = (3, 4)  # the RV of the middle slice, 5 mm off
    pieces = np.ones((2, 3, 3))
    pieces[0, 0, 1] = 4
    found = measure(area, centroid_mm=centroid, components=pieces, largest_fraction=np.where(pieces > 1, 0.75, 1))
    np.testing.assert_allclose(found["rv_kink"][0, :3], [2.5, 5, 2.5])  # at an end one neighbour is the slice itself
    np.testing.assert_allclose(found["rv_drift"][:2, 1], [5, 5])
    assert (found["myo_pieces"][0, 0], found["myo_fragments"][0, 0]) == (3, 0.25)
    assert found["myo_pieces"].sum() == 3
    np.testing.assert_allclose(found["lv_irregularity"][:2, :3], np.log(1.27), rtol=1e-5)
    np.testing.assert_allclose(found["first_to_second"][:2, :3], np.log(1 / 1.2), rtol=1e-5)


def random_subject(seed, n_frames, n_slices):
    rng = np.random.default_rng(seed)
    area = rng.uniform(0, 900, (n_frames, n_slices, 3)) * (rng.random((n_frames, n_slices, 3)) < 0.7)
    each = {name: rng.uniform(0.3, 1, area.shape[:2]) for name in ("confidence", "entropy", "enclosure", "contact")}
    return one(
        area,
        **each,
        centroid_mm=rng.normal(0, 20, (*area.shape, 2)) * (area > 0)[..., None],
        components=rng.integers(1, 5, area.shape) * (area > 0),
        largest_fraction=rng.uniform(0.5, 1, area.shape),
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.integers(1, 8))
def test_upside_down_and_padding_change_nothing(seed, n_frames, n_slices):
    subject = random_subject(seed, n_frames, n_slices)
    reversed_ = {name: x[:, ::-1] for name, x in subject.items()}
    upright, turned, _ = np.asarray(features(beside_longest(subject, reversed_)))
    assert np.isfinite(upright).all()
    assert not upright[n_frames:].any()
    assert not upright[:, n_slices:].any()
    np.testing.assert_allclose(turned[:n_frames, :n_slices], upright[:n_frames, n_slices - 1 :: -1], atol=2e-4)


def test_padding_is_exact_and_one_subject_is_enough():
    subject = random_subject(3, 2, 5)
    alone = np.asarray(features(evidence_of(subject)))[0]
    beside = np.asarray(features(beside_longest(subject)))[0]
    np.testing.assert_allclose(beside[:2, :5], alone, rtol=1e-5, atol=1e-5)


def test_frames_are_a_cycle():
    cine = tapering(5, 4)
    there = np.asarray(features(beside_longest(one(cine), one(np.roll(cine, 2, 0)))))
    at = NAMES.index("lv_change")
    np.testing.assert_allclose(there[1, ..., at], np.roll(there[0, ..., at], 2, 0), atol=1e-6)
    assert np.ptp(there[0, :, 0, at]) > 0.1


def test_nothing_predicted_is_finite_and_nowhere():
    empty = beside_longest(one(np.zeros((2, 4, 3))))
    assert np.isfinite(np.asarray(features(empty))).all()
    assert np.asarray(module.predicted_slices(empty)).sum((1, 2)).tolist() == [0, 40, 40]


def test_the_aorta_has_features_too():
    values = np.asarray(module.slice_features(evidence_of(one(tapering(3, 1, 2))), AORTA_CHECKS))
    assert values.shape == (1, 3, 1, len(module.slice_feature_names(AORTA_CHECKS)))
    assert np.isfinite(values).all()


@pytest.mark.parametrize("checks", [SHORT_AXIS_CHECKS, AORTA_CHECKS])
def test_names_are_unique(checks):
    names = module.slice_feature_names(checks)
    assert len({*names}) == len(names)
