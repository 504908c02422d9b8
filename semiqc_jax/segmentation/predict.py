"""A trained network applied to slices: native-grid labels and the statistics that quality control looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

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
from semiqc_jax.segmentation.mirrored import Mirrored, taken_together
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


def mirrored_predictions(
    model: Model, variables: PyTree, frames: Float[Array, "N S S"], windows: Int[Array, "B W"]
) -> Mirrored:
    """The network's softmax for windows of frames, and for their mirror images where the model averages over them."""
    network = build_network(model.network)

    def softmax(axes: tuple[int, ...]) -> Float[Array, "B S S C1"]:
        logits = network.apply(variables, jnp.flip(frames, axes), windows, method="windows")
        return jnp.flip(jax.nn.softmax(logits), axes)  # type: ignore[arg-type]

    return taken_together(map(softmax, FLIPS if model.flip_average else FLIPS[:1]))


def make_predict(model: Model) -> Callable[..., tuple[Array, dict[str, Array]]]:
    """A pure per-device function (variables, frames, geometry, windows) -> (label, statistics) of a batch of slices.

    Takes native pixels uint8 [N, Y, X] on a canvas with their `Geometry`, and which of these frames each slice's
    window holds, int [B, W], the slice's own in the middle. Gives the label uint8 [B, Y, X] on the same canvas (0
    outside the network's grid) and `slice_statistics` of each slice on the network's grid.
    """
    grid = model.grid

    def to_grid(frame: UInt8[Array, "Y X"], geometry: Geometry) -> Float[Array, "S S"]:
        at = network_to_native(grid, geometry, jnp.eye(2), jnp.zeros(2))
        return sample_linear(frame[..., None].astype(jnp.float32) / 255, at, geometry.extent)[..., 0]

    def to_native(
        probability: Float[Array, "S S C1"], geometry: Geometry, canvas: tuple[int, int]
    ) -> UInt8[Array, "Y X"]:
        at = native_to_network(grid, geometry, canvas)
        values = sample_linear(probability, at, jnp.full((2,), float(grid.size)))
        return jnp.where(inside_grid(grid, at), values.argmax(-1), 0).astype(jnp.uint8)

    def predict(
        variables: PyTree, frames: UInt8[Array, "N Y X"], geometry: Geometry, windows: Int[Array, "B W"]
    ) -> tuple[Array, dict[str, Array]]:
        intensity = jax.vmap(to_grid)(frames, geometry)
        mirrored = mirrored_predictions(model, variables, standardise(intensity), windows)
        middle = windows[:, windows.shape[1] // 2]
        own = jax.tree.map(lambda x: x[middle], geometry)
        canvas = frames.shape[1:]
        label = jax.vmap(lambda p, g: to_native(p, g, canvas))(mirrored.probability, own)  # type: ignore[arg-type]
        statistics = jax.vmap(lambda one, image: slice_statistics(one.probability, grid.pixel_mm, image, one))
        return label, statistics(mirrored, intensity[middle])

    return predict
