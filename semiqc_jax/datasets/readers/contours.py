"""Drawn contours -> masks: polygons in pixel coordinates from text files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from semiqc_jax.datasets.readers.text_file import read_text
from semiqc_jax.errors import DataError


def read_contour(path: Path, shape: tuple[int, int]) -> Float[ndarray, "P 2"]:
    """The points (x, y) of one contour: a line "x y" each.

    Args:
        path: the text file.
        shape: (Y, X) of the image, in which the contour must lie.

    Raises:
        DataError: unreadable, no numbers, fewer than three points, or outside of the image.
    """
    mend = "copy the contour again, or remove it: its slice is then not labelled"
    lines = read_text(path, "contour", mend).split("\n")
    try:
        points = np.array([[float(number) for number in line.split()] for line in lines if line.strip()])
    except ValueError as error:
        raise DataError(f"contour cannot be read: {error}", path, mend) from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise DataError("a contour is three or more lines 'x y'", path, mend)
    height, width = shape
    if not ((points >= -0.5) & (points <= (width - 0.5, height - 0.5))).all():
        raise DataError(f"contour leaves the image of {height} x {width} pixels", path, mend)
    return points


def fill(points: Float[ndarray, "P 2"], shape: tuple[int, int]) -> Bool[ndarray, "Y X"]:
    """The pixels whose centres lie inside a closed polygon, by the even-odd rule.

    The centre of the pixel in column i and row j is the point (i, j): the first pixel's centre is (0, 0). A centre on
    a left or upper edge is inside, one on a right or lower edge outside, so that adjoining polygons never share one.
    """
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    inside = np.zeros(shape, bool)
    for edge in zip(points, np.roll(points, -1, axis=0)):
        (x0, y0), (x1, y1) = sorted(edge, key=lambda point: point[1])  # the same numbers for both sides of an edge
        if y0 != y1:
            crossed = (rows >= y0) & (rows < y1)
            inside ^= crossed & (columns >= x0 + (rows - y0) * (x1 - x0) / (y1 - y0))
    return inside
