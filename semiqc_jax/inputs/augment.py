"""On-device augmentation: one gather resamples and deforms a slice; intensities follow."""

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


def _transform(key: PRNGKeyArray, spec: Augmentation) -> tuple[Float[Array, "2 2"], Float[Array, " 2"]]:
    angle_key, scale_key, flip_key, shift_key = jax.random.split(key, 4)
    angle = jnp.deg2rad(spec.rotation_deg) * jax.random.uniform(angle_key, minval=-1.0)
    scale = jnp.exp(spec.log_scale * jax.random.uniform(scale_key, minval=-1.0))
    signs = jnp.where(jax.random.bernoulli(flip_key, shape=(2,)) & spec.flip, -1.0, 1.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    matrix = jnp.array([[cos, -sin], [sin, cos]]) * scale * signs
    return matrix, spec.shift_mm * jax.random.uniform(shift_key, (2,), minval=-1.0)


def _intensity(key: PRNGKeyArray, image: Float[Array, "S S"], spec: Augmentation) -> Float[Array, "S S"]:
    keys = jax.random.split(key, 6)
    gamma, contrast, brightness = (jax.random.uniform(k, minval=-1.0) for k in keys[:3])
    slope = spec.bias_field * jax.random.uniform(keys[3], (2,), minval=-1.0)
    ramp = jnp.linspace(-1, 1, image.shape[0])
    image = jnp.power(jnp.clip(image, 1e-3, 1.0), jnp.exp(spec.log_gamma * gamma))
    image = image * jnp.exp(spec.log_contrast * contrast) + spec.brightness * brightness
    image = image * (1 + slope[0] * ramp[:, None] + slope[1] * ramp[None])
    sigma = spec.noise * jax.random.uniform(keys[4])
    return image + sigma * jax.random.normal(keys[5], image.shape)


def augment_slice(
    key: PRNGKeyArray,
    image: UInt8[Array, "Y X"],
    label: UInt8[Array, "Y X"],
    geometry: Geometry,
    grid: Grid,
    spec: Augmentation,
) -> tuple[Float[Array, "S S"], Int[Array, "S S"]]:
    """One slice of native pixels -> standardised image and label on the network's grid."""
    place_key, look_key = jax.random.split(key)
    matrix, shift = _transform(place_key, spec)
    at = network_to_native(grid, geometry, matrix, shift)
    values = sample_linear(image[..., None].astype(jnp.float32) / 255, at, geometry.extent)[..., 0]
    target = sample_nearest(label, at, geometry.extent)
    return standardise(_intensity(look_key, values, spec)), target.astype(jnp.int32)
