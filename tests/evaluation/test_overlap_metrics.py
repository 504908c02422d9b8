"""Dice and surface distances against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semiqc_jax.evaluation.overlap import dice, mean_dice, surface_distance, surface_points

SPACING = (10.0, 2.0, 1.5)
MASKS = arrays(bool, (3, 4, 5))


def test_dice_of_two_small_masks() -> None:
    a = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    b = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    assert dice(a, b) == pytest.approx(2 * 2 / (3 + 4))


def test_empty_masks() -> None:
    empty, full = np.zeros((2, 3, 3), bool), np.ones((2, 3, 3), bool)
    assert np.isnan(dice(empty, empty))
    assert dice(empty, full) == dice(full, empty) == 0
    assert np.isnan(surface_distance(empty, full, SPACING)).all()
    assert np.isnan(surface_distance(full, empty, SPACING)).all()
    assert np.isnan(surface_distance(empty, empty, SPACING)).all()


def test_mean_dice_skips_what_is_not_drawn() -> None:
    label = np.zeros((1, 2, 4, 4), np.uint8)
    label[0, 0, :2] = 1
    predicted = label.copy()
    predicted[0, 1] = 1  # on the slice where class 1 is not drawn
    labelled = np.array([[[True, True], [False, True]]])
    assert mean_dice(predicted, label, labelled) == 1  # class 2 is empty in both: undefined
    assert np.isnan(mean_dice(predicted, label, np.zeros_like(labelled)))


def test_two_single_voxels() -> None:
    a, b = np.zeros((3, 8, 8), bool), np.zeros((3, 8, 8), bool)
    a[0, 1, 1] = b[2, 4, 5] = True
    distance = np.sqrt(20.0**2 + 6.0**2 + 6.0**2)  # 2 slices, 3 rows, 4 columns
    assert surface_distance(a, b, SPACING) == pytest.approx((distance, distance))


def test_uneven_slices_use_their_positions() -> None:
    a, b = np.zeros((3, 8, 8), bool), np.zeros((3, 8, 8), bool)
    a[0, 1, 1] = b[2, 1, 1] = True
    assert surface_distance(a, b, SPACING, np.array([0.0, 10.0, 35.0])).hd95 == 35


@pytest.mark.parametrize(("axis", "step"), [(1, 2.0), (2, 1.5)])
def test_a_sheet_moved_by_one_pixel(axis: int, step: float) -> None:
    a = np.zeros((3, 12, 12), bool)
    a[tuple(slice(5, 6) if i == axis else slice(None) for i in range(3))] = True
    found = surface_distance(a, np.roll(a, 1, axis), SPACING)
    assert found == pytest.approx((step, step))


def test_a_cube_moved_by_a_slice() -> None:
    a = np.zeros((6, 9, 9), bool)
    a[1:4, 2:7, 2:7] = True
    found = surface_distance(a, np.roll(a, 1, 0), SPACING)
    # 66 of the 75 voxels are surface: two faces of 25 and a rim of 16. The 25 of the face that sticks out are
    # a slice, 10 mm, away. The rims coincide. The middle 9 of the other face lie in the other cube, nearest
    # to its rim: one column (1.5 mm) or row (2 mm) away, the middle of all two columns.
    middle = [1.5, 2.0, 1.5, 1.5, 3.0, 1.5, 1.5, 2.0, 1.5]
    assert found.hd95 == 10
    assert found.assd == pytest.approx((25 * 10 + sum(middle)) / 66)


def test_hd95_is_the_larger_direction_unless_pooled() -> None:
    a, b = np.zeros((1, 1, 101), bool), np.zeros((1, 1, 101), bool)
    a[0, 0, :1] = True
    b[0, 0, :] = True
    # from b: 0 ... 100 pixels of 1 mm, 95th percentile 95; from a: 0. Pooled: 0, 0, 1 ... 100.
    assert surface_distance(a, b, (1.0, 1.0, 1.0)).hd95 == 95
    pooled = np.percentile([0, *range(101)], 95)
    assert surface_distance(a, b, (1.0, 1.0, 1.0), pooled=True).hd95 == pytest.approx(pooled)
    assert pooled < 95


def test_surface_of_a_single_slice_is_its_rim() -> None:
    mask = np.zeros((1, 7, 7), bool)
    mask[0, 1:6, 1:6] = True
    assert len(surface_points(mask, SPACING, np.zeros(1))) == 16
    assert len(surface_points(np.repeat(mask, 3, 0), SPACING, np.arange(3.0))) == 25 + 16 + 25


@given(MASKS, MASKS)
def test_dice_is_symmetric_and_within_bounds(a: np.ndarray, b: np.ndarray) -> None:
    found = dice(a, b)
    np.testing.assert_equal(found, dice(b, a))
    assert np.isnan(found) or 0 <= found <= 1
    assert (found == 1) == (a.any() and bool((a == b).all()))


@given(MASKS, MASKS, st.booleans())
def test_distances_are_symmetric_and_zero_for_equal_masks(a: np.ndarray, b: np.ndarray, pooled: bool) -> None:
    found = surface_distance(a, b, SPACING, pooled=pooled)
    np.testing.assert_allclose(found, surface_distance(b, a, SPACING, pooled=pooled))
    same = surface_distance(a, a, SPACING, pooled=pooled)
    assert same == (0, 0) if a.any() else np.isnan(same).all()
    if a.any() and b.any():  # surfaces so small that one stray point in ten shifts the 95th percentile
        assert (found.assd == 0) == bool((a == b).all())


@given(MASKS, MASKS)
def test_distances_scale_with_the_voxels(a: np.ndarray, b: np.ndarray) -> None:
    twice = surface_distance(a, b, (20.0, 4.0, 3.0))
    np.testing.assert_allclose(twice, 2 * np.array(surface_distance(a, b, SPACING)))
