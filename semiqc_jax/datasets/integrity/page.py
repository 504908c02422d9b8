"""The integrity check's HTML page: what is wrong first, then distributions, pictures and every subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semiqc_jax.datasets.integrity.facts import Facts
from semiqc_jax.datasets.integrity.pictures import distributions_figure
from semiqc_jax.datasets.integrity.summary import Summary
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.report import data_uri, render, show
from semiqc_jax.files import write_text

LISTED, SHOWN = 1000, 240  # rows of the table, pictures on the page; `check.csv` has all
ORDER = ("left out", "warned", "fine")


def write_page(
    path: Path, facts: Sequence[Facts], rows: Sequence[Mapping[str, Any]], summary: Summary, pictures: str
) -> None:
    """Write `report.html`.

    Args:
        facts: each subject, and its row of `check.csv` in `rows`.
        pictures: folder of the pictures, beside the page.
    """
    order = sorted(range(len(facts)), key=lambda n: ORDER.index(facts[n].status))
    drawn = [n for n in order if facts[n].picture]
    usable = [one.row for one in facts if one.row]
    text = render(
        "check.html",
        title="Integrity check",
        counts=summary.counts,
        problems=summary.problems,
        kinds=summary.kinds,
        reasons=summary.reasons,
        doubles=summary.doubles,
        figure=data_uri(figure_png(distributions_figure(usable))) if usable else None,
        pictures=[_picture(facts[n], pictures) for n in drawn[:SHOWN]],
        n_drawn=len(drawn),
        n_subjects=len(facts),
        refused=[one.refused.row() for one in facts if one.refused][:LISTED],
        rows=[_row(facts[n], rows[n], pictures) for n in order if facts[n].refused is None][:LISTED],
    )
    write_text(path, text)


def _picture(one: Facts, folder: str) -> dict[str, Any]:
    return {"address": f"{folder}/{one.picture}", "name": one.subject_id, "warnings": one.warnings}


def _row(one: Facts, row: Mapping[str, Any], folder: str) -> dict[str, Any]:
    gaps = "–" if row.get("even_slices") is None else "yes" if row["even_slices"] else "no"
    drawn = [f"{k.removesuffix('_slices_drawn')} {v}" for k, v in row.items() if k.endswith("_slices_drawn") and v]
    sizes = [(k, v) for k, v in row.items() if k.endswith(("_ed_ml", "_es_ml", "_ed_mm2", "_es_mm2"))]
    phases = "–" if row.get("ed_frame") is None else f"{row['ed_frame']}, {row.get('es_frame')}"
    by_label = "–" if row.get("ed_by_label") is None else f"{row['ed_by_label']}, {row['es_by_label']}"
    return {
        "name": one.subject_id,
        "picture": f"{folder}/{one.picture}" if one.picture else None,
        "status": {"warned": "review", "fine": "accept"}[one.status],
        "word": one.status,
        "cells": [
            row.get("split") or "–",
            row.get("group") or "–",
            f"{row['frames']} x {row['slices']} x {row['height']} x {row['width']}",
            " x ".join(f"{row[k]:.2f}" for k in ("dz_mm", "dy_mm", "dx_mm")),
            gaps,
            phases,
            by_label,
            ", ".join(drawn) or "–",
            ", ".join(f"{show(v, 0)}" for _, v in sizes[:2]) or "–",
            f"{row['intensity_p1']:.4g} to {row['intensity_p99']:.4g}",
        ],
        "warnings": one.warnings,
    }
