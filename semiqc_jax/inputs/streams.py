"""Streams: slices kept on the device while they are few, read by grain while they are many.

Both draw example i of step s by the same key, so that a stage trains on the same examples either way, and resuming
at step s needs nothing but s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from semiqc_jax.inputs.slices import Slices, draw, example_keys

ReadSlice = Callable[[int], Slices]  # index in the stream -> one slice, without a leading axis
CHUNK = 1024


def stack_slices(rows: Sequence[Slices]) -> Slices:
    """Stack single slices along a new leading axis."""
    return jax.tree.map(lambda *x: np.stack(x), *rows)


def drawn_indices(
    key: Array, distribution: NDArray[np.float32], first_step: int, steps: int, count: int
) -> NDArray[np.int32]:
    """Indices [steps, count] that the training step would draw itself from a resident stream."""

    @jax.jit
    def chunk(first: Array) -> Array:
        return jax.vmap(lambda s: draw(example_keys(key, s, 0, count), jnp.asarray(distribution)))(
            first + jnp.arange(CHUNK)
        )

    parts = [np.asarray(chunk(jnp.int32(first_step + at))) for at in range(0, steps, CHUNK)]
    return np.concatenate(parts)[:steps] if parts else np.zeros((0, count), np.int32)


def stream(
    read: ReadSlice,
    key: Array,
    distribution: NDArray[np.float32],
    first_step: int,
    steps: int,
    count: int,
    threads: int = 4,
) -> Iterator[Slices]:
    """Batches of `count` slices for the steps first_step .. first_step + steps - 1, read ahead by threads.

    Args:
        read: gives one slice of the stream by its index; called from several threads.
        key: the stream's key within the stage, as the training step folds it.
    """
    import grain

    indices = drawn_indices(key, distribution, first_step, steps, count).ravel()
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4 * count)
    data = grain.MapDataset.range(len(indices)).map(lambda i: read(int(indices[i])))
    return iter(data.batch(count, batch_fn=stack_slices).to_iter_dataset(options))
