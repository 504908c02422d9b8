"""End-diastole and end-systole of known curves."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.downstream.phases import circular_median, phases, smooth_extremes


def test_the_cycle_closes() -> None:
    np.testing.assert_array_equal(circular_median(np.array([5.0, 1.0, 2.0, 9.0])), [5, 2, 2, 5])


@pytest.mark.parametrize(("curve", "expected"), [([50.0, 120.0], (1, 0)), ([90.0, 70.0, 40.0], (0, 2))])
def test_few_frames_are_taken_as_they_are(curve: list[float], expected: tuple[int, int]) -> None:
    assert smooth_extremes(np.array(curve)) == expected


def test_one_bad_frame_is_no_phase() -> None:
    t = np.arange(20)
    curve = 100 + 40 * np.cos(2 * np.pi * (t - 2) / 20)  # ED at 2, ES at 12
    curve[7], curve[16] = 0.0, 300.0
    assert smooth_extremes(curve) == (2, 12)


def test_end_diastole_at_the_seam() -> None:
    curve = 100 + 40 * np.cos(2 * np.pi * np.arange(10) / 10)
    assert smooth_extremes(curve) == (0, 5)


@given(
    st.lists(st.integers(0, 200), min_size=5, max_size=5),
    st.lists(st.integers(0, 200), min_size=5, max_size=5),
)
def test_batches_and_jax_agree(first: list[int], second: list[int]) -> None:
    curves = np.array([first, second], np.float32)
    ed, es = smooth_extremes(curves)
    assert [(int(a), int(b)) for a, b in zip(ed, es)] == [smooth_extremes(c) for c in curves]
    ed_jax, es_jax = jax.jit(smooth_extremes)(jax.numpy.asarray(curves))
    np.testing.assert_array_equal(ed, ed_jax)
    np.testing.assert_array_equal(es, es_jax)


def test_the_first_class_says_the_phases_and_each_task_which_is_which() -> None:
    first = 100 + 40 * np.cos(2 * np.pi * (np.arange(12) - 2) / 12)  # largest at 2, smallest at 8
    curves = np.stack([first, np.roll(first, 3)], -1)
    assert phases(curves, SHORT_AXIS) == (2, 8)
    assert phases(curves, AORTA) == (8, 2)
