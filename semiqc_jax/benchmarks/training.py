"""One training step of our U-Net against the same network in the usual layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.benchmarks.weights import random_variables
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.inputs.grid import Geometry, Grid
from semiqc_jax.inputs.slices import Slices, cumulative
from semiqc_jax.models.unet import DoubleConv, UNet
from semiqc_jax.parallel import AXIS, Devices
from semiqc_jax.training.methods.method import MethodState
from semiqc_jax.training.methods.supervised import Supervised
from semiqc_jax.training.step import Resident, TrainState, make_optimizer, make_step

N_CLASSES, CANVAS, N_SLICES = 3, 96, 32


class UsualUNet(nn.Module):
    """The U-Net of `models.unet` with `nn.max_pool` and `nn.ConvTranspose` (2 x 2, stride 2); no dropout."""

    n_classes: int
    base: int
    depth: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 1"], train: bool = False) -> Float[Array, "B H W C+1"]:
        block: dict[str, Any] = {"norm": "batch", "dtype": jnp.float32, "axis_name": self.axis_name}
        skips = []
        for level in range(self.depth):
            if level:
                skips.append(x)
                x = nn.max_pool(x, (2, 2), (2, 2))
            x = DoubleConv(self.base * 2**level, 0.0, **block)(x, train)
        for level in reversed(range(self.depth - 1)):
            x = nn.ConvTranspose(self.base * 2**level, (2, 2), (2, 2))(x)
            x = DoubleConv(self.base * 2**level, 0.0, **block)(jnp.concatenate([skips[level], x], -1), train)
        return nn.Conv(self.n_classes + 1, (3, 3))(x)


def usual_params(ours: dict[str, Any], depth: int) -> dict[str, Any]:
    """The parameters with which `UsualUNet` computes what `UNet` does with `ours`.

    A 1 x 1 convolution repeated over 2 x 2 pixels is a transposed convolution whose four taps are equal.
    """
    usual = {name: value for name, value in ours.items() if not name.startswith("Conv_")}
    for i in range(depth - 1):
        up = ours[f"Conv_{i}"]
        usual[f"ConvTranspose_{i}"] = {**up, "kernel": np.tile(up["kernel"], (2, 2, 1, 1))}
    return {**usual, "Conv_0": ours[f"Conv_{depth - 1}"]}


def train_step(folder: Path, batch: int = 12, size: int = 64, base: int = 16, depth: int = 4) -> Contest:
    """Draw and augment a batch, loss, gradient and update, from the same weights; gives the loss.

    Writes nothing to `folder`.
    """
    devices, grid = Devices.of(count=1), Grid(size, 1.5)
    unet = UNet(N_CLASSES, base, depth, dropout=0.0, axis_name=AXIS)
    ours = Supervised(unet, {"labelled": batch}, AXIS)
    usual = Supervised(UsualUNet(N_CLASSES, base, depth, AXIS), {"labelled": batch}, AXIS)
    variables = random_variables(unet.clone(axis_name=None), size)
    params, aux = variables.pop("params"), variables
    resident = devices.replicate({"labelled": Resident(_slices(), cumulative(np.ones(N_SLICES)))})
    return Contest(
        ours=_step(ours, MethodState(params, aux), resident, grid, devices),
        reference=_step(usual, MethodState(usual_params(params, depth), aux), resident, grid, devices),
        reference_name="nn.ConvTranspose and nn.max_pool",
        items=batch,
        unit="slices",
        rtol=1e-3,
    )


def _step(
    method: Supervised, start: MethodState, resident: Any, grid: Grid, devices: Devices
) -> Callable[[], float]:
    optimizer = make_optimizer(1e-3, 100, 1e-4)
    step = make_step(method, optimizer, AUGMENTATIONS["strong"], grid, devices.count)
    run = devices.map(step, replicated=3, sharded=1, sum_out=True)
    state = TrainState(np.int32(0), start, optimizer.init(start.params))  # type: ignore[arg-type]
    state, seeds = devices.replicate(state), devices.replicate(np.zeros(2, np.uint32))

    def one() -> float:
        _, sums = jax.block_until_ready(run(state, resident, seeds, {}))
        numerator, denominator = sums["loss"]
        return float(numerator / denominator)

    return one


def _slices() -> Slices:
    """Noise, labelled by column: what a step costs does not depend on it."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (N_SLICES, CANVAS, CANVAS)).astype(np.uint8)
    label = np.broadcast_to(np.arange(CANVAS) * (N_CLASSES + 1) // CANVAS, image.shape).astype(np.uint8)
    geometry = Geometry(np.full((N_SLICES, 2), CANVAS, np.float32), np.full((N_SLICES, 2), 1.5, np.float32))
    return Slices(image[:, None], label, np.ones((N_SLICES, N_CLASSES), bool), geometry)
