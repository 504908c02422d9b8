"""How far a score is a probability: as it is, and scaled by the labelled half of a network's patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from semiqc_jax.quality.reliability import BINS, fit_platt, platt_probability
from semiqc_jax.studies.detection import Estimate, patient_weights

Rows = Int[NDArray, " M"]


def reliability_of(
    score: Float[NDArray, " N"],
    good: Bool[NDArray, " N"],
    patient: Int[NDArray, " N"],
    rows: Sequence[Rows],
    draws: Sequence[Sequence[tuple[Rows, Rows]]],
) -> dict[str, Any]:
    """`raw` and `scaled`: {ece, brier, bins}, pooled over the networks and the tests of all draws.

    Args:
        score: in [0, 1], of all rows.
        rows: of each network.
        draws: for each network (labelled, test) places in its rows.
    """
    tests, scaled = [], []
    for one, each in zip(rows, draws, strict=True):
        for labelled, test in each:
            scale = fit_platt(score[one[labelled]], good[one[labelled]])
            scaled.append(platt_probability(score[one[test]], scale))
            tests.append(one[test])
    cases = np.concatenate(tests)
    return {
        "raw": _figures(score[cases], good[cases], patient[cases]),
        "scaled": _figures(np.concatenate(scaled), good[cases], patient[cases]),
    }


def _figures(
    probability: Float[NDArray, " M"], good: Bool[NDArray, " M"], patient: Int[NDArray, " M"]
) -> dict[str, Any]:
    """Expected calibration error and Brier score with intervals over patients; (predicted, observed, cases) of bins."""
    patients, who = np.unique(patient, return_inverse=True)
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    sums = np.zeros((4, len(patients), BINS))
    for table, values in zip(sums, (np.ones(len(good)), probability, good, (probability - good) ** 2), strict=True):
        np.add.at(table, (who, bins), values)
    weights = patient_weights(np.arange(len(patients)))
    n, predicted, observed, squares = np.einsum("bp,kpc->kbc", weights, sums)
    total = n.sum(1)
    there = n[0] > 0
    return {
        "ece": Estimate(np.abs(predicted - observed).sum(1) / total).as_json(),
        "brier": Estimate(squares.sum(1) / total).as_json(),
        "bins": np.stack([predicted[0], observed[0], n[0]], 1)[there].tolist(),
    }
