"""The network's grid, and resampling between it and a slice's own pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8


class Grid(NamedTuple):
    """Square pixels around the centre of the slice: what the network sees."""

    size: int  # pixels a side
    pixel_mm: float

    @property
    def reach_mm(self) -> float:
        """Distance from the centre to the border."""
        return self.size * self.pixel_mm / 2


class Geometry(NamedTuple):
    """Where a slice lies in its canvas. Arrays (JAX's or NumPy's) share leading axes."""

    extent: Float[Any, "... 2"]  # (height, width) in native pixels, top left in the canvas
    pixel_mm: Float[Any, "... 2"]  # (dy, dx)


def network_to_native(
    grid: Grid, geometry: Geometry, matrix: Float[Array, "2 2"], shift_mm: Float[Array, " 2"]
) -> Float[Array, "S S 2"]:
    """Native pixel coordinates (y, x) of every grid pixel of one slice.

    Args:
        matrix: maps (y, x) offsets from the grid's centre to offsets in the slice; the identity for inference.
        shift_mm: added after `matrix`.
    """
    offset = (jnp.arange(grid.size) - (grid.size - 1) / 2) * grid.pixel_mm
    yx = jnp.stack(jnp.meshgrid(offset, offset, indexing="ij"), axis=-1)
    yx = jnp.matmul(yx, matrix.T, precision="highest") + shift_mm  # TF32 would round to tenths of a millimetre
    return yx / geometry.pixel_mm + (geometry.extent - 1) / 2


def native_to_network(grid: Grid, geometry: Geometry, canvas: tuple[int, int]) -> Float[Array, "Y X 2"]:
    """Grid coordinates (y, x) of every native pixel of the canvas of one slice."""
    pixels = jnp.stack(jnp.meshgrid(jnp.arange(canvas[0]), jnp.arange(canvas[1]), indexing="ij"), axis=-1)
    offset = (pixels - (geometry.extent - 1) / 2) * geometry.pixel_mm
    return offset / grid.pixel_mm + (grid.size - 1) / 2


def sample_linear(
    image: Float[Array, "Y X F"], at: Float[Array, "... 2"], extent: Float[Array, " 2"]
) -> Float[Array, "... F"]:
    """Bilinear samples; coordinates are clamped to the extent, so that edges are repeated."""
    at = jnp.clip(at, 0.0, extent - 1)
    low = jnp.floor(at)
    fraction = at - low
    y0, x0 = low[..., 0].astype(jnp.int32), low[..., 1].astype(jnp.int32)
    last = extent.astype(jnp.int32) - 1
    y1, x1 = jnp.minimum(y0 + 1, last[0]), jnp.minimum(x0 + 1, last[1])
    fy, fx = fraction[..., :1], fraction[..., 1:]
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def sample_nearest(
    label: UInt8[Array, "Y X"], at: Float[Array, "... 2"], extent: Float[Array, " 2"]
) -> UInt8[Array, ...]:
    """Nearest-neighbour samples of a label; 0 outside the extent."""
    nearest = jnp.round(at)
    inside = jnp.all((nearest >= 0) & (nearest <= extent - 1), axis=-1)
    index = jnp.clip(nearest, 0, extent - 1).astype(jnp.int32)
    return jnp.where(inside, label[index[..., 0], index[..., 1]], 0)


def label_on_grid(label: UInt8[np.ndarray, "T Z Y X"], pixel_mm: tuple[float, float], grid: Grid) -> np.ndarray:
    """A native label volume on the network's grid, uint8 [T, Z, S, S]; `pixel_mm` is (dy, dx)."""
    extent = jnp.asarray(label.shape[2:], jnp.float32)
    geometry = Geometry(extent, jnp.asarray(pixel_mm, jnp.float32))
    at = network_to_native(grid, geometry, jnp.eye(2), jnp.zeros(2))
    flat = jnp.asarray(label.reshape(-1, *label.shape[2:]))
    sampled = jax.vmap(lambda one: sample_nearest(one, at, extent))(flat)
    return np.asarray(sampled).reshape(*label.shape[:2], grid.size, grid.size)


def inside_grid(grid: Grid, at: Float[Array, "... 2"]) -> Array:
    """Whether grid coordinates lie on the grid (half a pixel of border counts)."""
    return jnp.all((at >= -0.5) & (at <= grid.size - 0.5), axis=-1)


def standardise(image: Float[Array, "... S S"]) -> Float[Array, "... S S"]:
    """Zero mean and unit variance over each frame of a slice: what every network sees, in training and after."""
    mean = image.mean((-2, -1), keepdims=True)
    return (image - mean) / (image.std((-2, -1), keepdims=True) + 1e-3)
