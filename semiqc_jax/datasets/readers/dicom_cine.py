"""A stack of DICOM images -> the order of a cine [Z][T] with its geometry and times, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from semiqc_jax.datasets.readers.dicom_file import TIME_KEYWORDS, Image
from semiqc_jax.datasets.readers.dicom_stack import Stack
from semiqc_jax.errors import DataError

IN_MS = ("TriggerTime", "NominalCardiacTriggerDelayTime")
EVEN = 0.05  # relative: gaps that close to the usual one count as even
MISSING = 1.5  # times the usual gap or frame step: something lies between
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Cine:
    """Where each image of a cine belongs and what the headers say of the whole."""

    slices: tuple[tuple[Image, ...], ...]  # [Z][T], by position along the normal and by time
    duplicates: tuple[tuple[Image, Image], ...]  # (kept, left out) of one place and time: pixels must be equal
    spacing_mm: tuple[float, float, float]  # (dz, dy, dx)
    slice_position_mm: Float[ndarray, " Z"]  # from the first slice
    affine: Float[ndarray, "4 4"]  # RAS, of the (x, y, z) voxel grid
    frame_time_s: Float[ndarray, " T"] | None
    warnings: tuple[str, ...]


def sort_cine(stack: Stack, where: object) -> Cine:
    """Sort a stack by place and time.

    Raises:
        DataError: a slice has fewer frames than the others, or a single slice has no thickness.
    """
    keyword, warnings = _time_keyword(stack.slices)
    ordered = [_in_time(images, keyword) for images in stack.slices]
    slices = tuple(tuple(kept) for kept, _ in ordered)
    duplicates = tuple(pair for _, pairs in ordered for pair in pairs)
    if duplicates:
        n = len(duplicates)
        warnings.append("1 image is there twice" if n == 1 else f"{n} images are there twice")
    position = _positions(slices)
    _check_counts(slices, position, where)
    dz, spacing_warnings = _slice_spacing(slices, position, where)
    times, time_warnings = _frame_times(slices, keyword)
    return Cine(
        slices=slices,
        duplicates=duplicates,
        spacing_mm=(dz, *slices[0][0].spacing),
        slice_position_mm=position,
        affine=_affine(slices, position, dz),
        frame_time_s=times,
        warnings=(*warnings, *spacing_warnings, *time_warnings, *_shift_warnings(slices, position)),
    )


def _time_keyword(slices: Sequence[Sequence[Image]]) -> tuple[int | None, list[str]]:
    """Which of TIME_KEYWORDS orders the frames: the first that all have and that differs within each slice."""
    if max(map(len, slices)) == 1:
        return None, []
    for index, keyword in enumerate(TIME_KEYWORDS):
        values = [[image.times[index] for image in images] for images in slices]
        if all(None not in times and (len(times) == 1 or len(set(times)) > 1) for times in values):
            unusual = keyword not in IN_MS
            return index, [f"no trigger times: frames are in the order of {keyword}"] if unusual else []
    return None, []


def _in_time(images: Sequence[Image], keyword: int | None) -> tuple[list[Image], list[tuple[Image, Image]]]:
    """One slice's images by time, and the pairs of one time."""

    def time(image: Image) -> float:
        return 0.0 if keyword is None else image.times[keyword] or 0.0

    kept, pairs = [], []
    for _, group in groupby(sorted(images, key=lambda image: (time(image), image.instance, image.name)), key=time):
        first, *others = group
        kept.append(first)
        pairs += [(first, other) for other in others]
    return kept, pairs


def _positions(slices: Sequence[Sequence[Image]]) -> Float[ndarray, " Z"]:
    normal = slices[0][0].normal
    along = np.array([np.mean([image.position @ normal for image in images]) for images in slices])
    return along - along[0]


def _check_counts(slices: Sequence[Sequence[Image]], position: Float[ndarray, " Z"], where: object) -> None:
    most = max(map(len, slices))
    short = [z for z, images in enumerate(slices) if len(images) < most]
    if short:
        shown = ", ".join(
            f"slice {z + 1} at {position[z]:.1f} mm (series {slices[z][0].series_number}) has {len(slices[z])}"
            for z in short[:3]
        )
        what = f"frames are missing: {shown}{', ...' if len(short) > 3 else ''}, other slices have {most}"
        raise DataError(what, where, "export the series again, or remove the slice")


def _slice_spacing(
    slices: Sequence[Sequence[Image]], position: Float[ndarray, " Z"], where: object
) -> tuple[float, list[str]]:
    """Distance of slice centres in mm: the usual gap of the positions."""
    if len(slices) == 1:
        image = slices[0][0]
        if image.spacing_between is not None:
            return image.spacing_between, []
        if image.thickness is not None:
            return image.thickness, ["a single slice: its thickness stands for the distance of slices"]
        raise DataError("SpacingBetweenSlices and SliceThickness are missing", where, "export the series again")
    gaps = np.diff(position)
    usual = np.sort(gaps)[(len(gaps) - 1) // 2]
    wide = [f"{z + 1} and {z + 2}" for z in np.flatnonzero(gaps > MISSING * usual)]
    warnings = [f"slices are missing between slices {', '.join(wide)} (gaps of {usual:.3g} mm else)"] if wide else []
    return float(gaps[np.abs(gaps - usual) <= EVEN * usual].mean()), warnings


def _frame_times(
    slices: Sequence[Sequence[Image]], keyword: int | None
) -> tuple[Float[ndarray, " T"] | None, list[str]]:
    """The time of each frame in seconds, the mean over slices; None where only an order is known."""
    if keyword is None or TIME_KEYWORDS[keyword] not in IN_MS:
        return None, []
    seconds = np.array([[image.times[keyword] for image in images] for images in slices], float) / 1000  # [Z, T]
    mean = seconds.mean(0)
    steps = np.diff(mean)
    warnings = []
    apart = float(np.abs(seconds - mean).max())
    if apart > steps.mean() / 2:
        warnings.append(f"frame times differ by up to {apart * 1000:.0f} ms between slices; their mean is used")
    wide = np.flatnonzero(steps > MISSING * np.median(steps))
    if len(wide):
        warnings.append(f"frames are missing in all slices after frame {', '.join(str(t + 1) for t in wide)}")
    return mean, warnings


def _affine(slices: Sequence[Sequence[Image]], position: Float[ndarray, " Z"], dz: float) -> Float[ndarray, "4 4"]:
    first, last = slices[0][0], slices[-1][0]
    dy, dx = first.spacing
    along = first.normal if len(slices) == 1 else (last.position - first.position) / position[-1]
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ np.stack([first.axes[0] * dx, first.axes[1] * dy, along * dz], axis=1)
    affine[:3, 3] = LPS_TO_RAS @ first.position
    return affine


def _shift_warnings(slices: Sequence[Sequence[Image]], position: Float[ndarray, " Z"]) -> list[str]:
    """Images that lie more than a pixel off the line from the first to the last slice, in their plane."""
    first, last = slices[0][0], slices[-1][0]
    line = (last.position - first.position) / max(position[-1], 1e-9)
    shifted = [
        z + 1
        for z, images in enumerate(slices)
        for offset in [max(np.linalg.norm(i.position - first.position - line * position[z]) for i in images)]
        if offset > max(first.spacing)
    ]
    return [f"slices {', '.join(map(str, shifted))} are shifted in their plane"] if shifted else []
