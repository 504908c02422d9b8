"""Selection by frame and by slice: exact on examples by hand; empty slices enter with their neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_selection import evidence

from semiqc_jax.errors import ConfigError
from semiqc_jax.selection import Policy, existing, from_neighbours, mean_confidence, select, unit_scores

# Two subjects of two frames and three slices; the second lacks its last slice: ten slices in all.
SCORE = np.array([[[0.9, 0.1, 0.8], [0.2, 0.7, 0.3]], [[0.6, 0.5, 9.0], [0.4, 0.05, 9.0]]], np.float32)


def weights(selector="quality", policy=Policy(), unit="slice", subjects=None, **inputs):  # noqa: B008
    subjects = evidence(2) if subjects is None else subjects
    return np.asarray(select(selector, policy, subjects, unit=unit, **inputs).weight)


@pytest.mark.parametrize(
    ("policy", "smallest"),
    [
        (Policy(fraction=0.5), 0.5),
        (Policy(fraction=0.1), 0.9),
        (Policy(fraction=1.0), 0.0),
        (Policy("budget", budget=3), 0.7),
        (Policy("threshold", threshold=0.4), 0.4),
    ],
)
def test_the_best_slices_of_all_subjects_are_kept(policy, smallest):
    expected = (np.float32(smallest) <= SCORE) & np.asarray(existing(evidence(2)))
    np.testing.assert_array_equal(weights(policy=policy, quality_score=SCORE), expected)


def test_soft_weights_fall_with_the_slices_rank():
    weight = weights(policy=Policy("soft"), quality_score=SCORE)
    exists = np.asarray(existing(evidence(2)))
    assert (np.diff(weight[exists][np.argsort(-SCORE[exists])]) < 0).all()
    assert not weight[~exists].any()


def test_a_choice_of_frames_takes_whole_frames():
    weight = weights(unit="frame", quality_score=np.array([[0.3, 0.8], [0.9, np.nan]]))
    assert weight.tolist() == [[[0, 0, 0], [1, 1, 1]], [[1, 1, 0], [0, 0, 0]]]


def test_oracle_and_confidence_by_slice():
    np.testing.assert_array_equal(
        weights("oracle", truth_dice=SCORE), weights("quality", quality_score=SCORE)
    )
    sure = np.where(SCORE > 1, 0, SCORE)
    subjects = evidence(2)._replace(confidence=sure, area_mm2=np.ones((2, 2, 3, 3), np.float32))
    np.testing.assert_array_equal(weights("confidence", subjects=subjects), weights(quality_score=SCORE))
    np.testing.assert_allclose(mean_confidence(subjects, "frame"), [[0.6, 0.4], [0.55, 0.225]], rtol=1e-6)


def test_random_slices_are_drawn_one_by_one():
    draws = np.stack([weights("random", key=jax.random.key(i)) for i in range(40)])
    assert (draws.sum((1, 2, 3)) == 5).all()
    assert (draws.mean(0)[np.asarray(existing(evidence(2)))] > 0.2).all()
    assert any((d[0].max() > 0) & (d[0].min() == 0) for d in draws)
    np.testing.assert_array_equal(draws[3], weights("random", key=jax.random.key(3)))


def test_all_and_none_take_or_leave_every_slice():
    for unit in ("subject", "frame", "slice"):
        np.testing.assert_array_equal(weights("all", unit=unit), existing(evidence(2)))
        assert not weights("none", unit=unit).any()


def test_empty_slices_take_the_score_of_the_heart_beside_them():
    nan = np.nan
    score = np.array([[[nan, 0.8, nan, nan, nan, 0.2], [nan, nan, nan, nan, nan, 0.5], [nan] * 6]], np.float32)
    found = from_neighbours(jnp.asarray(score), ~jnp.isnan(score))
    np.testing.assert_allclose(found, [[[0.8, 0.8, 0.8, 0.2, 0.2, 0.2], [0.5] * 6, [nan] * 6]])
    subjects = evidence(2, n_slices=6)
    scores = np.concatenate([score[:, :2], np.full((1, 2, 6), np.nan, np.float32)])
    weight = weights(policy=Policy("threshold", threshold=0.5), subjects=subjects, quality_score=scores)
    np.testing.assert_array_equal(weight[0], [[1, 1, 1, 0, 0, 0], [1] * 6])
    assert not weight[1].any()  # nothing predicted anywhere: worst of all


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_neighbours_against_a_loop(n, seed):
    rng = np.random.default_rng(seed)
    score, telling = rng.integers(0, 5, n) / 4, rng.random(9) < 0.4
    padded = jnp.full((1, 1, 9), 7.0).at[0, 0, :n].set(score)
    telling[n:] = False
    found = np.asarray(from_neighbours(padded, jnp.asarray(telling)[None, None]))[0, 0, :n]
    where = np.flatnonzero(telling)
    if not len(where):
        assert np.isnan(found).all()
        return
    for z in range(n):
        nearest = np.abs(where - z).min()
        assert found[z] == min(score[j] for j in where if abs(j - z) == nearest)


def test_one_subject_that_is_empty_is_still_a_pool():
    nothing = np.full((1, 2, 3), np.nan, np.float32)
    weight = weights(subjects=evidence(1), quality_score=nothing)
    assert weight.sum() == 2  # half of what exists, first come: nothing tells them apart


def test_scores_of_another_unit_are_refused():
    with pytest.raises(ValueError, match="a score for each slice"):
        unit_scores("quality", evidence(2), quality_score=np.zeros(2), unit="slice")
    with pytest.raises(ConfigError, match="units are subject, frame, slice"):
        select("all", Policy(), evidence(2), unit="pixel")
