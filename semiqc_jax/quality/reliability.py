"""How far a score can be read as a probability: Platt scaling, and observed shares against predicted ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

EDGE = 1e-4  # scores are cut to [EDGE, 1 - EDGE] before the logarithm of their odds is taken
RIDGE, NEWTON_STEPS = 1e-3, 30  # the penalty on the slope keeps it finite where the classes separate
BINS = 5
LEVEL = 0.95  # of intervals


@dataclass(frozen=True)
class PlattScale:
    """P(good) = sigmoid(slope x log-odds of the score + offset); the slope is not negative."""

    slope: float
    offset: float


@dataclass(frozen=True)
class Bin:
    """The cases whose predicted probability lies in [low, high)."""

    low: float
    high: float
    n: int
    predicted: float  # mean
    observed: float  # share that is good
    observed_low: float  # Wilson interval, 95 %
    observed_high: float


@dataclass(frozen=True)
class Reliability:
    """Predicted against observed, each case predicted by a scale that was fitted to the others."""

    bins: tuple[Bin, ...]
    ece: float  # expected calibration error: mean |predicted - observed| of the bins, by their size; NaN without cases
    brier: float  # mean squared distance of prediction and outcome; NaN without cases

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Reliability:
        """Undo `dataclasses.asdict`; null is NaN."""
        ece, brier = (np.nan if values[key] is None else values[key] for key in ("ece", "brier"))
        return cls(tuple(Bin(**one) for one in values["bins"]), ece, brier)


def _log_odds(score: Float[NDArray, ...]) -> Float[NDArray, ...]:
    return logit(np.clip(np.nan_to_num(score, nan=0.0), EDGE, 1 - EDGE))


def fit_platt(score: Float[NDArray, " N"], good: Bool[NDArray, " N"]) -> PlattScale:
    """Fit the scale by maximum likelihood, outcomes drawn towards 1/2 as in Platt 1999, section 2.2.

    Without cases the probability is 1/2 whatever the score.
    """
    x, n_good = np.stack([_log_odds(score), np.ones(len(score))]), int(np.sum(good))
    target = np.where(good, (n_good + 1) / (n_good + 2), 1 / (len(score) - n_good + 2))
    penalty = np.diag([RIDGE, 1e-9])
    w = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        p = expit(w @ x)
        gradient = x @ (p - target) + penalty @ w
        curvature = (x * np.maximum(p * (1 - p), 1e-6)) @ x.T + penalty
        w = w - np.clip(np.linalg.solve(curvature, gradient), -2, 2)
    if w[0] < 0:  # a score that is worse than none: the same probability for all
        return PlattScale(0.0, float(logit((n_good + 1) / (len(score) + 2))))
    return PlattScale(float(w[0]), float(w[1]))


def platt_probability(score: Float[NDArray, ...], scale: PlattScale) -> Float[NDArray, ...]:
    """P(good) of scores."""
    return expit(scale.slope * _log_odds(score) + scale.offset)


def wilson_interval(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a share of k in n; (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    z = float(norm.ppf(0.5 + level / 2))
    centre, half = k + z**2 / 2, z * np.sqrt(k * (n - k) / n + z**2 / 4)
    return max(float(centre - half) / (n + z**2), 0.0), min(float(centre + half) / (n + z**2), 1.0)


def reliability_table(probability: Float[NDArray, " N"], good: Bool[NDArray, " N"]) -> Reliability:
    """Bins of equal width that hold a case, the expected calibration error and the Brier score."""
    edges = np.linspace(0, 1, BINS + 1)
    which = np.minimum((probability * BINS).astype(int), BINS - 1)
    bins = []
    for b in np.unique(which):
        here = which == b
        n, k = int(here.sum()), int(good[here].sum())
        predicted = float(probability[here].mean())
        bins.append(Bin(float(edges[b]), float(edges[b + 1]), n, predicted, k / n, *wilson_interval(k, n)))
    if not bins:
        return Reliability((), float("nan"), float("nan"))
    ece = sum(one.n * abs(one.predicted - one.observed) for one in bins) / len(good)
    return Reliability(tuple(bins), ece, float(np.mean((probability - good) ** 2)))


def reliability(score: Float[NDArray, " N"], good: Bool[NDArray, " N"]) -> Reliability:
    """Of a score that is scaled to probabilities: each case's by the scale that the N - 1 others give."""
    others = ~np.eye(len(score), dtype=bool)
    unseen = [platt_probability(score[n], fit_platt(score[keep], good[keep])) for n, keep in enumerate(others)]
    return reliability_table(np.asarray(unseen, np.float64).reshape(len(score)), np.asarray(good, bool))
