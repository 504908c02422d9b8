"""Masks broken on purpose: reproducible, valid, and worse the higher the severity."""

import jax
import numpy as np
import pytest
from hearts import DZ_MM, PIXEL_MM, heart

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.quality.corruptions import corrupt, mean_dice, slice_severity
from semiqc_jax.quality.training_set import corrupted_training_set

LABEL = heart(n_slices=6)
break_many = jax.jit(jax.vmap(lambda key, severity: corrupt(key, LABEL, severity, SHORT_AXIS), in_axes=(0, None)))
dice_many = jax.jit(jax.vmap(lambda broken: mean_dice(LABEL, broken, 3)))
KEYS = jax.random.split(jax.random.key(1), 24)


def test_severity_zero_changes_nothing():
    np.testing.assert_array_equal(break_many(KEYS, 0.0), np.broadcast_to(LABEL, (24, *LABEL.shape)))


def test_dice_falls_with_severity():
    dice = [np.asarray(dice_many(break_many(KEYS, s))) for s in (0.1, 0.4, 1.0)]
    assert dice[0].mean() > dice[1].mean() + 0.03 > dice[2].mean() + 0.1
    assert dice[0].mean() > 0.9
    assert dice[2].std() > 0.05  # volumes differ in how they are broken


def test_same_key_same_damage_and_valid_codes():
    once, twice = break_many(KEYS, 0.7), break_many(KEYS, 0.7)
    np.testing.assert_array_equal(once, twice)
    assert set(np.unique(once)) <= {0, 1, 2, 3}
    assert not np.array_equal(once[0], once[1])


def test_the_ends_of_the_heart_are_hit_harder():
    hit = jax.vmap(lambda key: slice_severity(key, LABEL, 1.0))(jax.random.split(jax.random.key(0), 200))
    by_slice = np.asarray(hit).mean((0, 1))
    assert by_slice[[0, 1, 4, 5]].min() > by_slice[2:4].max() + 0.1


@pytest.mark.parametrize(("other", "expected"), [(0, 1.0), (1, 0.5), (4, 0.0)])
def test_mean_dice_by_hand(other, expected):
    a, b = np.zeros((2, 1, 1, 1, 8), np.int32)
    a[..., :4], b[..., :4] = 1, 0
    b[..., other : other + 4] = 1
    if other == 1:  # a second class that only one of them has
        a[..., :], b[..., :] = [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 2, 0, 0, 0, 0, 0]
    assert mean_dice(a, b, 3) == pytest.approx(expected)


def test_training_set_holds_what_was_asked_for():
    labels = [heart(n_slices=6), heart(n_frames=1, n_slices=4)]  # padded to the shape of test_learned
    extents = [np.full(6, DZ_MM), np.full(4, DZ_MM)]
    evidence, dice = corrupted_training_set(jax.random.key(3), labels, PIXEL_MM, extents, 7, SHORT_AXIS)
    assert dice.shape == (7,)
    assert ((dice >= 0) & (dice <= 1)).all()
    np.testing.assert_array_equal(evidence.frame_mask.sum(1), [2, 1, 2, 1, 2, 1, 2])
    np.testing.assert_array_equal(evidence.slice_mask.sum(1), [6, 4, 6, 4, 6, 4, 6])
    assert (evidence.confidence[evidence.frame_mask][:, 0] == 1).all()
    again = corrupted_training_set(jax.random.key(3), labels, PIXEL_MM, extents, 7, SHORT_AXIS)
    np.testing.assert_array_equal(again[1], dice)
