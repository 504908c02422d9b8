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
    values: ArrayLike, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over label draws and patients.

    Rows and columns are resampled with replacement, each on their own (the pigeonhole bootstrap: Owen, Annals
    of Applied Statistics 2007). One draw leaves patients alone to be resampled.

    Args:
        values: [draws, patients], or [patients] of a single draw. Patients with a NaN are left out.

    Returns:
        Its two ends; NaN for fewer than two patients.
    """
    table = np.atleast_2d(np.asarray(values, float))
    table = table[:, ~np.isnan(table).any(0)]
    n_draws, n_patients = table.shape
    if n_patients < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    patients = rng.integers(0, n_patients, (resamples, 1, n_patients))
    draws = rng.integers(0, n_draws, (resamples, n_draws, 1))
    tail = (1 - level) / 2
    low, high = np.quantile(table[draws, patients].mean((1, 2)), [tail, 1 - tail])
    return float(low), float(high)
