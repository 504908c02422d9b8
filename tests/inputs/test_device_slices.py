"""Slices: how they are cut and padded, and how examples are drawn from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import GRID, heart_slices

from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.inputs.slices import (
    canvas_of,
    central,
    cumulative,
    draw,
    example_keys,
    make_batch,
    on_canvas,
    window_frames,
)

DRAWN = 4096
KEYS = jax.random.split(jax.random.key(0), DRAWN)


@given(weights=st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=6).filter(sum))
def test_slices_are_drawn_in_proportion_to_their_weight(weights):
    """The chi-square statistic stays below its 99.99 % point for 5 degrees of freedom; weight 0 is never drawn."""
    share = np.array(weights) / sum(weights)
    count = np.bincount(draw(KEYS, cumulative(np.array(weights))), minlength=len(weights))
    assert count.sum() == DRAWN
    assert not count[share == 0].any()
    expected = DRAWN * share[share > 0]
    assert ((count[share > 0] - expected) ** 2 / expected).sum() < 26


@pytest.mark.parametrize(("uniform", "index"), [(0.0, 1), (0.25, 3), (0.5, 3), (0.99999994, 3)])
def test_the_border_of_a_slice_of_weight_0_is_not_its_own(monkeypatch, uniform, index):
    """Where the random number falls on a border, 0 included, the next slice that has a weight is drawn."""
    monkeypatch.setattr(jax.random, "uniform", lambda key: jnp.float32(uniform))
    assert int(draw(KEYS[:1], cumulative(np.array([0.0, 1, 0, 3, 0])))[0]) == index


def test_many_small_weights_add_up():
    """Single precision is enough: the last of 100,000 slices has its share, and none is lost at the end."""
    distribution = cumulative(np.full(100_000, 1e-3))
    assert distribution.dtype == np.float32
    assert distribution[-1] == 1
    np.testing.assert_allclose(np.diff(distribution), 1e-5, atol=1.2e-7)
    index = np.asarray(draw(KEYS, distribution))
    assert np.mean(index) / 100_000 == pytest.approx(0.5, abs=0.02)


def test_an_example_has_one_key_on_any_devices():
    """8 devices of 2 examples hold the keys of 1 device of 16; steps and examples never share one."""
    key = jax.random.key(5)
    whole = jax.random.key_data(example_keys(key, jnp.int32(7), 0, 16))
    parts = [jax.random.key_data(example_keys(key, jnp.int32(7), 2 * device, 2)) for device in range(8)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    steps = np.concatenate([jax.random.key_data(example_keys(key, jnp.int32(s), 0, 16)) for s in range(8)])
    assert len(np.unique(steps, axis=0)) == 8 * 16


def test_canvas_in_steps_of_32():
    assert canvas_of([(32, 33), (1, 5)]) == (32, 64)
    assert canvas_of([(216, 256), (65, 10)]) == (224, 256)
    padded = on_canvas(np.ones((2, 3, 5), np.uint8), (4, 8))
    assert padded.shape == (2, 4, 8)
    assert padded.sum() == 30
    assert padded[:, :3, :5].all()


@given(
    shape=st.tuples(st.integers(8, 300), st.integers(8, 300)),
    pixel=st.tuples(st.floats(0.5, 3), st.floats(0.5, 3)),
    reach=st.floats(4, 150),
)
def test_a_central_part_keeps_its_centre_and_all_within_reach(shape, pixel, reach):
    part = central((4, *shape), pixel, reach)
    for n, size, cut in zip(shape, pixel, part, strict=True):
        index = np.arange(n)
        assert cut.start + cut.stop == n  # the same on both sides: the centre stays
        within = np.abs(index - (n - 1) / 2) * size <= reach
        assert np.isin(index[within], index[cut]).all()
        lost = max(0, (n - 1) / 2 - reach / size)  # what lies beyond reach; 2 pixels of it may stay
        assert cut.start > lost - 2


@pytest.mark.parametrize(
    ("frame", "n_frames", "window", "frames"),
    [
        (3, 8, 1, [3]),
        (0, 1, 3, [0, 0, 0]),
        (1, 2, 5, [1, 0, 1, 0, 1]),
        (0, 5, 5, [3, 4, 0, 1, 2]),
        (4, 5, 3, [3, 4, 0]),
        (1, 5, 9, [2, 3, 4, 0, 1, 2, 3, 4, 0]),
    ],
)
def test_the_cycle_closes(frame, n_frames, window, frames):
    assert window_frames(frame, n_frames, window).tolist() == frames


@pytest.mark.parametrize("window", [1, 3])
def test_a_batch_holds_the_drawn_slices(window):
    rows = heart_slices(4, window=window)
    keys = example_keys(jax.random.key(1), jnp.int32(0), 0, 4)
    batch = jax.jit(make_batch, static_argnums=(2, 3))(keys, rows, GRID, AUGMENTATIONS["none"])
    assert batch.image.shape == (4, GRID.size, GRID.size, window)
    assert batch.label.shape == (4, GRID.size, GRID.size)
    np.testing.assert_array_equal(batch.labelled, rows.labelled)
    assert set(np.unique(batch.label)) == {0, 1, 2, 3}
    assert not np.any(np.asarray(batch.label[0]) == 3)  # its third class is not drawn
