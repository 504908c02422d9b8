"""Fourier series of closed curves in real arithmetic: complex exponentials are many times slower on CPUs."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

HARMONICS = 15  # of the Fourier series; those at or above half the number of frames are zero


class Waves(NamedTuple):
    """The harmonics of a cycle at each of its frames: row k turns k times."""

    cosine: Float[Array, "K T"]
    sine: Float[Array, "K T"]


def waves(n_frames: Int[Array, ""] | int, length: int) -> Waves:
    """Harmonics 0 to `HARMONICS` of a cycle of n frames, at `length` frames of which the first n count."""
    n = jnp.maximum(n_frames, 1)
    angle = 2 * jnp.pi / n * ((jnp.arange(HARMONICS + 1)[:, None] * jnp.arange(length)) % n)
    return Waves(jnp.cos(angle), jnp.sin(angle))


def fourier(curve: Float[Array, " T"], n_frames: Int[Array, ""], harmonics: Waves) -> Complex[Array, " K"]:
    """Coefficients c of the closed curve through its first n values: curve(t) = Re sum_k c_k exp(2 pi i k t / n).

    Args:
        harmonics: `waves` of these frames.

    Returns:
        [HARMONICS + 1]; coefficient 0 is the mean, those at or above n / 2 are 0.
    """
    order, n = jnp.arange(HARMONICS + 1), jnp.maximum(n_frames, 1)
    there = jnp.arange(curve.shape[0]) < n_frames
    mean = jnp.sum(jnp.where(there, curve, 0.0)) / n
    varies = jnp.where(there, curve - mean, 0.0)
    cosines, sines = (jnp.matmul(wave, varies, precision="highest") * 2 / n for wave in harmonics)
    return jnp.where(order == 0, mean, jnp.where(2 * order < n, jax.lax.complex(cosines, -sines), 0.0))


def series(coefficients: Complex[Array, " K"], phase: Float[Array, " S"]) -> Float[Array, " S"]:
    """The curve of Fourier coefficients at phases of the cycle; 1 is once around."""
    angle = 2 * jnp.pi * phase[:, None] * jnp.arange(coefficients.shape[0])
    return wave_sum(coefficients, Waves(jnp.cos(angle).T, jnp.sin(angle).T))


def wave_sum(coefficients: Complex[Array, " K"], harmonics: Waves) -> Float[Array, " S"]:
    """The curve of coefficients where the harmonics were taken."""
    cosines = jnp.matmul(jnp.real(coefficients), harmonics.cosine, precision="highest")
    return cosines - jnp.matmul(jnp.imag(coefficients), harmonics.sine, precision="highest")


def wave_table(length: int) -> Waves:
    """`waves` of every number of frames from 0 to `length`: row n is that of n frames."""
    return jax.vmap(lambda n: waves(n, length))(jnp.arange(length + 1))
