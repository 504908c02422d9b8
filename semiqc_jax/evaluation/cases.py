"""One subject's evaluation: a row per labelled frame and class, and its clinical indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.downstream.curves import task_curves
from semiqc_jax.downstream.indices import clinical_indices
from semiqc_jax.downstream.phases import phases, reading_frames
from semiqc_jax.errors import DataError
from semiqc_jax.evaluation.overlap import dice, surface_distance

Protocol = Literal["native", "ssl4mis"]
NAN = float("nan")
CASE_COLUMNS = ("subject_id", "group", "frame", "phase", "class", "dice", "hd95_mm", "assd_mm")
MEASURED_COLUMNS = {"ml": ("volume_ml", "reference_ml"), "mm2": ("area_mm2", "reference_mm2")}


@dataclass(frozen=True, eq=False)
class Case:
    """A segmented subject beside its truth, on the subject's own grid."""

    subject: Subject
    image: UInt8[np.ndarray, "T Z Y X"]
    predicted: UInt8[np.ndarray, "T Z Y X"]  # canonical codes
    label: UInt8[np.ndarray, "T Z Y X"]  # canonical codes
    labelled: Bool[np.ndarray, "T Z C"]  # class c is drawn on this slice


@dataclass(frozen=True)
class CaseRow:
    """One class on one labelled frame of one subject: a line of `per_case.csv`.

    Distances are in mm under the `native` protocol and in voxels under `ssl4mis`. `measured` is the predicted
    volume (ml) or area (mm^2), `reference` the true one, NaN where the class is not drawn on every slice.
    """

    subject_id: str
    group: str
    frame: int
    phase: str  # "ed", "es" or "" for other frames
    class_name: str
    dice: float
    hd95_mm: float
    assd_mm: float
    measured: float
    reference: float

    def record(self, task: Task) -> dict[str, Any]:
        """The row keyed by `case_columns`."""
        values = (self.subject_id, self.group, self.frame, self.phase, self.class_name)
        measures = (self.dice, self.hd95_mm, self.assd_mm)
        sizes = zip(MEASURED_COLUMNS[task.curve], (self.measured, self.reference))
        return {**dict(zip(CASE_COLUMNS, (*values, *measures))), **dict(sizes)}


def case_columns(task: Task) -> tuple[str, ...]:
    """Columns of `per_case.csv`. Where curves are areas, those of volumes are there too, and empty."""
    return tuple(dict.fromkeys((*CASE_COLUMNS, *MEASURED_COLUMNS["ml"], *MEASURED_COLUMNS[task.curve])))


@dataclass(frozen=True)
class SubjectIndices:
    """Indices of one subject from the truth and from the prediction read at two choices of frames."""

    truth: Mapping[str, float]
    reference: Mapping[str, float]  # the prediction at the frames at which the truth is read
    predicted: Mapping[str, float]  # the prediction at its own


def check_case(case: Case, task: Task) -> None:
    """Raise a DataError that names the subject where a prediction or a truth does not fit its grid."""
    shape = case.subject.shape
    arrays = {"prediction": case.predicted, "reference label": case.label, "image": case.image}
    for name, array in arrays.items():
        if array.shape != shape:
            raise DataError(
                f"{name} has shape {array.shape}, the subject {shape}",
                case.subject.subject_id,
                "give every frame and slice on the subject's own grid",
            )
    if case.labelled.shape != (*shape[:2], task.n_classes):
        raise DataError(
            f"`labelled` has shape {case.labelled.shape}", case.subject.subject_id, "build the data set again"
        )


def predicted_curves(case: Case, task: Task) -> Float[np.ndarray, "T C"]:
    """Volumes or areas of the prediction in the task's unit."""
    return _curves(case.subject, case.predicted, task)


def reference_curves(case: Case, task: Task) -> Float[np.ndarray, "T C"]:
    """Volumes or areas of the truth in the task's unit; NaN where a class is not drawn on every slice."""
    return np.where(case.labelled.all(1), _curves(case.subject, case.label, task), NAN)


def _curves(subject: Subject, label: UInt8[np.ndarray, "T Z Y X"], task: Task) -> Float[np.ndarray, "T C"]:
    return task_curves(label, subject.spacing_mm, np.asarray(subject.slice_position_mm, float), task)


