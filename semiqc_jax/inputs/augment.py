"""On-device augmentation: one gather resamples and deforms a slice and its window of frames; intensities follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from semiqc_jax.inputs.grid import (
    Geometry,
    Grid,
    network_to_native,
    sample_linear,
    sample_nearest,
    standardise,
)


class Augmentation(NamedTuple):
    """Ranges of random changes; each is drawn uniformly within +- its value. 0 turns a change off."""

    rotation_deg: float = 0.0
    log_scale: float = 0.0
    shift_mm: float = 0.0
    flip: bool = False  # each axis with probability 1/2
    log_gamma: float = 0.0
    brightness: float = 0.0  # in units of the full intensity range
    log_contrast: float = 0.0
    bias_field: float = 0.0  # amplitude of a linear gain over the slice
    noise: float = 0.0  # largest standard deviation, in units of the full range

    def reach_mm(self, grid: Grid) -> float:
        """How far from a slice's centre the grid reaches along its axes after any change; corners may go further."""
        return grid.reach_mm * math.exp(self.log_scale) + self.shift_mm


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "standard": Augmentation(rotation_deg=15, log_scale=0.1, shift_mm=8, log_gamma=0.2, noise=0.02),
    "strong": Augmentation(
        rotation_deg=46,
        log_scale=0.3,
        shift_mm=16,
        flip=True,
        log_gamma=0.5,
        brightness=0.1,
        log_contrast=0.3,
        bias_field=0.3,
        noise=0.06,
    ),
}


def _transform(u: Float[Array, " 6"], spec: Augmentation) -> tuple[Float[Array, "2 2"], Float[Array, " 2"]]:
    angle = jnp.deg2rad(spec.rotation_deg) * u[0]
    scale = jnp.exp(spec.log_scale * u[1])
    signs = jnp.where((u[2:4] < 0) & spec.flip, -1.0, 1.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    matrix = jnp.array([[cos, -sin], [sin, cos]]) * scale * signs
    return matrix, spec.shift_mm * u[4:6]


def _intensity(
    u: Float[Array, " 6"], noise: Float[Array, "W S S"], image: Float[Array, "W S S"], spec: Augmentation
) -> Float[Array, "W S S"]:
    ramp = jnp.linspace(-1, 1, image.shape[-1])
    image = jnp.power(jnp.clip(image, 1e-3, 1.0), jnp.exp(spec.log_gamma * u[0]))
    image = image * jnp.exp(spec.log_contrast * u[1]) + spec.brightness * u[2]
    image = image * (1 + spec.bias_field * (u[3] * ramp[:, None] + u[4] * ramp[None]))
    return image + spec.noise * jnp.abs(u[5]) * noise


def augment_slice(
    key: PRNGKeyArray,
    image: UInt8[Array, "W Y X"],
    label: UInt8[Array, "Y X"],
    geometry: Geometry,
    grid: Grid,
    spec: Augmentation,
) -> tuple[Float[Array, "S S W"], Int[Array, "S S"]]:
    """One slice of native pixels -> standardised frames and label on the network's grid.

    The frames of a window share one change of place and of intensity, as those of one scan do; each has noise of its
    own. Each is standardised by itself, so that a frame looks the same to the network in whatever window it is.
    """
    # One draw for all numbers: every further one costs seconds of compilation on CPU.
    change_key, noise_key = jax.random.split(key)
    u = jax.random.uniform(change_key, (12,), minval=-1.0)
    noise = jax.random.normal(noise_key, (image.shape[0], grid.size, grid.size))
    matrix, shift = _transform(u[:6], spec)
    at = network_to_native(grid, geometry, matrix, shift)
    values = sample_linear(jnp.moveaxis(image, 0, -1).astype(jnp.float32) / 255, at, geometry.extent)
    target = sample_nearest(label, at, geometry.extent)
    frames = standardise(_intensity(u[6:], noise, jnp.moveaxis(values, -1, 0), spec))
    return jnp.moveaxis(frames, 0, -1), target.astype(jnp.int32)
