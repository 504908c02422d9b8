"""Streams read by grain: the slices that the training step would draw itself, in its order, from any step on."""

import jax
import numpy as np
from tiny import assert_equal_trees, heart_slices

from semiqc_jax.inputs.slices import cumulative, draw, example_keys
from semiqc_jax.inputs.streams import CHUNK, drawn_indices, stack_slices, stream

KEY = jax.random.key(3)
ROWS = heart_slices(6)
DISTRIBUTION = cumulative(np.array([1.0, 0, 2, 1, 0, 4]))


def one(i):
    return jax.tree.map(lambda x: x[i], ROWS)


def test_indices_are_those_of_the_step():
    """Across the border of two chunks, and from a later step on."""
    first, steps, count = 5, CHUNK + 3, 4
    indices = drawn_indices(KEY, DISTRIBUTION, first, steps, count)
    assert indices.shape == (steps, count)
    for at in (0, 1, CHUNK - 1, CHUNK, CHUNK + 2):
        own = draw(example_keys(KEY, np.int32(first + at), 0, count), DISTRIBUTION)
        np.testing.assert_array_equal(indices[at], own)
    assert set(np.unique(indices)) == {0, 2, 3, 5}
    assert drawn_indices(KEY, DISTRIBUTION, 9, 0, 4).shape == (0, 4)


def test_batches_come_in_order_and_go_on_from_any_step():
    indices = drawn_indices(KEY, DISTRIBUTION, 0, 6, 4)
    batches = list(stream(one, KEY, DISTRIBUTION, 0, 6, 4))
    assert len(batches) == 6
    for batch, index in zip(batches, indices, strict=True):
        assert_equal_trees(batch, stack_slices([one(i) for i in index]))
    for resumed, batch in zip(stream(one, KEY, DISTRIBUTION, 4, 2, 4), batches[4:], strict=True):
        assert_equal_trees(resumed, batch)
