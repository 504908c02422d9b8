"""One subject's evaluation: a row per labelled frame and class, and its clinical indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from semiqc_jax.anatomy import SHORT_AXIS, Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.downstream.curves import curves_from_labels, slice_extent_mm
from semiqc_jax.downstream.indices import SHORT_AXIS_INDICES, short_axis_indices
from semiqc_jax.downstream.phases import phases
from semiqc_jax.errors import DataError
from semiqc_jax.evaluation.overlap import dice, surface_distance

Protocol = Literal["native", "ssl4mis"]
NAN = float("nan")


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

    Distances are in mm under the `native` protocol and in voxels under `ssl4mis`. `volume_ml` is what was
    predicted (mm^2 for the aorta), `reference_ml` is NaN where the class is not drawn on every slice.
    """

    subject_id: str
    group: str
    frame: int
    phase: str  # "ed", "es" or "" for other frames
    class_name: str
    dice: float
    hd95_mm: float
    assd_mm: float
    volume_ml: float
    reference_ml: float

    def record(self) -> dict[str, Any]:
        """The row keyed by the columns of `per_case.csv`."""
        values = asdict(self)
        values["class"] = values.pop("class_name")
        return values


CASE_COLUMNS = tuple("class" if f.name == "class_name" else f.name for f in fields(CaseRow))


@dataclass(frozen=True)
class SubjectIndices:
    """Indices of one subject from the truth and from the prediction read at two choices of phases."""

    truth: Mapping[str, float]
    reference: Mapping[str, float]  # the prediction at the reference's ED and ES
    predicted: Mapping[str, float]  # the prediction at its own ED and ES


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


def _curves(subject: Subject, label: UInt8[np.ndarray, "T Z Y X"], task: Task) -> Float[np.ndarray, "T C"]:
    extent = slice_extent_mm(np.asarray(subject.slice_position_mm, float), subject.spacing_mm[0])
    return curves_from_labels(
        label, subject.spacing_mm, extent if task.curve == "ml" else None, task.n_classes
    )


def reference_curves(
    subject: Subject, label: UInt8[np.ndarray, "T Z Y X"], labelled: Bool[np.ndarray, "T Z C"], task: Task
) -> Float[np.ndarray, "T C"]:
    """Volumes from the truth, [T, C] in the task's unit; NaN where a class is not drawn on every slice."""
    return np.where(labelled.all(1), _curves(subject, label, task), NAN)


def reference_phases(subject: Subject, truth: Float[np.ndarray, "T C"]) -> tuple[int | None, int | None]:
    """(ED, ES) frames as the data set gives them, else from the true curve of the first class.

    None where neither says. A true curve that is known for all frames is smoothed as `phases` does; one known
    for two frames or more is read as it is.
    """
    ed, es, curve = subject.ed_frame, subject.es_frame, truth[:, 0]
    known = ~np.isnan(curve)
    if known.all():
        found = phases(curve)
        return (int(found[0]) if ed is None else ed), (int(found[1]) if es is None else es)
    if known.sum() > 1:
        ed = int(np.nanargmax(curve)) if ed is None else ed
        es = int(np.nanargmin(curve)) if es is None else es
    return ed, es


def case_rows(
    subject: Subject,
    predicted: UInt8[np.ndarray, "T Z Y X"],
    label: UInt8[np.ndarray, "T Z Y X"],
    labelled: Bool[np.ndarray, "T Z C"],
    task: Task = SHORT_AXIS,
    protocol: Protocol = "native",
) -> list[CaseRow]:
    """Measure every class that is drawn on every frame that is labelled.

    Dice counts the slices on which the class is drawn. Surface distances need the class drawn on every slice
    of the frame. The rules for empty masks are those of `dice` and `surface_distance`. `ssl4mis` takes its
    units from the semi-supervised benchmark on ACDC (distances in voxels, HD95 over both directions pooled)
    but on native voxels, where the benchmark resizes slices to 256 x 256: not comparable with its tables.
    """
    spacing: tuple[float, float, float] = subject.spacing_mm
    position: Float[np.ndarray, " Z"] | None = np.asarray(subject.slice_position_mm, float)
    if protocol == "ssl4mis":
        spacing, position = (1.0, 1.0, 1.0), None
    truth, volume = reference_curves(subject, label, labelled, task), _curves(subject, predicted, task)
    ed, es = reference_phases(subject, truth)
    rows = []
    for frame, c in zip(*np.nonzero(labelled.any(1))):
        drawn = labelled[frame, :, c]
        ours, theirs = predicted[frame] == c + 1, label[frame] == c + 1
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
                volume_ml=float(volume[frame, c]),
                reference_ml=float(truth[frame, c]),
            )
        )
    return rows


def subject_indices(
    subject: Subject,
    predicted: UInt8[np.ndarray, "T Z Y X"],
    label: UInt8[np.ndarray, "T Z Y X"],
    labelled: Bool[np.ndarray, "T Z C"],
    task: Task = SHORT_AXIS,
) -> SubjectIndices:
    """The nine ventricular indices of a subject; NaN where the truth does not give a phase or a volume."""
    truth, curves = reference_curves(subject, label, labelled, task), _curves(subject, predicted, task)

    def read(volumes: Float[np.ndarray, "T C"], ed: int | None, es: int | None) -> dict[str, float]:
        if ed is None or es is None:
            return dict.fromkeys(SHORT_AXIS_INDICES, NAN)
        return {
            name: float(value)
            for name, value in short_axis_indices(volumes, np.asarray(ed), np.asarray(es)).items()
        }

    ed, es = reference_phases(subject, truth)
    own_ed, own_es = phases(curves[:, 0])
    return SubjectIndices(read(truth, ed, es), read(curves, ed, es), read(curves, int(own_ed), int(own_es)))
