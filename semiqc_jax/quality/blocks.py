"""A function over N subjects, computed block by block: what one block needs stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

BLOCK = 512


def by_blocks(function: Callable[..., Any], *arrays: Array) -> Any:
    """`function(*arrays)` of arrays with a leading axis N, without ever seeing more than 512 subjects at once.

    A block takes its subjects from all over the leading axis, so that one that is sharded over devices stays so.
    `function` maps each subject by itself; it is shown zeros in place of subjects that fill the last block up.
    """
    n = arrays[0].shape[0]
    blocks = -(-n // BLOCK)
    if blocks < 2:
        return function(*arrays)

    def split(x: Array) -> Array:
        filled = jnp.pad(x, ((0, blocks * BLOCK - n), *[(0, 0)] * (x.ndim - 1)))
        return jnp.moveaxis(filled.reshape(BLOCK, blocks, *x.shape[1:]), 1, 0)

    def joined(x: Array) -> Array:
        return jnp.moveaxis(x, 0, 1).reshape(blocks * BLOCK, *x.shape[2:])[:n]

    found = jax.lax.map(lambda block: function(*block), tuple(map(split, arrays)))
    return jax.tree.map(joined, found)
