"""What the scanner adds: coil shading, blur, ghosts, dark bands, spikes, noise, and an arbitrary scale."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

IMAGE_DEFECTS = ("low_snr", "low_contrast", "ghost", "band", "spike")  # the same for every anatomy


class Scanner(NamedTuple):
    """One subject's image formation; distances in mm, strengths relative to blood."""

    gain: float  # source intensity of a signal of 1
    noise: float
    blur: float  # standard deviation of the point spread
    shading: tuple[float, float, float, float, float]  # log sensitivity: x, y, x^2, x y, y^2 per 100 mm
    ghost: float
    ghost_along_rows: float  # 1 or 0: direction of phase encoding
    band: float  # depth of the off-resonance band
    band_line: tuple[float, float, float]  # its normal's angle, offset, and width
    spike: float
    spike_wave: tuple[float, float]  # rad per mm
    key: Any  # [2] uint32, raw key of the subject's noise


def sample_scanner(rng: np.random.Generator, noise: float, defects: frozenset[str]) -> Scanner:
    """Draw the image formation; `noise` is a factor on the level, 0 for none."""
    ghost = rng.uniform(0.2, 0.4) if "ghost" in defects else rng.uniform(0.0, 0.03)
    direction, wavelength = rng.uniform(0, 2 * np.pi), rng.uniform(5.0, 14.0)
    return Scanner(
        gain=float(np.exp(rng.normal(5.8, 0.7))),
        noise=noise * (rng.uniform(0.12, 0.22) if "low_snr" in defects else rng.uniform(0.015, 0.05)),
        blur=rng.uniform(0.4, 1.6),
        shading=tuple(rng.normal(0.0, (0.3, 0.3, 0.2, 0.2, 0.2))),
        ghost=ghost,
        ghost_along_rows=float(rng.integers(2)),
        band=rng.uniform(0.5, 0.9) if "band" in defects else 0.0,
        band_line=(rng.uniform(0, 2 * np.pi), rng.normal(0.0, 20.0), rng.uniform(4.0, 9.0)),
        spike=rng.uniform(0.15, 0.35) if "spike" in defects else 0.0,
        spike_wave=(2 * np.pi / wavelength * np.cos(direction), 2 * np.pi / wavelength * np.sin(direction)),
        key=rng.integers(0, 2**32, 2, dtype=np.uint32),
    )


def acquire(
    scanner: Scanner,
    picture: Float[Array, "T Z Y X"],
    x: Float[Array, "Y X"],
    y: Float[Array, "Y X"],
    pixel_mm: Array | float,
) -> Float[Array, "T Z Y X"]:
    """Turn tissue signal into a magnitude image in arbitrary units; x and y are the pixels' mm."""
    band_key, spike_key, noise_key = jax.random.split(jax.random.wrap_key_data(scanner.key), 3)
    u, v = x / 100.0, y / 100.0
    s = scanner.shading
    picture = picture * jnp.exp(s[0] * u + s[1] * v + s[2] * u * u + s[3] * u * v + s[4] * v * v)
    picture = picture * (1.0 - scanner.band * _band(scanner, band_key, picture.shape[1], x, y))
    picture = _ghosts(scanner, _blur(picture, scanner.blur / pixel_mm))
    hit = jax.random.bernoulli(spike_key, 0.35, picture.shape[:2])[..., None, None]
    stripes = jnp.cos(scanner.spike_wave[0] * x + scanner.spike_wave[1] * y)
    real, imaginary = scanner.noise * jax.random.normal(noise_key, (2, *picture.shape))
    real = real + picture + scanner.spike * hit * stripes
    return scanner.gain * jnp.sqrt(real * real + imaginary * imaginary)


def _band(scanner: Scanner, key: PRNGKeyArray, n_slices: int, x: Array, y: Array) -> Float[Array, "Z Y X"]:
    """Off-resonance banding: a dark curve that wanders from slice to slice, between 0 and 1."""
    angle, offset, width = scanner.band_line
    wander = offset + 6.0 * jax.random.normal(key, (n_slices, 1, 1))
    across = jnp.cos(angle) * x + jnp.sin(angle) * y
    along = jnp.cos(angle) * y - jnp.sin(angle) * x
    return jnp.exp(-(((across - wander + 0.006 * along * along) / width) ** 2))


def _blur(picture: Array, sd: Array | float) -> Array:
    """Separable 5-point Gaussian of standard deviation `sd` pixels over rows and columns; edges repeat."""
    weight = jnp.exp(-0.5 * (jnp.arange(-2, 3) / sd) ** 2)
    weight = weight / weight.sum()
    for axis in (-2, -1):
        pad = [(0, 0)] * picture.ndim
        pad[axis] = (2, 2)
        wide, n = jnp.pad(picture, pad, mode="edge"), picture.shape[axis]
        taps = [weight[k] * jax.lax.slice_in_dim(wide, k, k + n, axis=axis) for k in range(5)]
        picture = sum(taps, jnp.zeros(()))
    return picture


def _ghosts(scanner: Scanner, picture: Array) -> Array:
    """Motion ghosts: copies a third of a field of view along phase encoding, whose strength beats in time."""
    n_frames, _, height, width = picture.shape
    copy = jnp.zeros_like(picture)
    rows = scanner.ghost_along_rows
    for axis, n, chosen in ((-2, height, rows), (-1, width, 1.0 - rows)):
        fade = jnp.sin(jnp.pi * (jnp.arange(n) + 0.5) / n)  # no seam where the copy wraps around
        faded = picture * (fade[:, None] if axis == -2 else fade)
        copy = copy + chosen * jnp.roll(faded, n // 3, axis=axis)
    swing = 1.0 + 0.5 * jnp.cos(2 * jnp.pi * jnp.arange(n_frames) / n_frames)
    return picture + scanner.ghost * swing[:, None, None, None] * copy
