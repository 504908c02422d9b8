"""Evaluate a stream of segmented subjects: metrics.json, tables, plots and overlays in one folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.errors import ConfigError, NothingUsableError
from semiqc_jax.evaluation.agreement import agreement, defined_mean, summary
from semiqc_jax.evaluation.cases import (
    Case,
    CaseRow,
    Protocol,
    SubjectIndices,
    case_columns,
    case_rows,
    check_case,
    predicted_curves,
    reference_curves,
    subject_indices,
)
from semiqc_jax.evaluation.files import write_figure
from semiqc_jax.evaluation.overlays import Picture, case_picture, overlay_figure
from semiqc_jax.evaluation.plots import bland_altman_figure, curves_figure, dice_figure
from semiqc_jax.files import write_csv, write_json

SCHEMA = 1
MEASURES = ("dice", "hd95_mm", "assd_mm")
CURVES_SHOWN = 8
SOURCES = (("truth", "reference"), ("prediction", "predicted"), ("prediction", "reference"))


def measure_name(name: str, protocol: str) -> str:
    """Name of a measure in files: distances are in mm, under `ssl4mis` in voxels and named so."""
    return name.replace("_mm", "_voxel") if protocol == "ssl4mis" else name


def aggregate(rows: Sequence[CaseRow], measure: str, task: Task) -> dict[str, dict[str, dict[str, Any]]]:
    """Mean and sd of a measure over volumes, by phase (all, ed, es) and class.

    A volume is one labelled frame of one subject, so `ed` and `es` count subjects. The class `mean` averages
    the classes that are defined in a volume. Distances need a class drawn on every slice of the frame; where
    it is not, it counts neither as defined nor as undefined.
    """
    if measure != "dice":
        rows = [row for row in rows if not np.isnan(row.reference)]
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for phase in ("all", "ed", "es"):
        chosen = [row for row in rows if phase in ("all", row.phase)]
        volumes: dict[tuple[str, int], list[float]] = {}
        for row in chosen:
            volumes.setdefault((row.subject_id, row.frame), []).append(getattr(row, measure))
        result[phase] = {
            name: summary([getattr(row, measure) for row in chosen if row.class_name == name])
            for name in task.classes
        }
        result[phase]["mean"] = summary([defined_mean(values) for values in volumes.values()])
    return result


def write_evaluation(
    out_dir: Path, cases: Iterable[Case], header: Mapping[str, Any], task: Task
) -> dict[str, Any]:
    """Measure every case and write `metrics.json`, `per_case.csv`, `indices.csv`, plots and overlays.

    Cases are taken one at a time; `metrics.json` is written last, so where it exists the folder is complete.
    `indices.csv` has three rows a subject: the truth, and the prediction at its own and at the reference's
    phases (columns `source` and `phase_source`). Curves are drawn of those that have more than two frames.

    Args:
        out_dir: made where it does not exist.
        cases: subjects with their truth; one without any labelled slice is left out.
        header: `dataset`, `split`, `checkpoint` and `protocol` (`native` where absent), kept in metrics.json.

    Returns:
        What was written to `metrics.json`, NaN where it has null.

    Raises:
        DataError: a prediction does not fit its subject's grid.
        NothingUsableError: no case had a labelled slice.
    """
    protocol = header.get("protocol", "native")
    if protocol not in get_args(Protocol):
        known = ", ".join(get_args(Protocol))
        raise ConfigError(f"unknown protocol '{protocol}'", "protocol", f"choose one of {known}")
    rows: list[CaseRow] = []
    indices: dict[str, SubjectIndices] = {}
    curves: dict[str, tuple[NDArray, NDArray]] = {}
    groups: list[str] = []
    with tempfile.TemporaryDirectory() as spool:
        for case in cases:
            check_case(case, task)
            if not case.labelled.any():
                continue
            rows += case_rows(case, task, protocol)
            _save_picture(Path(spool, f"{len(indices)}.npz"), case_picture(case, task))
            if case.subject.n_frames > 2:
                curves[case.subject.subject_id] = predicted_curves(case, task), reference_curves(case, task)
            indices[case.subject.subject_id] = subject_indices(case, task)
            groups.append(case.subject.group or "")
        if not rows:
            raise NothingUsableError("no subject has a reference label", out_dir, "evaluate a labelled split")
        order = _by_dice(rows, list(indices))
        _write_overlays(out_dir, Path(spool), order, list(indices), task)
    metrics = {
        "schema": SCHEMA,
        **header,
        "task": task.name,
        "protocol": protocol,
        "n_subjects": len(indices),
        **{measure_name(m, protocol): aggregate(rows, m, task) for m in MEASURES},
        "indices": {
            phases: {name: agreement(*_pairs(indices, phases, name)) for name in task.indices}
            for phases in ("reference", "predicted")
        },
    }
    _write_tables(out_dir, rows, indices, protocol, task)
    write_figure(out_dir / "dice.png", dice_figure(rows, task))
    pairs = {name: _pairs(indices, "reference", name) for name in task.indices}
    write_figure(out_dir / "bland_altman.png", bland_altman_figure(pairs, groups))
    _write_curves(out_dir, curves, order, task)
    write_json(out_dir / "metrics.json", metrics)
    return metrics


def _pairs(
    indices: Mapping[str, SubjectIndices], phase_source: str, name: str
) -> tuple[list[float], list[float]]:
    return (
        [getattr(found, phase_source)[name] for found in indices.values()],
        [found.truth[name] for found in indices.values()],
    )


def _write_tables(
    out_dir: Path, rows: Sequence[CaseRow], indices: Mapping[str, SubjectIndices], protocol: str, task: Task
) -> None:
    records = [{measure_name(k, protocol): v for k, v in row.record(task).items()} for row in rows]
    write_csv(out_dir / "per_case.csv", [measure_name(c, protocol) for c in case_columns(task)], records)
    write_csv(
        out_dir / "indices.csv",
        ["subject_id", *task.indices, "source", "phase_source"],
        (
            {
                "subject_id": subject_id,
                **(found.truth if source == "truth" else getattr(found, phase_source)),
                "source": source,
                "phase_source": phase_source,
            }
            for subject_id, found in indices.items()
            for source, phase_source in SOURCES
        ),
    )


def _save_picture(path: Path, picture: Picture) -> None:
    np.savez_compressed(path, **vars(picture))


def _load_picture(path: Path) -> Picture:
    with np.load(path) as stored:
        values = {name: stored[name] for name in stored.files}
    return Picture(
        subject_id=str(values["subject_id"]),
        image=values["image"],
        predicted=values["predicted"],
        label=values["label"],
        frames=tuple(values["frames"].tolist()),
        slices=tuple(values["slices"].tolist()),
        aspect=float(values["aspect"]),
    )


def _by_dice(rows: Sequence[CaseRow], ids: Sequence[str]) -> list[tuple[str, float]]:
    """(subject, its mean Dice), worst first; without those whose Dice is defined nowhere."""
    by_id: dict[str, list[float]] = {subject_id: [] for subject_id in ids}
    for row in rows:
        by_id[row.subject_id].append(row.dice)
    means = [(subject_id, defined_mean(values)) for subject_id, values in by_id.items()]
    return sorted((pair for pair in means if not np.isnan(pair[1])), key=lambda pair: pair[1])


def _write_overlays(
    out_dir: Path, spool: Path, order: Sequence[tuple[str, float]], ids: Sequence[str], task: Task
) -> None:
    """Draw the best, the median and the worst case by mean Dice."""
    if not order:
        return
    for name, (subject_id, dice) in (("best", order[-1]), ("median", order[len(order) // 2]), ("worst", order[0])):
        picture = _load_picture(spool / f"{ids.index(subject_id)}.npz")
        title = f"{name} case: {subject_id}, mean Dice {dice:.3f}"
        write_figure(out_dir / f"overlay_{name}.png", overlay_figure(picture, task, title))


def _write_curves(
    out_dir: Path,
    curves: Mapping[str, tuple[NDArray, NDArray]],
    order: Sequence[tuple[str, float]],
    task: Task,
) -> None:
    """Draw predicted and true curves of a few cines, spread from the worst to the best Dice."""
    cines = [subject_id for subject_id, _ in order if subject_id in curves]
    if not cines:
        return
    at = np.unique(np.linspace(0, len(cines) - 1, CURVES_SHOWN).round().astype(int))
    shown = [cines[n] for n in at]
    found, true = ({name: curves[name][side] for name in shown} for side in (0, 1))
    write_figure(out_dir / "curves.png", curves_figure(found, task, true))
