"""Polygons are filled at pixel centres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.datasets.readers.contours import fill, read_contour
from semiqc_jax.errors import DataError

SHAPE = (40, 50)


def test_a_pixel_is_inside_where_its_centre_is() -> None:
    square = np.array([[2.5, 3.5], [6.5, 3.5], [6.5, 5.5], [2.5, 5.5]])  # x 3 to 6, y 4 to 5
    expected = np.zeros(SHAPE, bool)
    expected[4:6, 3:7] = True
    np.testing.assert_array_equal(fill(square, SHAPE), expected)
    np.testing.assert_array_equal(fill(square[::-1], SHAPE), expected)
    expected = np.zeros(SHAPE, bool)
    expected[3:5, 2:6] = True  # corners on centres: left and upper edges count
    np.testing.assert_array_equal(fill(square - 0.5, SHAPE), expected)


def test_the_area_of_a_circle() -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([24.3 + 15 * np.cos(angle), 19.6 + 15 * np.sin(angle)], axis=1)
    mask = fill(circle, SHAPE)
    assert mask.sum() == pytest.approx(np.pi * 15**2, rel=0.01)
    np.testing.assert_allclose(np.argwhere(mask).mean(0), (19.6, 24.3), atol=0.1)


@given(st.lists(st.tuples(st.integers(0, 49), st.integers(0, 39)), min_size=3, max_size=3), st.floats(0.1, 0.9))
def test_adjoining_polygons_share_no_pixel(corners: list[tuple[int, int]], share: float) -> None:
    a, b, c = np.array(corners, float)
    middle = np.round(4 * (a + share * (b - a))) / 4  # exact in floating point
    halves = [fill(np.stack(points), SHAPE) for points in ([a, middle, c], [middle, b, c])]
    assert (halves[0] ^ halves[1] == fill(np.stack([a, middle, b, c]), SHAPE)).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2\n3 x\n", "cannot be read"),
        ("1 2\n3\n", "cannot be read"),
        ("", "three or more"),
        ("1 2\n3 4\n", "three or more"),
        ("1 2 3\n4 5 6\n7 8 9\n", "three or more"),
        ("1 2\n3 4\n5 nan\n", "leaves the image"),
        ("1 2\n3 4\n50 3\n", "leaves the image"),
    ],
)
def test_wrong_contours_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "IM-0001-0001-icontour-manual.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_contour(path, SHAPE)
    assert str(path) in str(caught.value)
