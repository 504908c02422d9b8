"""How well two curves over the closed cardiac cycle go together."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

FLAT_PERCENT = 1.0  # curves with a smaller first harmonic, in % of their mean, have no phase


def lag_and_correlation(wave: Float[Array, "T 2"], n: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Lag of the two first harmonics in % of the cycle, from 0 to 50, and the correlation of the curves.

    Curves that hardly vary have no lag (0) and little correlation: spreads are taken as at least `FLAT_PERCENT`.
    Neither depends on the frame that the cycle starts with.

    Args:
        wave: curves / their mean over the cycle - 1; 0 in padded frames.
        n: number of frames.
    """
    n = jnp.maximum(n, 1)
    angle = 2 * jnp.pi * jnp.arange(len(wave)) / n
    cosine, sine = (2 / n * (f(angle) @ wave) for f in (jnp.cos, jnp.sin))
    turn = jnp.arctan2(sine[1] * cosine[0] - cosine[1] * sine[0], cosine[0] * cosine[1] + sine[0] * sine[1])
    varies = jnp.all(jnp.hypot(cosine, sine) > FLAT_PERCENT / 100)
    sd = jnp.maximum(jnp.sqrt(jnp.sum(wave**2, 0) / n), FLAT_PERCENT / 100)
    correlation = jnp.sum(wave[:, 0] * wave[:, 1]) / n / sd.prod()
    return jnp.where(varies, 100 * jnp.abs(turn) / (2 * jnp.pi), 0.0), correlation
