"""How well a score picks the good ones: correlation, precision and yield, within a network and over drawn patients.

`weights` [B, N] are those of `detection.patient_weights`: how often each row counts in each draw of patients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.stats import rankdata

from semiqc_jax.studies.detection import Estimate

PRECISION = 0.9
Weights = Float[NDArray, "B N"]
Figure = Callable[[Float[NDArray, " N"], Weights], Float[NDArray, " B"]]


def averaged(figure: Callable[..., NDArray], network: Int[NDArray, " N"], weights: Weights, *rows: NDArray) -> Estimate:
    """`figure(*rows, weights)` within each network, then the mean over the networks that have it."""
    each = [
        figure(*(x[here] for x in rows), weights[:, here]) for one in np.unique(network) for here in [network == one]
    ]
    stacked = np.stack(each)
    there = ~np.isnan(stacked)
    total = np.where(there, stacked, 0.0).sum(0)
    return Estimate(np.divide(total, there.sum(0), out=np.full(total.shape, np.nan), where=there.any(0)))


def spearman(score: Float[NDArray, " N"], dice: Float[NDArray, " N"], weights: Weights) -> Float[NDArray, " B"]:
    """Spearman's correlation of score and Dice; ranks are those of all rows, weighted correlation of them."""
    a, b = rankdata(score), rankdata(dice)
    total = weights.sum(1)
    a, b = (x - (weights @ x / total)[:, None] for x in (a, b))
    product, spread = (weights * a * b).sum(1), np.sqrt((weights * a**2).sum(1) * (weights * b**2).sum(1))
    return np.divide(product, spread, out=np.full(len(total), np.nan), where=spread > 0)


def _accepted(score: Float[NDArray, " N"], good: Bool[NDArray, " N"], weights: Weights) -> tuple[NDArray, NDArray]:
    """(accepted, good among them) as the rows are taken from the best down, [B, N] each; ties in row order."""
    order = np.argsort(-score, kind="stable")
    counts = weights[:, order]
    return np.cumsum(counts, 1), np.cumsum(counts * good[order], 1)


def half_precision(score: Float[NDArray, " N"], good: Bool[NDArray, " N"], weights: Weights) -> Float[NDArray, " B"]:
    """Share of good rows in the better half by score."""
    accepted, right = _accepted(score, good, weights)
    at = np.argmax(accepted >= 0.5 * accepted[:, -1:], 1)[:, None]
    return (np.take_along_axis(right, at, 1) / np.take_along_axis(accepted, at, 1))[:, 0]


def kept_at_precision(score: Float[NDArray, " N"], good: Bool[NDArray, " N"], weights: Weights) -> Float[NDArray, " B"]:
    """Share of the good rows kept by the loosest limit whose accepted rows are good to 90 %; NaN without good rows.

    The limit is chosen with the truth in sight: it is what the ranking allows, not what a user would get.
    """
    accepted, right = _accepted(score, good, weights)
    enough = (right >= PRECISION * accepted) & (accepted > 0)
    best = np.where(enough, right, 0).max(1, initial=0)
    total = right[:, -1] if right.shape[1] else np.zeros(len(weights))
    return np.divide(best, total, out=np.full(len(best), np.nan), where=total > 0)


def prevalence(good: Bool[NDArray, " N"], weights: Weights) -> Float[NDArray, " B"]:
    """Share of good rows."""
    return weights @ good / weights.sum(1)


def share_kept(score: Float[NDArray, " N"], network: Int[NDArray, " N"], fraction: float = 0.5) -> Bool[NDArray, " N"]:
    """Which rows are in the better `fraction` of their network."""
    kept = np.zeros(len(score), bool)
    for one in np.unique(network):
        here = np.flatnonzero(network == one)
        kept[here[np.argsort(-score[here], kind="stable")][: round(fraction * len(here))]] = True
    return kept
