"""Slices as arrays: what a stream holds on the device or sends to it, and how examples are drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8
from numpy.typing import NDArray

from semiqc_jax.inputs.augment import Augmentation, augment_slice
from semiqc_jax.inputs.grid import Geometry, Grid

CANVAS_STEP = 32


class Slices(NamedTuple):
    """M slices in native pixels on one canvas, each with its window of frames; JAX's arrays or NumPy's."""

    image: UInt8[Any, "M W Y X"]
    label: UInt8[Any, "M Y X"]  # of the frame in the middle
    labelled: Bool[Any, "M C"]  # class c is drawn
    geometry: Geometry


class Batch(NamedTuple):
    """What a training method learns from: B slices on the network's grid."""

    image: Float[Array, "B S S W"]
    label: Int[Array, "B S S"]
    labelled: Bool[Array, "B C"]


def canvas_of(shapes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Smallest canvas, in steps of 32 pixels, that holds slices of all these (height, width)."""
    height, width = np.max(np.asarray(shapes), axis=0)
    return tuple(int(-(-n // CANVAS_STEP) * CANVAS_STEP) for n in (height, width))  # type: ignore[return-value]


def central(shape: tuple[int, ...], pixel_mm: tuple[float, ...], reach_mm: float) -> tuple[slice, slice]:
    """The part of a slice within `reach_mm` of its centre along each axis; it has the same centre.

    Args:
        shape: (..., Y, X).
        pixel_mm: (dy, dx).
    """
    cuts = [max(0, int((n - 1) / 2 - reach_mm / size - 1)) for n, size in zip(shape[-2:], pixel_mm, strict=True)]
    return slice(cuts[0], shape[-2] - cuts[0]), slice(cuts[1], shape[-1] - cuts[1])


def on_canvas(pixels: NDArray[np.uint8], canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Pad [..., y, x] at the bottom and right to the canvas."""
    pad = [(0, 0)] * (pixels.ndim - 2) + [(0, c - n) for c, n in zip(canvas, pixels.shape[-2:], strict=True)]
    return np.pad(pixels, pad)


def window_frames(frame: int, n_frames: int, window: int) -> Int[np.ndarray, " W"]:
    """Frames [W] around one of a cine of `n_frames`, which is in the middle; the cycle closes and may be run through
    more than once."""
    return (frame + np.arange(window) - window // 2) % n_frames


def cumulative(weight: NDArray[np.floating]) -> Float[np.ndarray, " M"]:
    """Cumulative distribution [M] that `draw` samples slices from; weights need not sum to 1."""
    total = np.cumsum(np.asarray(weight, np.float64))
    return (total / total[-1]).astype(np.float32)


def example_keys(key: PRNGKeyArray, step: Array, first: Array | int, count: int) -> PRNGKeyArray:
    """Keys [count] of the global examples first .. first + count - 1 of a step: the same on any devices."""
    key = jax.random.fold_in(key, step)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(first + jnp.arange(count))


def draw(keys: PRNGKeyArray, distribution: Float[Array, " M"]) -> Int[Array, " B"]:
    """Index of one slice a key, drawn from a cumulative distribution with replacement."""
    uniform = jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 0)))(keys)
    return jnp.minimum(jnp.searchsorted(distribution, uniform, side="right"), distribution.shape[0] - 1)


def make_batch(keys: PRNGKeyArray, rows: Slices, grid: Grid, spec: Augmentation) -> Batch:
    """Resample and augment B slices, one key each."""
    keys = jax.vmap(lambda k: jax.random.fold_in(k, 1))(keys)
    image, label = jax.vmap(lambda k, i, y, g: augment_slice(k, i, y, g, grid, spec))(
        keys, rows.image, rows.label, rows.geometry
    )
    return Batch(image, label, rows.labelled)
