"""`Study`: one subject's cine with its geometry and optional labels, and every check that makes one valid."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import SHORT_AXIS, Task
from semiqc_jax.errors import DataError

SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, eq=False)
class Study:
    """One subject's cine series on its native grid.

    Shapes: T frames (2 for end-diastole and end-systole only, else a whole cycle), Z slices (1 for an aortic
    plane), Y x X pixels, C classes of the task. `check_study` says whether one is valid.
    """

    subject_id: str
    image: NDArray[np.float32]  # [T, Z, Y, X]
    spacing_mm: tuple[float, float, float]  # (dz, dy, dx); dz is the distance between slice centres
    slice_position_mm: NDArray[np.float64]  # [Z], along the slice normal, increasing; gaps may be uneven
    affine: NDArray[np.float64]  # [4, 4], NIfTI RAS, of the source's (x, y, z) voxel grid
    task: Task = SHORT_AXIS
    frame_time_s: NDArray[np.float64] | None = None  # [T]
    label: NDArray[np.uint8] | None = None  # [T, Z, Y, X], canonical codes
    labelled: NDArray[np.bool_] | None = None  # [T, Z, C]: class c is drawn on this slice
    ed_frame: int | None = None
    es_frame: int | None = None
    group: str | None = None
    sex: str | None = None
    age_years: float | None = None
    height_cm: float | None = None
    weight_kg: float | None = None
    heart_rate_bpm: float | None = None
    pulse_pressure_mmhg: float | None = None
    site: str | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, Z, Y, X)."""
        return cast(tuple[int, int, int, int], self.image.shape)


def uniform_positions(n_slices: int, dz_mm: float) -> NDArray[np.float64]:
    """Slice positions [Z] in mm of `n_slices` evenly spaced slices, starting at 0."""
    with np.errstate(invalid="ignore"):  # a distance that is not finite is named by check_study
        return np.arange(n_slices, dtype=np.float64) * dz_mm


def check_study(study: Study, where: object | None = None) -> Study:
    """Return `study` if it is valid.

    Raises:
        DataError: names the subject (and `where`, the file), what is wrong and how to mend it.
    """
    place = study.subject_id if where is None else f"{study.subject_id}, {where}"

    def fail(what: str, mend: str) -> None:
        raise DataError(what, place, mend)

    if not SAFE_ID.fullmatch(study.subject_id) or ".." in study.subject_id:
        fail("subject id is no safe file name", "use letters, digits, '.', '_' and '-'")
    image = study.image
    if image.ndim != 4 or 0 in image.shape:
        fail(f"image has shape {image.shape}", "a cine is [frames, slices, rows, columns], none of them 0")
    if study.task.curve == "mm2" and image.shape[1] != 1:
        fail(f"{image.shape[1]} slices", f"a study of the task '{study.task.name}' is one plane: give each its own id")
    if min(image.shape[2:]) < 8:
        fail(f"slices of {image.shape[2]} x {image.shape[3]} pixels", "check the order of the axes")
    if not np.isfinite(image).all():
        fail("image holds NaN or infinite pixels", "export the series again or fill the pixels")
    if image.max() == image.min():
        fail("image is constant", "export the series again")
    spacing = np.asarray(study.spacing_mm, float)
    if spacing.shape != (3,) or not np.isfinite(spacing).all() or (spacing <= 0).any():
        fail(f"voxel spacing {study.spacing_mm} mm", "write the true spacing into the header")
    if (spacing[1:] > 20).any() or (spacing[1:] < 0.1).any() or spacing[0] > 100:
        fail(f"voxel spacing {study.spacing_mm} mm is implausible", "spacing is in mm: check the header's units")
    position = np.asarray(study.slice_position_mm)
    if position.shape != (image.shape[1],) or not np.isfinite(position).all() or (np.diff(position) <= 0).any():
        fail("slice positions are not one increasing number a slice", "sort the slices along their normal")
    if np.shape(study.affine) != (4, 4) or not np.isfinite(study.affine).all():
        fail("affine is not a finite 4 x 4 matrix", "write a valid sform or qform")
    time = study.frame_time_s
    if time is not None and (
        np.shape(time) != (image.shape[0],) or not np.isfinite(time).all() or (np.diff(time) <= 0).any()
    ):
        fail("frame times are not one increasing number a frame", "check the trigger times")
    for name, frame in (("ED", study.ed_frame), ("ES", study.es_frame)):
        if frame is not None and not 0 <= frame < image.shape[0]:
            fail(f"{name} frame {frame} is outside the {image.shape[0]} frames", "check the phase given")
    _check_label(study, fail)
    return study


def _check_label(study: Study, fail) -> None:  # type: ignore[no-untyped-def]
    if (study.label is None) != (study.labelled is None):
        fail("label without a record of what is drawn", "give `label` and `labelled` together")
    if study.label is None or study.labelled is None:
        return
    if study.label.shape != study.image.shape:
        fail(f"label {study.label.shape} and image {study.image.shape} differ", "use the label of this image")
    if study.label.max(initial=0) > study.task.n_classes:
        fail(f"label code {study.label.max()}", f"canonical codes are 0 to {study.task.n_classes}")
    if study.labelled.shape != (*study.image.shape[:2], study.task.n_classes):
        fail(f"`labelled` has shape {study.labelled.shape}", "it is [frames, slices, classes]")
