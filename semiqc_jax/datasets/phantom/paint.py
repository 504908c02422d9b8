"""Painting tissues with partial volume, and the smooth random texture within them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

WAVES = 8  # plane waves that make up a texture


def cover(inside_mm: Array, width_mm: Array | float) -> Array:
    """Covered share of a pixel `width_mm` wide whose centre lies `inside_mm` within an edge."""
    return jnp.clip(inside_mm / width_mm + 0.5, 0.0, 1.0)


def paint(under: Array, signal: Array | float, share: Array) -> Array:
    """The picture `under` with `share` of each pixel taken by `signal`."""
    return under + share * (signal - under)


def wave_vectors(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw [WAVES, 3] wave vectors in rad per mm, 9 to 60 mm long in any direction."""
    direction = rng.normal(size=(WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return direction * (2 * np.pi / rng.uniform(9.0, 60.0, (WAVES, 1)))


def texture_field(waves: NDArray, x: Array, y: Array, z: Array | float) -> Array:
    """Smooth random field of mean 0 and variance 1 at points in mm; `waves` [WAVES, 4]: vector and phase."""
    parts = [
        jnp.cos(waves[k, 0] * x + waves[k, 1] * y + waves[k, 2] * z + waves[k, 3]) for k in range(WAVES)
    ]
    return sum(parts, jnp.zeros(())) * (2.0 / WAVES) ** 0.5
