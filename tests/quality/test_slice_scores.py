"""Scores of slices: rules by hand, and a regressor that never judges whom it saw."""

import numpy as np
import pytest
from slices_by_hand import beside_longest, one, tapering

from semiqc_jax.errors import DataError
from semiqc_jax.quality.aorta import AORTA_CHECKS
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS
from semiqc_jax.quality.slice_features import slice_feature_names, slice_features
from semiqc_jax.quality.slice_ridge import (
    expected_slice_dice,
    fit_slices,
    predicted_dice,
    slice_regressor_arrays,
    slice_regressor_from,
)
from semiqc_jax.quality.slice_score import frame_scores, slice_rule_scores, slice_rules

NAMES = slice_feature_names(CHECKS)


def scores(area, use_confidence=True, **fields):
    evidence = beside_longest(one(area, **fields))
    return np.asarray(slice_rule_scores(evidence, CHECKS, use_confidence))[0, : len(area), : len(area[0])]


@pytest.mark.parametrize("checks", [CHECKS, AORTA_CHECKS])
def test_every_rule_names_a_feature(checks):
    assert {rule.name for rule in slice_rules(checks)} <= {*slice_feature_names(checks), "flip_agreement"}


def test_a_damaged_slice_scores_below_itself_and_its_neighbours():
    area, at = tapering(), (0, 3)
    sound = scores(area)
    assert ((sound > 0) & (sound < 1)).all()
    for name, value in (("confidence", 0.7), ("enclosure", 0.4), ("largest_fraction", 0.6)):
        damage = one(area)[name].copy()
        damage[at] = value
        damaged = scores(area, **{name: damage})
        assert damaged[at] < sound[at]
        assert np.argmin(damaged[0] - sound[0]) == at[1], name
    without_rv = area.copy()
    without_rv[0, 3, 2] = 0
    assert scores(without_rv)[at] < sound[at]


def test_without_confidence_the_softmax_says_nothing():
    unsure = scores(tapering(), use_confidence=False, confidence=0.4)
    np.testing.assert_allclose(unsure, scores(tapering(), use_confidence=False))
    assert (scores(tapering(), confidence=0.4) < scores(tapering())).all()


def test_empty_slices_have_no_score_and_frames_the_mean_of_theirs():
    area = tapering()
    area[0, 2] = area[1] = 0
    found = scores(area)
    assert np.isnan(found).tolist() == [[False, False, True, False, False, False], [True] * 6]
    frames = np.asarray(frame_scores(found[None]))[0]
    assert frames[0] == pytest.approx(np.nanmean(found[0]))
    assert np.isnan(frames[1])


@pytest.fixture(scope="module")
def regressor():
    """Fitted to 240 slices of eight subjects whose Dice is a line in one feature."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(240, len(NAMES)))
    subject = np.repeat([f"h{i}" for i in range(8)], 30)
    dice = 0.5 + 0.1 * np.clip(values[:, 4], -2, 2)
    return fit_slices(values, dice, subject.tolist(), "made up", CHECKS), values, dice, subject


def test_a_line_is_found_and_strangers_get_the_model_of_all(regressor):
    fitted, values, dice, subject = regressor
    found = predicted_dice(values, fitted, subject.tolist())
    assert np.corrcoef(found, dice)[0, 1] > 0.9
    all_of_them = len(fitted.ridge.bias) - 1
    assert fitted.folds.models(["h1", "stranger"]).tolist() == [fitted.folds.of["h1"], all_of_them]
    assert sorted({*fitted.folds.of.values()}) == list(range(all_of_them))


def test_nobody_is_judged_by_a_model_that_saw_them(regressor):
    """Other labels for one subject change the other subjects' predictions, not its own."""
    fitted, values, dice, subject = regressor
    mine = subject == "h3"
    other = fit_slices(values, np.where(mine, 1 - dice, dice), subject.tolist(), "made up", CHECKS)
    before, after = (predicted_dice(values, one_, subject.tolist()) for one_ in (fitted, other))
    np.testing.assert_array_equal(after[mine], before[mine])
    fold = fitted.folds.of
    elsewhere = np.array([fold[i] != fold["h3"] for i in subject])
    assert np.abs(after - before)[elsewhere].max() > 0.01


def test_a_cohort_is_judged_as_its_slices(regressor):
    fitted, *_ = regressor
    area = tapering()
    area[1, 0] = 0
    evidence = beside_longest(one(area), one(tapering(2, 4)))
    ids = ["h2", "stranger", "h5"]
    whole = np.asarray(expected_slice_dice(evidence, fitted.ridge, fitted.folds.models(ids), CHECKS))
    assert np.isnan(whole[0, 1, 0])
    values = np.asarray(slice_features(evidence, CHECKS))
    for n, subject in enumerate(ids):
        there = ~np.isnan(whole[n])
        expected = predicted_dice(values[n][there], fitted, [subject] * there.sum())
        np.testing.assert_allclose(whole[n][there], expected, atol=1e-5)
    assert np.isnan(whole[1, :, 4:]).all()


def test_a_slice_that_cannot_be_measured_is_the_worst(regressor):
    fitted, *_ = regressor
    fields = one(tapering())
    for name in ("area_mm2", "confidence", "perimeter_mm"):
        damaged = fields[name].copy()
        damaged[0, 3] = np.nan
        evidence = beside_longest({**fields, name: damaged})
        found = np.asarray(expected_slice_dice(evidence, fitted.ridge, fitted.folds.models(["h1", "h2", "h3"]), CHECKS))
        assert found[0, 0, 3] == 0, name
        if name == "area_mm2":
            assert np.asarray(slice_rule_scores(evidence, CHECKS))[0, 0, 3] < 0.1


def test_a_regressor_survives_its_file_and_refuses_others(regressor, tmp_path):
    fitted, values, _, subject = regressor
    arrays = slice_regressor_arrays(fitted)
    np.savez(tmp_path / "r.npz", **arrays)
    with np.load(tmp_path / "r.npz", allow_pickle=False) as data:
        again = slice_regressor_from(data, CHECKS, "r.npz")
    np.testing.assert_array_equal(
        predicted_dice(values, again, subject.tolist()), predicted_dice(values, fitted, subject.tolist())
    )
    assert again.learned_from == "made up"
    for changes, checks, complaint in (
        ({}, AORTA_CHECKS, "for the task 'short_axis', not 'aorta'"),
        ({"features": arrays["features"][::-1]}, CHECKS, "other features"),
        ({"classes": np.array(["a", "b", "c"])}, CHECKS, "other classes"),
    ):
        with pytest.raises(DataError, match=complaint):
            slice_regressor_from(arrays | changes, checks, "r.npz")
    with pytest.raises(DataError, match="no regressor of slices"):
        slice_regressor_from({"weights": np.zeros(3)}, CHECKS, "r.npz")
    with pytest.raises(ValueError, match="two subjects"):
        fit_slices(values[:3], np.zeros(3), ["h0"] * 3, "one", CHECKS)
