"""Selectors and policies: exact counts, ties, order, masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.errors import ConfigError
from semiqc_jax.segmentation.assemble import BY_CLASS, MEASURED
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.selection import (
    CHOSEN,
    POLICIES,
    SELECTORS,
    Policy,
    apply_policy,
    mean_confidence,
    select,
    unit_scores,
)


def evidence(n, n_frames=2, n_slices=3, n_classes=3, confidence=1.0):
    """Evidence of n subjects with the given confidence; the last subject lacks its last slice."""
    lead = (n, n_frames, n_slices)
    zeros = np.zeros((*lead, n_classes), np.float32)
    slice_mask = np.ones((n, n_slices), bool)
    slice_mask[-1, -1] = False
    per_slice = np.ones(lead, np.float32)
    of_classes, of_slices = dict.fromkeys(BY_CLASS, zeros), dict.fromkeys(MEASURED, per_slice)
    shown = {
        "frame_mask": np.ones((n, n_frames), bool),
        "slice_mask": slice_mask,
        "slice_extent_mm": np.full((n, n_slices), 10.0),
        "frame_time_s": np.zeros((n, n_frames)),
        "centroid_mm": np.zeros((*lead, n_classes, 2), np.float32),
        "confidence": per_slice * np.reshape(confidence, (-1, 1, 1)),
        "uncertain_pixels": 10 * per_slice,
    }
    return Evidence(**(of_slices | of_classes | shown))


def chosen(selection):
    return np.flatnonzero(np.asarray(selection.weight).max((1, 2)) > 0).tolist()


SCORE = np.array([0.3, 0.9, 0.9, 0.1, 0.9, 0.5], np.float32)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(fraction=0.5), [1, 2, 4]),
        (Policy(fraction=0.3), [1, 2]),  # round(1.8) of three ties: the earlier ones
        (Policy(fraction=0.01), [1]),  # at least one
        (Policy(fraction=1.0), [0, 1, 2, 3, 4, 5]),
        (Policy("threshold", threshold=0.5), [1, 2, 4, 5]),
        (Policy("threshold", threshold=0.95), []),
        (Policy("budget", budget=4), [1, 2, 4, 5]),
        (Policy("budget", budget=99), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_policies_keep_whom_they_say(policy, expected):
    selection = select("quality", policy, evidence(6), jnp.asarray(SCORE))
    assert chosen(selection) == expected
    assert set(np.unique(selection.weight)) <= {0.0, 1.0}


def test_weights_are_broadcast_over_what_exists():
    weight = np.asarray(select("all", Policy(), evidence(3)).weight)
    assert weight.shape == (3, 2, 3)
    assert weight.sum() == 3 * 6 - 2
    assert not weight[2, :, 2].any()
    assert not np.asarray(select("none", Policy(), evidence(3)).weight).any()


def test_soft_weights_fall_with_the_rank():
    weight = np.asarray(apply_policy(jnp.asarray(SCORE), jnp.ones(6, bool), Policy("soft")))
    order = np.argsort(-SCORE, kind="stable")
    assert (np.diff(weight[order]) < 0).all()
    assert ((weight > 0) & (weight < 1)).all()
    np.testing.assert_allclose(weight.sum(), 3, atol=1e-5)
    assert (weight >= CHOSEN).astype(int).tolist() == apply_policy(SCORE, jnp.ones(6, bool), Policy()).tolist()


def test_padded_subjects_and_nan_scores_come_last():
    valid = jnp.array([True, False, True, True])
    score = jnp.array([jnp.nan, 9.0, 0.2, 0.1])
    assert apply_policy(score, valid, Policy(fraction=0.67)).tolist() == [0, 0, 1, 1]
    assert apply_policy(score, valid, Policy(fraction=1.0)).tolist() == [1, 0, 1, 1]
    assert apply_policy(score, valid, Policy("threshold", threshold=0.0)).tolist() == [0, 0, 1, 1]


@given(st.sampled_from([2, 7, 40]), st.floats(0.01, 1), st.integers(0, 2**32 - 1), st.sampled_from(POLICIES))
def test_a_permutation_of_subjects_permutes_the_choice(n, fraction, seed, name):
    rng = np.random.default_rng(seed)
    score = jnp.asarray(rng.permutation(n) / n, jnp.float32)
    order = rng.permutation(n)
    policy = Policy(name, fraction=fraction, budget=max(n // 3, 1))
    weight = np.asarray(apply_policy(score, jnp.ones(n, bool), policy))
    np.testing.assert_array_equal(apply_policy(score[order], jnp.ones(n, bool), policy), weight[order])
    if name == "top_fraction":
        assert weight.sum() == max(1, np.floor(np.float32(fraction) * n + 0.5))
        assert score[weight > 0].min() >= score[weight == 0].max(initial=-1)


def test_confidence_is_the_mean_over_uncertain_pixels():
    subjects = evidence(2)
    subjects = subjects._replace(
        confidence=np.array([[[1, 0.5, 0.5], [1, 1, 1]], [[0.4, 0.6, 0], [0.4, 0.6, 0]]], np.float32),
        uncertain_pixels=np.array([[[30, 10, 0], [0, 0, 0]], [[5, 5, 99], [5, 5, 99]]], np.float32),
    )
    np.testing.assert_allclose(mean_confidence(subjects), [35 / 40, 0.5])  # the last slice is padding
    assert mean_confidence(subjects._replace(uncertain_pixels=np.zeros((2, 2, 3)))).tolist() == [0, 0]


def test_selectors_take_their_own_score():
    confidence, quality, truth = np.eye(3, 5, dtype=np.float32)
    subjects, first = evidence(5, confidence=confidence), Policy("budget", budget=1)
    key = jax.random.key(0)
    for selector, best in (("confidence", 0), ("quality", 1), ("oracle", 2)):
        selection = select(selector, first, subjects, quality, truth, key)
        assert chosen(selection) == [best]
        assert np.argmax(selection.score) == best
    draws = {tuple(chosen(select("random", Policy(), subjects, key=jax.random.key(i)))) for i in range(20)}
    assert len(draws) > 5
    once, twice = (chosen(select("random", Policy(), subjects, key=key)) for _ in range(2))
    assert once == twice


@pytest.mark.parametrize("selector", ["quality", "oracle", "random"])
def test_a_selector_without_its_input_is_an_error(selector):
    with pytest.raises(ValueError, match=selector):
        unit_scores(selector, evidence(2))


def test_wrong_names_and_numbers_are_config_errors():
    with pytest.raises(ConfigError, match="quality"):
        unit_scores("qualty", evidence(2))
    with pytest.raises(ConfigError, match="top_fraction"):
        Policy("top")
    for wrong in ({"fraction": 0.0}, {"fraction": 1.2}, {"budget": 0}):
        with pytest.raises(ConfigError):
            Policy(**wrong)
    assert set(SELECTORS) == {"none", "all", "random", "confidence", "quality", "oracle"}


def test_ten_thousand_subjects_in_one_call():
    score = jax.random.uniform(jax.random.key(0), (10_000,))
    weight = apply_policy(score, jnp.ones(10_000, bool), Policy(fraction=0.3))
    assert weight.sum() == 3000
    assert score[weight > 0].min() > score[weight == 0].max()
