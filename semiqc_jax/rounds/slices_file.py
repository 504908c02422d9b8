"""Frames and slices in a round's files: `slices.csv`, and what they sum up to for their subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from semiqc_jax.files import write_csv
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.selection import CHOSEN, existing

SLICE_COLUMNS = ("subject_id", "frame", "slice", "score", "selected", "weight", "selector_score")


def by_subject(score: Float[NDArray, ...], evidence: Evidence, unit: str) -> Float[NDArray, " N"]:
    """The mean score of each subject's units, over those that have one; NaN where none has."""
    if unit == "subject":
        return score
    there = np.asarray(existing(evidence, unit)) & ~np.isnan(score)
    axes = tuple(range(1, score.ndim))
    total, count = np.where(there, score, 0).sum(axes), there.sum(axes)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def write_slices(
    path: Path,
    subjects: Sequence[str],
    exists: Bool[NDArray, "N T Z"],
    weight: Float[NDArray, "N T Z"],
    score: Float[NDArray, "N T Z"],
    ranked_by: Float[NDArray, ...] | None,
) -> None:
    """Write one row a slice.

    Args:
        path: of the CSV file.
        subjects: their ids.
        exists: which slices there are.
        weight: of the selection.
        score: by the judge of slices; NaN where nothing is predicted.
        ranked_by: what the units were ranked by, [N, T] or [N, T, Z]; None where that stays out of sight.
    """
    ranks = None
    if ranked_by is not None:
        ranks = np.broadcast_to(ranked_by.reshape(ranked_by.shape + (1,) * (3 - ranked_by.ndim)), exists.shape)
    rows = (
        {
            "subject_id": subjects[n],
            "frame": t,
            "slice": z,
            "score": float(score[n, t, z]),
            "selected": int(weight[n, t, z] >= CHOSEN),
            "weight": float(weight[n, t, z]),
            "selector_score": None if ranks is None else float(ranks[n, t, z]),
        }
        for n, t, z in np.argwhere(exists).tolist()
    )
    write_csv(path, SLICE_COLUMNS, rows)