def reference_phases(
    subject: Subject, truth: Float[np.ndarray, "T C"], task: Task
) -> tuple[int | None, int | None]:
    """(ED, ES) frames as the data set gives them, else from the true curve of the first class.

    None where neither says. A true curve that is known for all frames is smoothed as `phases` does; one known
    for two frames or more is read as it is.
    """
    ed, es, curve = subject.ed_frame, subject.es_frame, truth[:, 0]
    known = np.flatnonzero(~np.isnan(curve))
    if len(known) < min(2, len(curve)):
        return ed, es
    if len(known) == len(curve):
        found = [int(frame) for frame in phases(truth, task)]
    else:
        found = [int(known[curve[known].argmax()]), int(known[curve[known].argmin()])]
        found = found if task.end_diastole == "largest" else found[::-1]
    return (found[0] if ed is None else ed), (found[1] if es is None else es)


def case_rows(case: Case, task: Task, protocol: Protocol = "native") -> list[CaseRow]:
    """Measure every class that is drawn on every frame that is labelled.

    Dice counts the slices on which the class is drawn. Surface distances need the class drawn on every slice
    of the frame. The rules for empty masks are those of `dice` and `surface_distance`. `ssl4mis` takes its
    units from the semi-supervised benchmark on ACDC (distances in voxels, HD95 over both directions pooled)
    but on native voxels, where the benchmark resizes slices to 256 x 256: not comparable with its tables.
    """
    subject, labelled = case.subject, case.labelled
    spacing: tuple[float, float, float] = subject.spacing_mm
    position: Float[np.ndarray, " Z"] | None = np.asarray(subject.slice_position_mm, float)
    if protocol == "ssl4mis":
        spacing, position = (1.0, 1.0, 1.0), None
    truth, measured = reference_curves(case, task), predicted_curves(case, task)
    ed, es = reference_phases(subject, truth, task)
    rows = []
    for frame, c in zip(*np.nonzero(labelled.any(1))):
        drawn = labelled[frame, :, c]
        ours, theirs = case.predicted[frame] == c + 1, case.label[frame] == c + 1
        surface = (
            surface_distance(ours, theirs, spacing, position, pooled=protocol == "ssl4mis")
            if drawn.all()
            else (NAN, NAN)
        )
        rows.append(
            CaseRow(
                subject_id=subject.subject_id,
                group=subject.group or "",
                frame=int(frame),
                phase="ed" if frame == ed else "es" if frame == es else "",
                class_name=task.classes[c],
                dice=dice(ours[drawn], theirs[drawn]),
                hd95_mm=surface[0],
                assd_mm=surface[1],
                measured=float(measured[frame, c]),
                reference=float(truth[frame, c]),
            )
        )
    return rows


def _reference_frames(
    subject: Subject, truth: Float[np.ndarray, "T C"], task: Task
) -> tuple[tuple[Int[np.ndarray, " C"], Int[np.ndarray, " C"]], Bool[np.ndarray, " C"]]:
    """The two frames at which the truth says that each class is read, and of which classes it says so.

    Extremes are those of the frames that are drawn, where these are two or more.
    """
    if task.read_at == "extremes":
        known = ~np.isnan(truth)
        largest, smallest = np.where(known, truth, -np.inf).argmax(0), np.where(known, truth, np.inf).argmin(0)
        return (largest, smallest), known.sum(0) >= min(2, len(truth))
    ed, es = reference_phases(subject, truth, task)
    says = np.full(task.n_classes, ed is not None and es is not None)
    return reading_frames(truth, np.asarray(ed or 0), np.asarray(es or 0), task), says


def subject_indices(case: Case, task: Task) -> SubjectIndices:
    """The clinical indices of a subject; NaN where the truth does not give the frames or a value."""
    truth, curves = reference_curves(case, task), predicted_curves(case, task)
    pressure = (case.subject.extra or {}).get("pulse_pressure_mmhg")
    frames, says = _reference_frames(case.subject, truth, task)

    def read(values: Float[np.ndarray, "T C"], at: Any = None) -> dict[str, float]:
        found = clinical_indices(task, values, pressure, at)
        return {name: float(value) for name, value in found.items()}

    return SubjectIndices(
        truth=read(np.where(says, truth, NAN), frames),
        reference=read(np.where(says, curves, NAN), frames),
        predicted=read(curves),
    )
