"""Pictures of what a round accepted and rejected: the best and the worst of each by score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semiqc_jax.downstream.curves import curves_from_areas, task_extent_mm
from semiqc_jax.downstream.phases import phases
from semiqc_jax.evaluation.files import write_figure
from semiqc_jax.evaluation.overlays import GalleryItem, gallery_figure, gallery_views
from semiqc_jax.evaluation.words import gallery_words
from semiqc_jax.files import number, read_csv
from semiqc_jax.rounds.pool import Pool

SHOWN = 4  # from either end


def write_galleries(pool: Pool) -> None:
    """Draw `accepted.png` and `rejected.png` of a complete round, unless they are there and newer than it."""
    rows = read_csv(pool.folder / "quality.csv")
    made = pool.manifest.stat().st_mtime_ns
    for name, selected in (("accepted", "1"), ("rejected", "0")):
        path = pool.folder / f"{name}.png"
        chosen = [row for row in rows if row["selected"] == selected]
        if not chosen or (path.is_file() and path.stat().st_mtime_ns > made):
            continue
        shown = best_and_worst(chosen, SHOWN)
        column = ranked_by(rows).replace("_", " ")
        task = pool.cohort.task
        title = f"{name.capitalize()} ({len(chosen)}): {gallery_words(task)} as segmented, by {column}"
        if len(shown) < len(chosen):
            title += f"; the {SHOWN} best and the {SHOWN} worst"
        write_figure(path, gallery_figure([_item(pool, row) for row in shown], task, title))


def best_and_worst(rows: Sequence[Mapping[str, str]], count: int) -> list[Mapping[str, str]]:
    """The `count` best and the `count` worst, best first; all where there are no more than that.

    By what the selector ranked by where that is known, else by the quality score.
    """
    column = ranked_by(rows)
    ordered = sorted(rows, key=lambda row: np.nan_to_num(number(row[column]), nan=-np.inf), reverse=True)
    return ordered if len(ordered) <= 2 * count else [*ordered[:count], *ordered[-count:]]


def ranked_by(rows: Sequence[Mapping[str, str]]) -> str:
    """The column of `quality.csv` that subjects are ordered by."""
    return "selector_score" if any(row.get("selector_score") for row in rows) else "score"


def _item(pool: Pool, row: Mapping[str, Any]) -> GalleryItem:
    """A subject at its predicted end-diastole, or its plane over the cycle; its truth is not looked at."""
    subject_id = row["subject_id"]
    i = pool.cohort.index(subject_id)
    subject = pool.cohort.subjects[i]
    areas = pool.store.statistics(subject_id)["area_mm2"]
    task = pool.cohort.task
    extent = task_extent_mm(np.asarray(subject.slice_position_mm), subject.spacing_mm[0], task)
    ed = int(phases(curves_from_areas(areas, extent), task)[0])
    views = gallery_views(task, subject.n_frames, subject.n_slices, ed)
    image = np.stack([pool.cohort.slice_image(i, t, z) for t, z in views])
    label = np.stack([pool.store.label_slice(subject_id, t, z) for t, z in views])
    reason = row["reasons"].split("; ")[0]
    column = ranked_by([row])
    caption = f"{column.replace('_', ' ')} {number(row[column]):.2f}\n{reason}"
    return GalleryItem(subject_id, image, label, caption, subject.spacing_mm[1] / subject.spacing_mm[2])
