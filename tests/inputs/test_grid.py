"""The network's grid: resampling to it and back, between uneven pixels and square ones."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.inputs.grid import (
    Geometry,
    Grid,
    inside_grid,
    native_to_network,
    network_to_native,
    sample_linear,
    sample_nearest,
    standardise,
)

STILL = (jnp.eye(2), jnp.zeros(2))


def geometry(shape, pixel_mm=(1.0, 1.0)):
    return Geometry(np.array(shape, np.float32), np.array(pixel_mm, np.float32))


sizes = st.sampled_from([9, 16])  # few, since every new shape compiles
pixels = st.floats(0.5, 4.0)


@given(grid_size=sizes, grid_pixel=pixels, height=sizes, width=sizes, dy=pixels, dx=pixels)
def test_there_and_back(grid_size, grid_pixel, height, width, dy, dx):
    """The map of native pixels to the grid is the inverse of the map of grid pixels to the slice."""
    grid, where = Grid(grid_size, grid_pixel), geometry((height, width), (dy, dx))
    at = np.asarray(network_to_native(grid, where, *STILL))
    assert at.shape == (grid_size, grid_size, 2)
    back = np.asarray(native_to_network(grid, where, (height, width)))
    # Both maps are separable and affine: origin + index * slope, axis by axis.
    for axis in range(2):
        there_line = np.moveaxis(at[..., axis], axis, 0)[:, 0]
        back_line = np.moveaxis(back[..., axis], axis, 0)[:, 0]
        slope, origin = back_line[1] - back_line[0], back_line[0]
        np.testing.assert_allclose(origin + there_line * slope, np.arange(grid_size), atol=2e-3)


def test_coordinates_by_hand():
    """Grid of 4 pixels of 2 mm on a slice of 5 x 3 pixels of 1 x 4 mm; the centres coincide."""
    at = network_to_native(Grid(4, 2.0), geometry((5, 3), (1.0, 4.0)), *STILL)
    np.testing.assert_allclose(at[:, 0, 0], [-1, 1, 3, 5])
    np.testing.assert_allclose(at[0, :, 1], [0.25, 0.75, 1.25, 1.75])
    back = native_to_network(Grid(4, 2.0), geometry((5, 3), (1.0, 4.0)), (6, 4))
    np.testing.assert_allclose(back[:, 0, 0], [0.5, 1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(back[0, :, 1], [-0.5, 1.5, 3.5, 5.5])


def test_a_quarter_turn_and_a_shift():
    """The matrix turns offsets on the grid into offsets in the slice; the shift in mm comes after."""
    quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
    still = network_to_native(Grid(8, 1.5), geometry((20, 20)), *STILL)
    turned = network_to_native(Grid(8, 1.5), geometry((20, 20)), quarter, jnp.array([3.0, -2.0]))
    np.testing.assert_allclose(turned, np.rot90(still, -1) + [3.0, -2.0], atol=1e-6)


def test_linear_samples_by_hand():
    image = jnp.array([[0.0, 10.0, 99.0], [20.0, 40.0, 99.0], [99.0, 99.0, 99.0]])[..., None]
    at = jnp.array([[0, 0], [0, 0.5], [0.25, 0], [0.5, 0.5], [-3, 0], [5, 5], [1, 7]])
    values = sample_linear(image, at, jnp.array([2.0, 2.0]))[..., 0]
    np.testing.assert_allclose(values, [0, 5, 5, 17.5, 0, 40, 40])  # clamped; the canvas's padding is never seen


def test_nearest_samples_by_hand():
    label = jnp.array([[1, 2, 9], [3, 4, 9], [9, 9, 9]], jnp.uint8)
    at = jnp.array([[0, 0], [0.4, 0.6], [1.4, 1.4], [-0.4, 0], [-0.6, 0], [1.6, 1], [0, 2]])
    values = sample_nearest(label, at, jnp.array([2.0, 2.0]))
    np.testing.assert_array_equal(values, [1, 2, 4, 1, 0, 0, 0])  # 0 outside the extent
    assert values.dtype == jnp.uint8


@given(value=st.integers(0, 255), y=st.floats(-5, 40), x=st.floats(-5, 40))
def test_a_constant_image_stays_constant(value, y, x):
    image = jnp.full((32, 32, 1), float(value))
    at = jnp.array([y, x], jnp.float32)
    assert sample_linear(image, at, jnp.array([30.0, 25.0]))[0] == pytest.approx(value, rel=1e-6)


def test_what_lies_on_the_grid():
    at = jnp.array([[-0.5, 0], [-0.51, 0], [3.5, 3.5], [3.51, 0], [0, 3.6], [1, 2]])
    np.testing.assert_array_equal(inside_grid(Grid(4, 1.0), at), [True, False, True, False, False, True])
    assert Grid(64, 1.5).reach_mm == 48


def test_standardised_slices_do_not_know_gain_or_offset():
    image = np.random.default_rng(0).uniform(0, 1, (3, 16, 16)).astype(np.float32)
    result = standardise(jnp.asarray(image))
    np.testing.assert_allclose(result.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(result.std((1, 2)), 1, atol=5e-3)
    np.testing.assert_allclose(standardise(jnp.asarray(0.5 * image + 0.2)), result, atol=2e-2)
    assert np.all(np.asarray(standardise(jnp.ones((1, 4, 4)))) == 0)  # a constant slice stays finite
