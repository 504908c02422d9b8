"""A network's own prediction and those for the mirrored slice: what agreement under test-time augmentation needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from semiqc_jax.inputs.grid import network_to_native, sample_linear, standardise
from semiqc_jax.segmentation.predict import FLIPS, Model, make_predict, network_probabilities

PAIRS = tuple(combinations(range(len(FLIPS)), 2))


def make_flip_predict(model: Model) -> Callable[..., tuple[Array, dict[str, Array]]]:
    """`make_predict` whose statistics also hold, for each slice on the network's grid:

    `grid_image` and `grid_label` uint8 [B, S, S]; `flip_size` [B, 4, C], pixels of each class under each flip;
    `flip_overlap` [B, 6, C], pixels that a pair of flips shares; `flip_variance` [B], the softmax's variance over
    the flips, summed over the pixels that are not clearly background.
    """
    grid, n_classes, once = model.grid, model.task.n_classes, replace(model, flip_average=False)
    predict = make_predict(model)

    def to_grid(frame: Array, geometry: Any) -> Array:
        at = network_to_native(grid, geometry, jnp.eye(2), jnp.zeros(2))
        return sample_linear(frame[..., None].astype(jnp.float32) / 255, at, geometry.extent)[..., 0]

    def with_flips(variables: Any, frames: Array, geometry: Any, windows: Array) -> tuple[Array, dict[str, Array]]:
        label, statistics = predict(variables, frames, geometry, windows)
        image = jax.vmap(to_grid)(frames, geometry)
        seen = standardise(image)
        flipped = [
            jnp.flip(network_probabilities(once, variables, jnp.flip(seen, axes), windows), axes) for axes in FLIPS
        ]
        each = jnp.stack(flipped, 1)  # [B, 4, S, S, C + 1]
        mean = each.mean(1)
        own = mean if model.flip_average else each[:, 0]
        masks = each.argmax(-1)[..., None] == jnp.arange(1, n_classes + 1)  # [B, 4, S, S, C]
        shared = [jnp.sum(masks[:, i] & masks[:, j], (1, 2)) for i, j in PAIRS]
        doubtful = mean[..., 0] < 0.95
        middle = windows[:, windows.shape[1] // 2]
        return label, {
            **statistics,
            "grid_image": jnp.round(255 * image[middle]).astype(jnp.uint8),
            "grid_label": own.argmax(-1).astype(jnp.uint8),
            "flip_size": masks.sum((2, 3)).astype(jnp.float32),
            "flip_overlap": jnp.stack(shared, 1).astype(jnp.float32),
            "flip_variance": jnp.sum(each.var(1).sum(-1) * doubtful, (1, 2)),
        }

    return with_flips


def flip_agreement(statistics: Mapping[str, NDArray]) -> Float[NDArray, "T C"]:
    """Mean Dice of the pairs of flips, in 3-D, of each frame and class; 0 for a pair that finds nothing."""
    size = statistics["flip_size"].sum(1)  # [T, 4, C]
    overlap = statistics["flip_overlap"].sum(1)  # [T, 6, C]
    total = np.stack([size[:, i] + size[:, j] for i, j in PAIRS], 1)
    return np.mean(2 * overlap / np.maximum(total, 1), axis=1)


def flip_variance(statistics: Mapping[str, NDArray]) -> float:
    """Mean variance of the softmax over the flips, over all pixels that are not clearly background; 0 without any."""
    return float(statistics["flip_variance"].sum() / max(statistics["uncertain_pixels"].sum(), 1.0))
