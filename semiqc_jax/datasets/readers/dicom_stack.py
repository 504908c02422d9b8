"""The images of a folder -> stacks of parallel slices, and the one stack that a task asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.readers.dicom_file import TIME_KEYWORDS, Image
from semiqc_jax.errors import DataError

SAME_PLACE_MM = 0.1  # along the normal: positions are rounded
SAME_AXES = 0.01  # the largest difference of a component of the axes: half a degree
SAME_SPACING = 1e-3  # relative
MIN_SLICES = 3  # of a short-axis stack: fewer are planning or long-axis views
MEND = "leave one stack in the folder, or give the folder of its series as the source"


@dataclass(frozen=True)
class Stack:
    """Images of one study on parallel planes with one matrix: `slices` by increasing position along the normal."""

    slices: tuple[tuple[Image, ...], ...]  # [Z][images of any time]
    cine: bool

    @property
    def images(self) -> list[Image]:
        """All images, slice by slice."""
        return [image for images in self.slices for image in images]

    def __str__(self) -> str:
        """The series that it is made of, for an error."""
        series = {image.series: image for image in self.images}.values()
        numbers = ", ".join(sorted({str(image.series_number) for image in series}, key=lambda n: (len(n), n)))
        names = ", ".join(sorted({repr(image.description) for image in series}))
        frames = max(map(len, self.slices))
        return f"series {numbers} {names}: {_count(len(self.slices), 'slice')} of {_count(frames, 'image')}"


def choose_stack(images: Sequence[Image], task: Task, where: object) -> tuple[Stack, list[str]]:
    """The stack that fits the task, and warnings of what was left out.

    Short axis: the most slices among stacks of 3 or more; aorta: the only single plane. Cines come before stacks of
    one image a slice. Where two stacks would do, nothing is guessed.

    Raises:
        DataError: none or several fit; it lists the series.
    """
    grey = sorted((image for image in images if image.grey), key=lambda i: (i.series_number, i.instance, i.name))
    if not grey:
        what = f"image in colour ({images[0].name})" if images else "no MR image"
        raise DataError(what, where, "give the grey images that the scanner reconstructed")
    stacks = stacks_of(grey)
    one_plane = task.curve == "mm2"
    fits = [s for s in stacks if (len(s.slices) == 1 if one_plane else len(s.slices) >= MIN_SLICES)]
    fits = [s for s in fits if s.cine] or fits
    listed = "; ".join(map(str, stacks[:12])) + ("; ..." if len(stacks) > 12 else "")
    wanted = "single plane" if one_plane else f"stack of {MIN_SLICES} or more parallel slices"
    if not fits:
        raise DataError(f"no {wanted} among {listed}", where, f"give the whole series of the task '{task.name}'")
    most = max(len(s.slices) for s in fits)
    best = [s for s in fits if len(s.slices) == most]
    if len(best) > 1:
        raise DataError(f"{len(best)} series could be the {wanted}: {'; '.join(map(str, best[:12]))}", where, MEND)
    left = [str(s) for s in fits if s is not best[0]]
    warnings = [f"the stack with the most slices was taken ({best[0]}), not {'; '.join(left)}"] if left else []
    if len(grey) < len(images):
        warnings.append(f"left out: {_count(len(images) - len(grey), 'image')} in colour")
    stack, repeats = _latest(best[0], where)
    return stack, warnings + repeats


def stacks_of(images: Sequence[Image]) -> list[Stack]:
    """Group images by study, orientation, matrix and pixel spacing; a series of one image a slice is no part of a cine.

    Scanners store a stack as one series or as one series a slice; both come out as one stack.
    """
    kinds: list[Image] = []  # the first image of each geometry
    pieces: dict[tuple[int, str], list[Image]] = {}  # by geometry and series
    for image in images:
        kind = next((i for i, other in enumerate(kinds) if _same_grid(image, other)), len(kinds))
        if kind == len(kinds):
            kinds.append(image)
        pieces.setdefault((kind, image.series), []).append(image)
    stacks: dict[tuple[int, bool], list[Image]] = {}
    for (kind, _), piece in pieces.items():
        cine = max(map(len, _by_slice(piece))) > 1
        stacks.setdefault((kind, cine), []).extend(piece)
    return [Stack(_by_slice(members), cine) for (_, cine), members in stacks.items()]


def _by_slice(images: Sequence[Image]) -> tuple[tuple[Image, ...], ...]:
    normal = images[0].normal
    along = np.array([image.position @ normal for image in images])
    order = np.argsort(along, kind="stable")
    starts = np.flatnonzero(np.diff(along[order]) > SAME_PLACE_MM) + 1
    return tuple(tuple(images[i] for i in members) for members in np.split(order, starts))


def _same_grid(one: Image, other: Image) -> bool:
    return (
        (one.study, one.shape) == (other.study, other.shape)
        and bool(np.abs(one.axes - other.axes).max() < SAME_AXES)
        and bool(np.allclose(one.spacing, other.spacing, rtol=SAME_SPACING, atol=0))
    )


def _latest(stack: Stack, where: object) -> tuple[Stack, list[str]]:
    """The stack without slices that were taken again: of series of one description, the later one counts."""
    slices, repeated = [], []
    for images in stack.slices:
        series: dict[str, list[Image]] = {}
        for image in images:
            series.setdefault(image.series, []).append(image)
        if len({image.description for image in images}) > 1:
            shown = "; ".join(f"{s[0].series_number} {s[0].description!r}" for s in series.values())
            raise DataError(f"several series show the same slice: {shown}", where, MEND)
        latest = max(series.values(), key=_taken)
        slices.append(tuple(latest))
        repeated += [str(one[0].series_number) for one in series.values() if one is not latest]
    warnings = [f"slices were taken again; left out: series {', '.join(repeated)}"] if repeated else []
    return replace(stack, slices=tuple(slices)), warnings


def _taken(series: Sequence[Image]) -> tuple[int, float]:
    """When a series was taken: its number, then its acquisition time."""
    times = [image.times[TIME_KEYWORDS.index("AcquisitionTime")] for image in series]
    return series[0].series_number, max((time for time in times if time is not None), default=0.0)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
