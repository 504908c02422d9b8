"""Volumes and areas from masks, by hand; NumPy and JAX agree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.downstream.curves import curves_from_labels, slice_areas_mm2, slice_extent_mm


def test_even_slices_stand_for_their_spacing() -> None:
    np.testing.assert_array_equal(slice_extent_mm(np.array([-3.0, 7.0, 17.0, 27.0])), [10, 10, 10, 10])


def test_uneven_slices_share_their_gaps() -> None:
    # gaps 8, 20, 10: the ends take their one gap on both sides
    np.testing.assert_array_equal(slice_extent_mm(np.array([0.0, 8.0, 28.0, 38.0])), [8, 14, 15, 10])


def test_one_slice_needs_its_spacing() -> None:
    np.testing.assert_array_equal(slice_extent_mm(np.array([5.0]), 8.0), [8])
    with pytest.raises(ValueError, match="dz_mm"):
        slice_extent_mm(np.array([5.0]))


@given(st.lists(st.floats(0.5, 30), min_size=1, max_size=12))
def test_extents_cover_the_span_and_half_a_gap_at_either_end(gaps: list[float]) -> None:
    position = np.concatenate([[0.0], np.cumsum(gaps)])
    covered = slice_extent_mm(position).sum()
    assert covered == pytest.approx(position[-1] + (gaps[0] + gaps[-1]) / 2)


def box() -> np.ndarray:
    label = np.zeros((2, 4, 10, 10), np.uint8)
    label[0, :, 2:6, 3:8] = 1  # 20 pixels on all four slices
    label[1, 1:3, 2:4, 3:5] = 1  # 4 pixels on slices 1 and 2
    label[:, 3, 8, :5] = 3  # 5 pixels on the last slice
    return label


def test_volumes_of_boxes_with_uneven_slices() -> None:
    extent = slice_extent_mm(np.array([0.0, 8.0, 28.0, 38.0]))  # 8, 14, 15, 10
    found = curves_from_labels(box(), (10.0, 2.0, 1.5), extent, 3)
    pixel = 2.0 * 1.5
    np.testing.assert_allclose(
        found,
        [
            [20 * pixel * 47 / 1000, 0, 5 * pixel * 10 / 1000],
            [4 * pixel * 29 / 1000, 0, 5 * pixel * 10 / 1000],
        ],
    )


def test_areas_of_a_plane_in_mm2() -> None:
    label = box()[:, :1]
    np.testing.assert_allclose(curves_from_labels(label, (10.0, 2.0, 1.5), None, 2), [[60, 0], [0, 0]])


def test_jax_gives_the_same_under_jit_and_vmap() -> None:
    labels = np.stack([box(), np.roll(box(), 1, 1)])
    extent = slice_extent_mm(np.array([0.0, 8.0, 28.0, 38.0]))
    expected = np.stack([curves_from_labels(x, (10.0, 2.0, 1.5), extent, 3) for x in labels])
    one = jax.vmap(lambda x: curves_from_labels(x, (10.0, 2.0, 1.5), jnp.asarray(extent), 3))
    found = jax.jit(one)(jnp.asarray(labels))
    assert isinstance(found, jax.Array)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert isinstance(slice_areas_mm2(labels, (10.0, 2.0, 1.5), 3), np.ndarray)
    np.testing.assert_allclose(slice_extent_mm(jnp.array([0.0, 8.0, 28.0, 38.0])), extent)
