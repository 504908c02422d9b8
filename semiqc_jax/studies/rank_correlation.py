"""Spearman's correlation under many sets of weights at once, for bootstrap over patients."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


def weighted_spearman(
    a: Float[NDArray, " N"], b: Float[NDArray, " N"], weights: Float[NDArray, "B N"]
) -> Float[NDArray, " B"]:
    """Spearman's correlation of rows that count `weights` times; NaN where a side does not vary.

    Ranks are taken anew for each set of weights and ties share their mean rank: whole weights give what rows that are
    repeated as often would.
    """
    x, y = weighted_ranks(a, weights), weighted_ranks(b, weights)
    total = weights.sum(1, keepdims=True)
    x, y = (v - np.divide((v * weights).sum(1, keepdims=True), total) for v in (x, y))
    covariance, vx, vy = (np.sum(weights * p, 1) for p in (x * y, x * x, y * y))
    spread = np.sqrt(vx * vy)
    return np.divide(covariance, spread, out=np.full(len(weights), np.nan), where=spread > 1e-9)


def weighted_ranks(values: Float[NDArray, " N"], weights: Float[NDArray, "B N"]) -> Float[NDArray, "B N"]:
    """Mean rank, from 0, of each row among rows that count `weights` times."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    of_value = np.add.reduceat(weights[:, order], first, axis=1)
    middle = np.cumsum(of_value, 1) - (of_value + 1) / 2
    group = np.empty(len(values), int)
    group[order] = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(values)]))
    return middle[:, group]
