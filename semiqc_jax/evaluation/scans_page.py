"""The HTML page of newly segmented scans: what to look at first, and every scan's indices and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from semiqc_jax.anatomy import Task
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.overlays import GalleryItem, gallery_figure
from semiqc_jax.evaluation.plots import curves_figure
from semiqc_jax.evaluation.report import data_uri, render, show
from semiqc_jax.evaluation.words import INDEX, QUANTITIES, gallery_words, undefined_note
from semiqc_jax.files import write_text

SHOWN, LISTED = 12, 500  # scans in the pictures, in the table
REASONS_SHOWN = 3
NO_PROMISE = (
    "The verdict is never above “review”: accepting needs limits that were calibrated on labelled cases from outside "
    "training, and there are none here."
)


def write_scans_page(
    path: Path,
    scans: Sequence[Mapping[str, Any]],
    quarantine: Sequence[Mapping[str, Any]],
    gallery: Sequence[GalleryItem],
    curves: Mapping[str, Float[ndarray, "T C"]],
    provenance: Mapping[str, Any],
    task: Task,
    promise: str = NO_PROMISE,
) -> None:
    """Write the page, whole in one file.

    Args:
        scans: indices, `score`, `verdict` and `reasons` of each scan.
        quarantine: rows of `quarantine.csv`.
        gallery: the scans to look at first.
        curves: their curves, in the task's unit; those of a single frame are not drawn.
        provenance: `run`, `step` and `sha256` of the model.
        promise: a sentence on what the verdicts rest on.
    """
    rows = sorted(scans, key=lambda scan: scan["score"])[:LISTED]
    cines = {name: curve for name, curve in curves.items() if len(curve) > 1}
    pictures = [gallery_figure(gallery, task, f"{gallery_words(task)}, lowest scores first")]
    pictures += [curves_figure(cines, task)] if cines else []
    text = render(
        "scans.html",
        title="Segmented scans",
        n_scans=len(scans),
        provenance=provenance,
        promise=promise,
        pictures=[data_uri(figure_png(figure)) for figure in pictures],
        quantity=QUANTITIES[task.curve],
        head=["scan", "score", *(INDEX[name].title for name in task.indices)],
        rows=[_row(scan, task) for scan in rows],
        missing=undefined_note([name for name in task.indices if all(isnan(scan[name]) for scan in scans)]),
        quarantine=quarantine,
    )
    write_text(path, text)


def _row(scan: Mapping[str, Any], task: Task) -> dict[str, Any]:
    reasons = scan["reasons"].split("; ")
    more = len(reasons) - REASONS_SHOWN
    shown = [*reasons[:REASONS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    values = (show(scan[name], INDEX[name].digits) for name in task.indices)
    cells = [scan["subject_id"], show(scan["score"], 2), *values]
    return {"cells": cells, "verdict": scan["verdict"], "reasons": "; ".join(shown)}
