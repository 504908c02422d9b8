"""Cines stored as one file a frame: which files belong together, and their stack."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semiqc_jax.datasets.readers.nifti_file import Volume, grid_difference, read_image, stem
from semiqc_jax.errors import DataError

# NAME_frame01, NAME_phase1, NAME_time001, NAME_fr01, NAME_t00, or the same without NAME. A `t` needs two digits:
# NAME_t1 and NAME_t2 are weightings.
MARKED = re.compile(r"(?:(?P<name>.+)[_-])?(?:frame|phase|time|fr|t(?=\d\d))[_-]?(?P<number>\d{1,6})", re.IGNORECASE)
BARE = re.compile(r"(?P<name>.+)[_-](?P<number>\d{1,6})")  # frames only in a folder NAME: NAME/NAME_0001


class Series(NamedTuple):
    """The files of one cine: one file, or one a frame."""

    name: str  # what the files' names share
    paths: tuple[Path, ...]  # in the order of frames
    numbers: tuple[int, ...] = ()  # of the frames, as the names state them; none for a single file


def series_of(paths: Iterable[Path]) -> list[Series]:
    """Group files into cines, sorted by path; only names are looked at.

    Files of one folder that share NAME and the marker of a frame (see `MARKED`) are one cine; so are files that
    end in a bare number where the folder bears their NAME (see `BARE`). A file without such a fellow stands
    alone under its whole name.
    """
    groups: defaultdict[tuple[Path, str, str], list[tuple[int, Path]]] = defaultdict(list)
    for path in sorted(paths):
        kind, name, number = _frame(path)
        groups[path.parent, kind, name].append((number, path))
    series = []
    for (folder, kind, name), frames in groups.items():
        if kind == "file" or len(frames) == 1:
            series += [Series(stem(path), (path,)) for _, path in frames]
        else:
            numbers, files = zip(*sorted(frames), strict=True)
            series.append(Series(name or folder.name, files, numbers))
    return sorted(series, key=lambda one: one.paths[0])


def read_series(series: Series) -> Volume:
    """Read a cine of one file, or stack its frames in the order of their numbers.

    Raises:
        DataError: a file is bad, a number is there twice, or the frames are not single and on one grid.
    """
    if not series.numbers:
        return read_image(series.paths[0])
    first = read_image(series.paths[0])
    data = np.empty((len(series.paths), *first.data.shape[1:]), np.float32)
    for i, path in enumerate(series.paths):
        frame = first if i == 0 else read_image(path)
        if series.numbers[i] in series.numbers[:i]:
            raise DataError(f"frame {series.numbers[i]} is there twice", path, "keep one of them")
        if len(frame.data) != 1:
            mend = "give one 3-D file a frame, or rename this cine so that it does not look like a frame"
            raise DataError(f"it holds {len(frame.data)} frames, not one", path, mend)
        difference = grid_difference(frame, first)
        if difference is not None:
            what = f"it is not on the grid of {series.paths[0].name}: {difference}"
            raise DataError(what, path, "give frames of one subject, or number subjects without 'frame' or 't'")
        data[i] = frame.data[0]
    return first._replace(data=data)


def gap_warnings(numbers: Sequence[int]) -> tuple[str, ...]:
    """A warning where frame numbers are left out between the first and the last."""
    missing = numbers[-1] - numbers[0] + 1 - len(numbers) if numbers else 0
    if missing <= 0:
        return ()
    return (
        f"{missing} of frames {numbers[0]} to {numbers[-1]} have no file: the others are taken as one after another",
    )


def _frame(path: Path) -> tuple[str, str, int]:
    """(kind of name, NAME, frame number)."""
    name = stem(path)
    marked = MARKED.fullmatch(name)
    if marked:
        return "marked", marked["name"] or "", int(marked["number"])
    bare = BARE.fullmatch(name)
    if bare and bare["name"] == path.parent.name:
        return "bare", bare["name"], int(bare["number"])
    return "file", name, 0
