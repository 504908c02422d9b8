"""Agreement of mirrored predictions: exact on numbers by hand, neutral where there is one prediction."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slices_by_hand import beside_longest, evidence_of, one, tapering

from semiqc_jax.quality.aorta import AORTA_CHECKS
from semiqc_jax.quality.features import features
from semiqc_jax.quality.rules import assess_rules, configure_rules, reasons
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS
from semiqc_jax.quality.slice_features import slice_agreement, slice_features
from semiqc_jax.quality.slice_score import slice_rule_scores

NAMES = ("flip_agreement", "flip_agreement_worst")


def flipped(overlap, area, **fields):
    """A subject of four predictions of each slice, [T, Z, C] each."""
    area = np.asarray(area, float)
    return one(area, flips=4 + 0 * area[..., 0], flip_overlap_mm2=overlap, flip_area_mm2=area, **fields)


def agreement(*subjects):
    values = np.asarray(features(beside_longest(*subjects), CHECKS))
    return values[: len(subjects), [CHECKS.index[name] for name in NAMES]]


def test_agreement_by_hand():
    """Two frames of two slices: Dice is taken over a frame's slices, the mean over frames and structures."""
    area = np.zeros((2, 2, 3))
    area[0], area[1] = [[100, 200, 50], [100, 0, 50]], [[40, 80, 0], [0, 0, 0]]
    overlap = np.zeros((2, 2, 3))
    overlap[0], overlap[1] = [[90, 100, 50], [70, 0, 0]], [[40, 60, 0], [0, 0, 0]]
    lv, myo, rv = (0.8 + 1) / 2, (0.5 + 0.75) / 2, (0.5 + 0) / 2  # no prediction finds the RV in the second frame
    np.testing.assert_allclose(agreement(flipped(overlap, area))[0], [(lv + myo + rv) / 3, rv], rtol=1e-6)


def test_one_prediction_is_neutral_and_its_rule_silent():
    area = tapering()
    single, split = one(area), flipped(0.4 * area, area)
    both = beside_longest(single, split)
    np.testing.assert_allclose(agreement(single, split), [[1, 1], [0.4, 0.4]], rtol=1e-6)
    quality = jax.device_get(assess_rules(both, CHECKS))
    at = CHECKS.rule_names.index("flip_agreement")
    assert quality.flags[:, at].tolist() == [False, True, False]
    assert "Predictions for mirrored slices disagree (mean Dice 0.40)" in reasons(
        jax.tree.map(lambda x: x[1], quality), CHECKS
    )
    off = configure_rules(CHECKS, ["flip_agreement"])
    without = jax.device_get(assess_rules(both, off))
    assert quality.score[0] == pytest.approx(without.score[0], abs=1e-6)  # it does not count, for or against
    assert quality.score[1] < without.score[1] - 0.05
    downstream = np.asarray(assess_rules(both, CHECKS, use_confidence=False).score)
    assert downstream[0] == pytest.approx(downstream[1], abs=1e-6)  # it is of the network, like confidence


def test_predictions_that_find_nothing_do_not_agree():
    nothing = np.zeros((2, 3, 3))
    np.testing.assert_array_equal(agreement(flipped(nothing, nothing)), [[0, 0]])


@given(st.integers(0, 2**32 - 1))
def test_neither_the_order_of_slices_nor_of_frames_matters(seed):
    rng = np.random.default_rng(seed)
    area = rng.uniform(0, 500, (3, 5, 3)) * (rng.random((3, 5, 3)) < 0.8)
    overlap = area * rng.random(area.shape)
    frames, slices = rng.permutation(3), rng.permutation(5)
    mixed = (x[frames][:, slices] for x in (overlap, area))
    found = agreement(flipped(overlap, area), flipped(*mixed))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    assert (found[:, 0] >= found[:, 1]).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_slices_by_hand():
    area = tapering()
    overlap = 0.9 * area
    overlap[0, 2], overlap[1, 3, 1] = 0.5 * area[0, 2], 0
    evidence = beside_longest(flipped(overlap, area), one(area))
    found, measured = (np.asarray(x)[:2, :2, :6] for x in slice_agreement(evidence))
    assert found[0, 0, 2] == pytest.approx(0.5)
    assert found[0, 1, 3] == pytest.approx(0.9 * (1 - area[1, 3, 1] / area[1, 3].sum()), rel=1e-5)
    assert (found[1] == 1).all()
    assert measured.all((1, 2)).tolist() == [True, False]
    score = np.asarray(slice_rule_scores(evidence, CHECKS))[:2, :2, :6]
    assert np.argmin(score[0, 0] - score[1, 0]) == 2
    downstream = np.asarray(slice_rule_scores(evidence, CHECKS, use_confidence=False))[:2, :2, :6]
    np.testing.assert_allclose(*downstream, rtol=1e-6)
    values = np.asarray(slice_features(evidence, CHECKS))
    np.testing.assert_array_equal(values[0], values[1])  # what a regressor sees does not depend on it


def test_the_aorta_has_the_same_rule():
    area = np.full((6, 1, 2), 500.0)
    quality = jax.device_get(assess_rules(evidence_of(flipped(0.3 * area, area)), AORTA_CHECKS))
    at = AORTA_CHECKS.rule_names.index("flip_agreement")
    assert quality.values[0, at] == pytest.approx(0.3)
    assert quality.flags[0, at]
