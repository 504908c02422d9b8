"""One NIfTI file <-> an array [T, Z, Y, X] with its geometry, or an error that names file and mend."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from semiqc_jax.errors import DataError

MAX_BYTES = 3 * 2**28  # of the values as stored and as float32: no cine comes near, a broken header does
MAX_DEFLATION = 1032  # what gzip packs into a byte at most (zlib's technical details)
TIME_UNITS = {8: "sec", 16: "msec", 24: "usec"}  # codes of xyzt_units
CHUNK = 2**16
GRID_TOLERANCE = 0.05  # of a voxel, in spacing and in direction: headers are rounded
UNREADABLE = (OSError, EOFError, ValueError, OverflowError, zlib.error, HeaderDataError)
SILENT = logging.Logger("headers that are mended", logging.CRITICAL + 1)


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


def is_there(path: Path) -> bool:
    """Whether there is a file, or a link to none: a subject with a broken link is not one without that file."""
    return path.is_file() or path.is_symlink()


def existing(path: Path) -> Path:
    """`path`, which ends in `.nii.gz`, or the same without `.gz` where only that is there."""
    plain = path.with_suffix("")
    return plain if is_there(plain) and not is_there(path) else path


def read_image(path: Path) -> Volume:
    """Read a 3-D or 4-D image as float32.

    Raises:
        DataError: missing, unreadable, truncated, no plain numbers, neither 3-D nor 4-D, or absurdly large.
    """
    return _read(path, as_stored=False)


def read_label(path: Path, image: Volume, image_path: Path) -> NDArray[Any]:
    """Read the label volume [T, Z, Y, X] of an image, in the file's own codes.

    Raises:
        DataError: as `read_image`, or the label is not on the image's grid.
    """
    label = _read(path, as_stored=True)
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


def _read(path: Path, as_stored: bool) -> Volume:
    """Read a file to its end; `as_stored` leaves values that the header does not scale in their own type."""
    if not path.is_file():
        raise DataError("file is missing", path, "complete the folder or leave this subject out")
    with _readable(path), nib.openers.ImageOpener(str(path)) as file, np.errstate(all="ignore"):
        header, stored = _headers(file)
        shape = _checked_shape(header, path)
        content = _content(file, header.get_data_offset(), math.prod(shape) * header.get_data_dtype().itemsize)
        data = _values(np.frombuffer(content, header.get_data_dtype()), header, as_stored)
        affine = np.asarray(header.get_best_affine(), np.float64)
    dx, dy, dz = (abs(float(v)) for v in stored["pixdim"][1:4])
    unit = TIME_UNITS.get(int(stored["xyzt_units"]) & 0x38, "unknown")
    step = frame_step_s(float(stored["pixdim"][4]), unit, shape[3])
    placed = bool(stored["qform_code"] > 0 or stored["sform_code"] > 0)
    return Volume(data.reshape(shape[::-1]), (dz, dy, dx), affine, step, placed)


def _headers(file: nib.openers.Opener) -> tuple[nib.Nifti1Header, nib.Nifti1Header]:
    """The header as nibabel mends it, and as it is stored. Extensions are not read: they may state any length."""
    start = file.read(nib.Nifti2Header.sizeof_hdr)
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        if kind.may_contain_header(start):
            stored = kind(start[: kind.sizeof_hdr], check=False)
            if stored["magic"].item().startswith(b"n+"):
                mended = stored.copy()
                mended.check_fix(logger=SILENT)
                return mended, stored
    raise ValueError("not a NIfTI file" if start else "it is empty")


def _content(file: nib.openers.Opener, offset: int, n_bytes: int) -> bytes:
    """Some bytes of a file, which is read to its end, since gzip's checksum stands there."""
    file.seek(offset)
    content = file.read(n_bytes)
    if len(content) < n_bytes:
        raise EOFError(f"{len(content)} of {n_bytes} bytes of pixels")
    for _ in range(MAX_BYTES // CHUNK):
        if not file.read(CHUNK):
            return content
    raise ValueError("the file is much longer than its header states")


def _values(values: NDArray[Any], header: nib.Nifti1Header, as_stored: bool) -> NDArray[Any]:
    """The pixels, scaled as the header says, with no more than one copy beside those stored."""
    slope, intercept = (number or default for number, default in zip(header.get_slope_inter(), (1.0, 0.0), strict=True))
    scaled = (slope, intercept) != (1, 0)
    if not as_stored or scaled:
        values = values.astype(np.float32)
    if scaled:
        values *= np.float32(slope)
        values += np.float32(intercept)
    return values


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise DataError(
            f"cannot be read as NIfTI: {error or type(error).__name__}", path, "copy or export the file again"
        ) from error


def _checked_shape(header: nib.Nifti1Header, path: Path) -> tuple[int, int, int, int]:
    shape, dtype = list(header.get_data_shape()), header.get_data_dtype()
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) not in (3, 4):
        raise DataError(
            f"image has {len(shape)} dimensions", path, "give one 3-D volume or one 4-D cine (x, y, z, time)"
        )
    if min(shape) < 1:
        raise DataError(f"header states the shape {tuple(shape)}", path, "export the file again")
    if dtype.kind not in "iufb":
        raise DataError(f"pixels are of type {dtype}", path, "export as integer or float")
    voxels = math.prod(map(int, shape))
    if voxels * (dtype.itemsize + 4) > MAX_BYTES:
        raise DataError(
            f"header states the shape {tuple(shape)} of {dtype}, over {MAX_BYTES >> 20} MiB to read",
            path,
            "export the file again, or give one subject a file",
        )
    packing = MAX_DEFLATION if path.name.endswith(".gz") else 1
    if voxels * dtype.itemsize > packing * path.stat().st_size:
        raise EOFError("the file is shorter than its header states")
    x, y, z, *t = shape
    return x, y, z, t[0] if t else 1
