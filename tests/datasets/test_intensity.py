"""The intensity window and the 8-bit form."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.datasets.intensity import intensity_window, to_uint8


def test_window_is_the_half_percent_percentiles():
    image = np.arange(1001, dtype=np.float32).reshape(1, 1, 7, 143)
    assert intensity_window(image) == (5.0, 995.0)


def test_ends_of_the_window_become_0_and_255_and_the_rest_is_clipped():
    image = np.array([-1e6, 10.0, 60.0, 110.0, 1e6], np.float32)
    assert to_uint8(image, (10.0, 110.0)).tolist() == [0, 0, 128, 255, 255]


def test_almost_empty_study_keeps_its_range():
    image = np.zeros((1, 1, 100, 100), np.float32)
    image[0, 0, 0, 0] = 7.0
    window = intensity_window(image)
    assert window == (0.0, 7.0)
    assert to_uint8(image, window).max() == 255


@given(scale=st.floats(1e-3, 1e4), shift=st.floats(-1e3, 1e3))
def test_stored_pixels_do_not_depend_on_the_scanners_scale(scale, shift):
    image = np.random.default_rng(0).random((2, 2, 9, 9))
    first = to_uint8(image, intensity_window(image))
    other = image * scale + shift * scale
    second = to_uint8(other, intensity_window(other))
    assert np.abs(first.astype(int) - second).max() <= 1
