"""Scores within disease groups, so that a policy takes as much of each group as of the others."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import NDArray


def group_codes(groups: Sequence[str | None]) -> Int[NDArray, " N"]:
    """A number for each subject's group; those whose group is unknown are one group."""
    return np.unique([group or "" for group in groups], return_inverse=True)[1]


@jax.jit
def scores_within_groups(
    score: Float[Array, " N"], valid: Bool[Array, " N"], group: Int[Array, " N"]
) -> Float[Array, " N"]:
    """1 - (rank + 1/2) / n among the valid of the own group, in (0, 1); the best of every group come first.

    Ties go to the earlier; NaN scores are the worst of their group; what is not valid gets NaN.
    """
    n = score.shape[0]
    order = jnp.lexsort((-jnp.where(jnp.isnan(score), -jnp.inf, score), ~valid, group))
    place = jnp.zeros(n, jnp.int32).at[order].set(jnp.arange(n, dtype=jnp.int32))
    first = jax.ops.segment_min(place, group, n)[group]
    size = jax.ops.segment_sum(valid.astype(jnp.int32), group, n)[group]
    return jnp.where(valid, 1 - (place - first + 0.5) / jnp.maximum(size, 1), jnp.nan)
