"""A trained network applied to slices: native-grid labels and the statistics that quality control looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from semiqc_jax.anatomy import Task
from semiqc_jax.inputs.grid import (
    Geometry,
    Grid,
    inside_grid,
    native_to_network,
    network_to_native,
    sample_linear,
    standardise,
)
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.segmentation.slice_statistics import slice_statistics

PyTree = Any
FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))


@dataclass(frozen=True)
class Model:
    """A network with its weights and all that segmenting new slices needs."""

    network: NetworkSpec
    variables: PyTree
    grid: Grid
    task: Task
    flip_average: bool = True


def network_probabilities(model: Model, variables: PyTree, image: Float[Array, "B S S 1"]) -> Float[Array, "B S S C1"]:
    """Softmax of the network, averaged over mirrored slices where the model asks for it."""
    apply = build_network(model.network).apply
    flips = FLIPS if model.flip_average else FLIPS[:1]
    total = jnp.zeros((*image.shape[:3], model.task.n_classes + 1))
    for axes in flips:
        total += jnp.flip(jax.nn.softmax(apply(variables, jnp.flip(image, axes))), axes)  # type: ignore[arg-type]
    return total / len(flips)


def make_predict(model: Model) -> Callable[..., tuple[Array, dict[str, Array]]]:
    """A pure per-device function (variables, image, geometry) -> (label, statistics) of a batch of slices.

    Takes native pixels uint8 [B, Y, X] on a canvas with their `Geometry`; gives the label uint8 [B, Y, X] on the same
    canvas (0 outside the network's grid) and `slice_statistics` of each slice on the network's grid.
    """
    grid = model.grid

    def to_grid(image: UInt8[Array, "Y X"], geometry: Geometry) -> Float[Array, "S S"]:
        at = network_to_native(grid, geometry, jnp.eye(2), jnp.zeros(2))
        return standardise(sample_linear(image[..., None].astype(jnp.float32) / 255, at, geometry.extent)[..., 0])

    def to_native(
        probability: Float[Array, "S S C1"], geometry: Geometry, canvas: tuple[int, int]
    ) -> UInt8[Array, "Y X"]:
        at = native_to_network(grid, geometry, canvas)
        values = sample_linear(probability, at, jnp.full((2,), float(grid.size)))
        return jnp.where(inside_grid(grid, at), values.argmax(-1), 0).astype(jnp.uint8)

    def predict(
        variables: PyTree, image: UInt8[Array, "B Y X"], geometry: Geometry
    ) -> tuple[Array, dict[str, Array]]:
        network_input = jax.vmap(to_grid)(image, geometry)
        probability = network_probabilities(model, variables, network_input[..., None])
        label = jax.vmap(lambda p, g: to_native(p, g, image.shape[1:]))(probability, geometry)  # type: ignore[arg-type]
        return label, jax.vmap(lambda p: slice_statistics(p, grid.pixel_mm))(probability)

    return predict
