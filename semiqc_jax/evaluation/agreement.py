"""Agreement of a measured index with its reference, and summaries that say how many values they rest on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def summary(values: Sequence[float]) -> dict[str, float | int]:
    """Mean and standard deviation (n - 1) of the defined values, and how many were defined and undefined."""
    array = np.asarray(values, float)
    defined = array[~np.isnan(array)]
    return {
        "mean": float(defined.mean()) if len(defined) else float("nan"),
        "sd": float(defined.std(ddof=1)) if len(defined) > 1 else float("nan"),
        "n": len(defined),
        "n_undefined": len(array) - len(defined),
    }


def defined_mean(values: Sequence[float]) -> float:
    """Mean of the values that are defined; NaN where none is."""
    return summary(values)["mean"]


def agreement(predicted: ArrayLike, reference: ArrayLike) -> dict[str, float | int]:
    """Bland-Altman agreement over the pairs in which both values are defined.

    Bias is the mean of predicted - reference; the limits of agreement lie 1.96 standard deviations (n - 1)
    to either side (Bland and Altman, Lancet 1986). Then the mean absolute error and Pearson's r, which is
    NaN for fewer than three pairs or where one side does not vary.
    """
    p, r = np.asarray(predicted, float), np.asarray(reference, float)
    both = ~(np.isnan(p) | np.isnan(r))
    p, r = p[both], r[both]
    error, n = p - r, len(p)
    bias = float(error.mean()) if n else float("nan")
    reach = 1.96 * float(error.std(ddof=1)) if n > 1 else float("nan")
    varies = n > 2 and np.ptp(p) > 0 and np.ptp(r) > 0
    return {
        "n": n,
        "bias": bias,
        "loa_low": bias - reach,
        "loa_high": bias + reach,
        "mae": float(np.abs(error).mean()) if n else float("nan"),
        "pearson_r": float(np.corrcoef(p, r)[0, 1]) if varies else float("nan"),
    }


def bootstrap_interval(
    per_patient: ArrayLike, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean, patients drawn with replacement; NaN for fewer than two."""
    values = np.asarray(per_patient, float)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    tail = (1 - level) / 2
    low, high = np.quantile(values[picks].mean(1), [tail, 1 - tail])
    return float(low), float(high)
