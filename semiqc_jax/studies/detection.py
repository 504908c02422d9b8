"""How well a score finds the bad: AUC and sensitivity at a specificity, with intervals over patients.

Scores of different networks are never compared: each figure is taken within a network, then averaged. Patients, not
curves, are drawn again for an interval, since the networks' errors for one patient go together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

SPECIFICITY = 0.9
RESAMPLES = 500


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % percentile interval, and all its resamples [B]; the first is the figure itself."""

    resamples: NDArray

    @property
    def value(self) -> float:
        """The figure over all patients as they are."""
        return float(self.resamples[0])

    @property
    def interval(self) -> tuple[float, float]:
        """2.5th and 97.5th percentile over the resamples of patients in which it is defined; NaN where in none."""
        defined = self.resamples[1:][~np.isnan(self.resamples[1:])]
        low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (np.nan, np.nan)
        return float(low), float(high)

    def minus(self, other: Estimate) -> Estimate:
        """The paired difference."""
        return Estimate(self.resamples - other.resamples)

    def as_json(self) -> list[float]:
        """[value, low, high]."""
        return [self.value, *self.interval]


def patient_weights(patient: Int[NDArray, " N"], seed: int = 0, resamples: int = RESAMPLES) -> Float[NDArray, "B N"]:
    """How often each row counts in each bootstrap draw of patients; the first draw counts every row once."""
    which, index = np.unique(patient, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(which), np.full(len(which), 1 / len(which)), resamples)
    return np.concatenate([np.ones((1, len(which))), counts])[:, index]


def weighted_auc(
    score: Float[NDArray, " N"], bad: Bool[NDArray, " N"], good: Bool[NDArray, " N"], weights: Float[NDArray, "B N"]
) -> Float[NDArray, " B"]:
    """Chance that a bad row scores above a good one, ties half; NaN without either. One value a set of weights."""
    order = np.argsort(score[good], kind="stable")
    ranked = score[good][order]
    below = np.pad(np.cumsum(weights[:, good][:, order], 1), ((0, 0), (1, 0)))
    left, right = (np.searchsorted(ranked, score[bad], side) for side in ("left", "right"))
    wins = np.sum(weights[:, bad] * (below[:, left] + below[:, right]) / 2, 1)
    return _ratio(wins, weights[:, bad].sum(1) * below[:, -1])


def weighted_sensitivity(
    score: Float[NDArray, " N"], bad: Bool[NDArray, " N"], good: Bool[NDArray, " N"], weights: Float[NDArray, "B N"]
) -> Float[NDArray, " B"]:
    """Share of bad rows above the lowest threshold that no more than a tenth of the good ones exceeds."""
    if not good.any() or not bad.any():
        return np.full(len(weights), np.nan)
    order = np.argsort(score[good], kind="stable")
    below = np.cumsum(weights[:, good][:, order], 1)
    enough = below >= SPECIFICITY * below[:, -1:] - 1e-9
    threshold = score[good][order][np.argmax(enough, 1)]
    caught = weights[:, bad] * (score[bad] > threshold[:, None])
    return _ratio(caught.sum(1), weights[:, bad].sum(1))


def _ratio(a: NDArray, b: NDArray) -> NDArray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)


def within_networks(
    score: Float[NDArray, " N"],
    bad: Bool[NDArray, " N"],
    good: Bool[NDArray, " N"],
    network: Int[NDArray, " N"],
    weights: Float[NDArray, "B N"],
) -> tuple[Estimate, Estimate]:
    """(AUC, sensitivity at 90 % specificity): each within a network, then the mean over the networks that have it."""
    aucs, sensitivities = [], []
    for one in np.unique(network):
        here = network == one
        rows = (score[here], bad[here], good[here], weights[:, here])
        aucs.append(weighted_auc(*rows))
        sensitivities.append(weighted_sensitivity(*rows))
    return Estimate(_defined_mean(aucs)), Estimate(_defined_mean(sensitivities))


def _defined_mean(tables: list[NDArray]) -> NDArray:
    stacked = np.stack(tables)
    there = ~np.isnan(stacked)
    return _ratio(np.where(there, stacked, 0.0).sum(0), there.sum(0))


def risk_coverage(
    score: Float[NDArray, " N"], bad: Bool[NDArray, " N"], network: Int[NDArray, " N"], coverage: Float[NDArray, " K"]
) -> Float[NDArray, " K"]:
    """Share of bad rows among the best by score that make up each coverage; within a network, then averaged."""
    risks = []
    for one in np.unique(network):
        here = network == one
        ranked = bad[here][np.argsort(score[here], kind="stable")]
        kept = np.maximum(np.round(coverage * len(ranked)).astype(int), 1)
        risks.append(np.cumsum(ranked)[kept - 1] / kept)
    return np.mean(risks, 0)
