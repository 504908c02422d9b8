"""`Facts`: what the integrity check keeps of one subject, found by the process that reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.integrity.pictures import write_picture
from semiqc_jax.datasets.outcomes import Refused, checked_study
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.shards import lost_subject
from semiqc_jax.datasets.splits import Member
from semiqc_jax.downstream.curves import task_curves
from semiqc_jax.files import write_bytes
from semiqc_jax.study import Study

UNEVEN = 0.02  # of the spacing: a gap between slices that differs more is no rounding
SATURATED = 0.02  # share of pixels at the largest value; clipping at a 99th percentile stays below it


@dataclass(frozen=True)
class Examination:
    """One subject to look at, and whether its picture is drawn in any case."""

    one: Found
    draw: bool
    folder: Path | None  # where pictures go; None draws none


@dataclass(frozen=True)
class Facts:
    """One subject: why it is left out, or its row of `check.csv` and what the summary is made of."""

    subject_id: str
    path: str
    refused: Refused | None = None
    row: Mapping[str, Any] | None = None  # the columns of `columns(task)`
    warnings: tuple[str, ...] = ()
    digest: str = ""  # of the pixels: equal for the same image under two names
    picture: str | None = None  # file name
    member: Member | None = None

    @property
    def status(self) -> str:
        """`left out`, `warned` or `fine`."""
        return "left out" if self.refused else "warned" if self.warnings else "fine"


def columns(task: Task) -> tuple[str, ...]:
    """Columns of `check.csv`."""
    drawn = (f"{name}_{what}" for name in task.classes for what in ("frames_drawn", "slices_drawn"))
    at = (f"{name}_{phase}_{task.curve}" for name in task.classes for phase in ("ed", "es"))
    return (
        *("subject_id", "path", "status", "split", "group", "site", "frames", "slices", "height", "width"),
        *("dz_mm", "dy_mm", "dx_mm", "even_slices", "smallest_gap_mm", "largest_gap_mm"),
        *("first_time_s", "last_time_s", "shortest_step_s", "longest_step_s", "label_codes"),
        *drawn,
        *("ed_frame", "es_frame", "ed_by_label", "es_by_label", "phases_agree"),
        *at,
        *("intensity_min", "intensity_p1", "intensity_p99", "intensity_max", "saturated_pct"),
        *("same_image_as", "image_sha256", "warnings", "reason", "mend"),
    )


def examine(job: Examination, lost: Mapping[int, str]) -> Iterator[Facts]:
    """Read one subject and look at it; yields one `Facts`. `lost` is as `processes.Work` says."""
    one = job.one
    study = lost_subject(one, lost[0]) if 0 in lost else checked_study(one)
    if isinstance(study, Refused):
        yield Facts(one.subject_id, str(one.path), study)
        return
    row = facts_row(study)
    warnings = (*study.warnings, *_own_warnings(row))
    picture = None
    if job.folder is not None and (job.draw or warnings):
        picture = f"{study.subject_id}.png"
        write_bytes(job.folder / picture, write_picture(study))
    digest = hashlib.sha256(repr(study.shape).encode() + np.ascontiguousarray(study.image).tobytes()).hexdigest()
    member = Member(study.subject_id, one.patient_id, one.split, study.group, study.site, study.sex)
    yield Facts(study.subject_id, str(one.path), None, row, warnings, digest, picture, member)


def facts_row(study: Study) -> dict[str, Any]:
    """Columns of `check.csv` that a study alone says."""
    n_frames, n_slices, height, width = study.shape
    dz, dy, dx = (float(v) for v in study.spacing_mm)
    gaps, times = np.diff(study.slice_position_mm), study.frame_time_s
    low, p1, p99, high = np.percentile(study.image, (0, 1, 99, 100)).tolist()
    row: dict[str, Any] = {
        "group": study.group, "site": study.site, "frames": n_frames, "slices": n_slices, "height": height,
        "width": width, "dz_mm": dz, "dy_mm": dy, "dx_mm": dx,
        "even_slices": bool(np.all(np.abs(gaps - gaps.mean()) <= UNEVEN * dz)) if len(gaps) else None,
        "intensity_min": low, "intensity_p1": p1, "intensity_p99": p99, "intensity_max": high,
        "saturated_pct": 100 * float((study.image == study.image.max()).mean()),
        "ed_frame": study.ed_frame, "es_frame": study.es_frame,
    }  # fmt: skip
    if len(gaps):
        row |= {"smallest_gap_mm": float(gaps.min()), "largest_gap_mm": float(gaps.max())}
    if times is not None:
        row |= {"first_time_s": float(times[0]), "last_time_s": float(times[-1])}
        if n_frames > 1:
            row |= {"shortest_step_s": float(np.diff(times).min()), "longest_step_s": float(np.diff(times).max())}
    return row | _label_facts(study)


def _label_facts(study: Study) -> dict[str, Any]:
    """What is drawn, the phases that follow from it, and the sizes at the phases: sums over what is drawn."""
    label, labelled, task = study.label, study.labelled, study.task
    if label is None or labelled is None or not labelled.any():
        return {}
    row: dict[str, Any] = {"label_codes": " ".join(map(str, np.unique(label)))}
    for c, name in enumerate(task.classes):
        row[f"{name}_frames_drawn"] = int(labelled[..., c].any(1).sum())
        row[f"{name}_slices_drawn"] = int(labelled[..., c].sum())
    curves = task_curves(label, study.spacing_mm, study.slice_position_mm, task)
    curves = np.where(labelled.any(1), curves, np.nan)
    ed, es = study.ed_frame, study.es_frame
    if np.isfinite(curves[:, 0]).sum() > 1:
        by_label = phases_by_label(curves[:, 0], task)
        row |= dict(zip(("ed_by_label", "es_by_label"), by_label))
        if ed is not None and es is not None:
            row["phases_agree"] = (ed, es) == by_label
        ed, es = by_label if ed is None or es is None else (ed, es)
    for phase, frame in (("ed", ed), ("es", es)):
        if frame is not None:
            row |= {f"{name}_{phase}_{task.curve}": float(v) for name, v in zip(task.classes, curves[frame])}
    return row


def phases_by_label(curve: NDArray[np.floating], task: Task) -> tuple[int, int]:
    """(ED, ES) from the first class's curve over the frames that it is drawn on, [T] with NaN elsewhere."""
    largest, smallest = int(np.nanargmax(curve)), int(np.nanargmin(curve))
    return (largest, smallest) if task.end_diastole == "largest" else (smallest, largest)


def _own_warnings(row: Mapping[str, Any]) -> Iterator[str]:
    if row["saturated_pct"] > 100 * SATURATED:
        yield f"intensities are saturated: {row['saturated_pct']:.1f} % of the pixels have the largest value"
    if row["even_slices"] is False and row["largest_gap_mm"] > 1.5 * row["smallest_gap_mm"]:
        yield f"slices are missing: gaps of {row['smallest_gap_mm']:.1f} to {row['largest_gap_mm']:.1f} mm"
