"""One NIfTI file <-> an array [T, Z, Y, X] with its geometry, or an error that names file and mend."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import LoggingOutputSuppressor
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from semiqc_jax.errors import DataError

MAX_BYTES = 2 * 1024**3  # of the volume as float32: no cine comes near, a broken header does
GRID_TOLERANCE = 0.05  # of a voxel, in spacing and in direction: headers are rounded
UNREADABLE = (OSError, EOFError, ValueError, OverflowError, zlib.error, ImageFileError, HeaderDataError)


class Volume(NamedTuple):
    """The content of one NIfTI file; a 3-D file has T = 1."""

    data: NDArray[Any]  # [T, Z, Y, X]
    spacing_mm: tuple[float, float, float]  # (dz, dy, dx), as the header states them, unchecked
    affine: NDArray[np.float64]  # [4, 4], RAS, of the (x, y, z) voxel grid
    frame_step_s: float | None  # None where the header's time step makes no cardiac cycle
    placed: bool  # whether the header states where the grid lies (a qform or an sform)


def is_nifti(path: Path) -> bool:
    """Whether the file's name ends as a NIfTI's does."""
    return path.name.endswith((".nii", ".nii.gz"))


def stem(path: Path) -> str:
    """The file's name without `.nii` or `.nii.gz`."""
    return path.name.removesuffix(".gz").removesuffix(".nii")


def read_image(path: Path) -> Volume:
    """Read a 3-D or 4-D image as float32.

    Raises:
        DataError: missing, unreadable, truncated, no plain numbers, neither 3-D nor 4-D, or absurdly large.
    """
    return _read(path, np.float32)


def read_label(path: Path, image: Volume, image_path: Path) -> NDArray[Any]:
    """Read the label volume [T, Z, Y, X] of an image, in the file's own codes.

    Raises:
        DataError: as `read_image`, or the label is not on the image's grid.
    """
    label = _read(path, None)
    difference = grid_difference(label, image)
    if difference is not None:
        mend = f"use the label drawn on {image_path.name}, with that image's header"
        raise DataError(f"label is not on its image's grid: {difference}", path, mend)
    return label.data


def grid_difference(one: Volume, other: Volume) -> str | None:
    """How the grid of `one` differs from that of `other`, in words; None where a voxel of both is one place.

    Spacing and axes may differ by 5 % of a voxel, the first voxel by one voxel. Spacing is that of the header,
    not of the affine: ACDC's affines state 1 mm. Where a header states no position, that is not compared.
    """
    if one.data.shape != other.data.shape:
        return f"shape {one.data.shape[::-1]} against {other.data.shape[::-1]} (x, y, z, t)"
    spacing, expected = np.array(one.spacing_mm[::-1]), np.array(other.spacing_mm[::-1])
    if (np.abs(spacing - expected) > GRID_TOLERANCE * expected).any():
        return f"voxels of {_shown(spacing)} against {_shown(expected)} mm (x, y, z)"
    if not (one.placed and other.placed):
        return None
    with np.errstate(all="ignore"):  # an affine that is not finite is named by check_study
        axes, expected_axes = _axes(one.affine), _axes(other.affine)
        turned = np.linalg.norm(axes - expected_axes, axis=0) > GRID_TOLERANCE
        shift = expected_axes.T @ (one.affine[:3, 3] - other.affine[:3, 3])
    if turned.any():
        return f"its axes {', '.join(np.array(['x', 'y', 'z'])[turned])} point another way"
    return f"it is moved by {_shown(shift)} mm (x, y, z)" if (np.abs(shift) > expected).any() else None


def write_label(
    path: Path,
    label: NDArray[np.uint8],
    affine: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    step_s: float | None = None,
) -> None:
    """Write a label volume [T, Z, Y, X] as NIfTI (x, y, z[, t]) on the grid of `affine`; T = 1 makes it 3-D.

    `spacing_mm` is (dz, dy, dx), stated beside the affine since some sources' affines have unit scale. The file is
    written under another name first, so that a file of that name is whole.
    """
    xyzt = np.ascontiguousarray(label.T)
    image = nib.Nifti1Image(xyzt[..., 0] if len(label) == 1 else xyzt, np.asarray(affine, np.float64))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][1:4] = spacing_mm[::-1]
    if len(label) > 1 and step_s is not None:
        image.header["pixdim"][4] = step_s
    partial = path.with_name(f".partial_{path.name}")
    nib.save(image, partial)
    partial.replace(path)


def frame_step_s(step: float, unit: str, n_frames: int) -> float | None:
    """Seconds between frames from a header's time step.

    Headers often name no unit or a wrong one, so without "msec" a step above 5 counts as milliseconds. A step
    that does not give a cycle of 0.2 to 5 s is no frame time (None).
    """
    if n_frames < 2 or not math.isfinite(step):
        return None
    if unit == "usec":
        step = step * 1e-6
    elif unit == "msec" or step > 5:
        step = step * 1e-3
    return step if 0.2 <= step * n_frames <= 5 else None


def frame_times_s(volume: Volume) -> NDArray[np.float64] | None:
    """The time of each frame [T] from the first, where the header tells it."""
    if volume.frame_step_s is None:
        return None
    return np.arange(len(volume.data), dtype=np.float64) * volume.frame_step_s


def _axes(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The directions of the x, y and z axis as unit columns."""
    columns = affine[:3, :3]
    return columns / np.maximum(np.linalg.norm(columns, axis=0), np.finfo(float).tiny)


def _shown(values: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{v:.4g}' for v in values)})"


def _read(path: Path, dtype: type | None) -> Volume:
    if not path.is_file():
        raise DataError("file is missing", path, "complete the folder or leave this subject out")
    with _readable(path), LoggingOutputSuppressor():
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise ImageFileError("not a NIfTI file")
        with image.file_map["image"].get_prepare_fileobj("rb") as file:  # nib.load mends zooms of 0: unmended
            stored = type(image.header).from_fileobj(file, check=False)
        shape = _checked_shape(image, path)
        data = image.get_fdata(dtype=dtype, caching="unchanged") if dtype else np.asarray(image.dataobj)
    dx, dy, dz = (abs(float(v)) for v in stored["pixdim"][1:4])
    step = frame_step_s(float(stored["pixdim"][4]), image.header.get_xyzt_units()[1], shape[3])
    affine = np.asarray(image.affine, np.float64)
    placed = bool(stored["qform_code"] > 0 or stored["sform_code"] > 0)
    return Volume(np.ascontiguousarray(data.reshape(shape).T), (dz, dy, dx), affine, step, placed)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise DataError(
            f"cannot be read as NIfTI: {error or type(error).__name__}", path, "copy or export the file again"
        ) from error


def _checked_shape(image: Any, path: Path) -> tuple[int, int, int, int]:
    shape = list(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) not in (3, 4):
        raise DataError(
            f"image has {len(shape)} dimensions", path, "give one 3-D volume or one 4-D cine (x, y, z, time)"
        )
    if min(shape) < 1:
        raise DataError(f"header states the shape {tuple(shape)}", path, "export the file again")
    if math.prod(shape) * 4 > MAX_BYTES:
        raise DataError(
            f"header states the shape {tuple(shape)}, over {MAX_BYTES >> 30} GiB",
            path,
            "export the file again, or give one subject a file",
        )
    if image.get_data_dtype().kind not in "iufb":
        raise DataError(f"pixels are of type {image.get_data_dtype()}", path, "export as integer or float")
    x, y, z, *t = shape
    return x, y, z, t[0] if t else 1
