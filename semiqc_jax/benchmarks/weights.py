"""Random weights without compiling a network's `init`, which takes longer than many a benchmark."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import numpy as np


def random_variables(network: nn.Module, size: int, window: int = 1) -> Any:
    """Host variables of a network for windows of frames of `size` x `size`: He-normal kernels, neutral elsewhere."""
    example = jax.ShapeDtypeStruct((1, size, size, window), np.float32)
    shapes = jax.eval_shape(lambda x: network.init(jax.random.key(0), x), example)
    random = np.random.default_rng(0)

    def fill(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if path[-1].key == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return (scale * random.normal(size=leaf.shape)).astype(np.float32)
        return np.full(leaf.shape, path[-1].key in ("scale", "var"), np.float32)

    return jax.tree_util.tree_map_with_path(fill, shapes)
