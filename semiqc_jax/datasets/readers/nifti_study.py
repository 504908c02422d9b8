"""Volumes read from NIfTI -> a `Study`."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Num, UInt8
from numpy import ndarray
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.readers.drawn import drawn, drawn_phases
from semiqc_jax.datasets.readers.nifti_file import Volume, frame_times_s
from semiqc_jax.errors import DataError
from semiqc_jax.study import Study, uniform_positions

SWAPPED = 2.0  # frames that differ this much more than slices do are slices


def nifti_study(
    subject_id: str,
    image: Volume,
    label: UInt8[ndarray, "T Z Y X"] | None,
    task: Task,
    warnings: tuple[str, ...] = (),
    **known: Any,
) -> Study:
    """The study of a volume and its label, with what else is known of the subject.

    Slices and classes count as drawn by `drawn`; without `ed_frame` and `es_frame` among `known` they are those
    of the drawn frames (`drawn_phases`).

    Args:
        subject_id: its id.
        image: the cine.
        label: canonical codes, on the image's grid.
        task: what is drawn.
        warnings: of the reader.
        known: more fields of `Study`.

    Raises:
        DataError: time and slices seem to be swapped.
    """
    check_order(image.data, subject_id)
    phases = ("ed_frame", "es_frame")
    if label is not None and all(known.get(name) is None for name in phases):
        known |= dict(zip(phases, drawn_phases(label, task), strict=True))
    return Study(
        subject_id=subject_id,
        image=image.data,
        spacing_mm=image.spacing_mm,
        slice_position_mm=uniform_positions(image.data.shape[1], image.spacing_mm[0]),
        affine=image.affine,
        task=task,
        frame_time_s=frame_times_s(image),
        label=label,
        labelled=None if label is None else drawn(label, task.n_classes),
        warnings=(*warnings, *_spacing_warnings(image.affine, image.spacing_mm)),
        **known,
    )


def check_order(image: Num[ndarray, "T Z Y X"], subject_id: str) -> None:
    """Refuse axes (x, y, t, z): frame follows frame smoothly, slice does not follow slice so.

    The mean difference of neighbouring frames is 0.07 to 0.14 of that of neighbouring slices in real cines.

    Raises:
        DataError: names the subject.
    """
    n_frames, n_slices = image.shape[:2]
    if n_frames < 5 or n_slices < 5:
        return
    coarse = image[..., ::4, ::4].astype(np.float64)
    with np.errstate(all="ignore"):  # pixels that are not finite are named by check_study
        between_frames, between_slices = (np.abs(np.diff(coarse, axis=axis)).mean() for axis in (0, 1))
    if between_frames > SWAPPED * between_slices:
        what = f"the {n_slices} slices are more alike than the {n_frames} frames: the axes look like (x, y, t, z)"
        raise DataError(what, subject_id, "write the axes as (x, y, z, t)")


def _spacing_warnings(affine: NDArray, spacing_mm: tuple[float, float, float]) -> tuple[str, ...]:
    of_affine = np.sqrt((affine[:3, :3] ** 2).sum(0))[::-1]
    if np.allclose(of_affine, spacing_mm, rtol=0.01):
        return ()
    shown = ", ".join(f"{v:.3g}" for v in of_affine)
    return (f"the affine's voxel size ({shown}) mm differs from the header's; the header's is used",)
