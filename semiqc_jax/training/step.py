"""The training step: a pure per-device function of the state, the resident slices and the streamed ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from semiqc_jax.inputs.augment import Augmentation
from semiqc_jax.inputs.grid import Grid
from semiqc_jax.inputs.slices import Slices, draw, example_keys, make_batch
from semiqc_jax.parallel import AXIS
from semiqc_jax.training.methods.method import Method, MethodState, PyTree, Sums


class TrainState(NamedTuple):
    """Everything that an update changes; replicated over the devices."""

    step: Int[Array, ""]  # updates done within this stage
    method: MethodState
    optimizer: PyTree


class Resident(NamedTuple):
    """A stream that lives on the device: its slices and the distribution they are drawn from."""

    slices: Slices
    distribution: Float[Any, " M"]


StepFunction = Callable[..., tuple[TrainState, Sums]]


def make_optimizer(rate: float, updates: int, weight_decay: float) -> optax.GradientTransformation:
    """AdamW on a cosine to zero after a short linear warm-up: the schedule of one stage."""
    warmup = min(50, updates // 10)
    schedule = optax.warmup_cosine_decay_schedule(rate * 0.1, rate, warmup, max(updates, warmup + 1))
    return optax.chain(
        optax.clip_by_global_norm(5.0), optax.adamw(schedule, b2=0.99, weight_decay=weight_decay)
    )


def make_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    augmentation: Augmentation,
    grid: Grid,
    n_devices: int,
) -> StepFunction:
    """The per-device update, to be mapped with the axis `AXIS`.

    The result maps (state, resident {stream: Resident}, seeds uint32 [2] = (seed, stage), streamed
    {stream: Slices}) to (state, metric sums). A stream is in one of the two dictionaries; streamed slices
    arrive already drawn, by the same keys (`inputs.streams`), so that both forms train on the same examples.
    """
    order = {name: i for i, name in enumerate(sorted(method.streams))}

    def step(
        state: TrainState,
        resident: Mapping[str, Resident],
        seeds: Int[Array, " 2"],
        streamed: Mapping[str, Slices],
    ) -> tuple[TrainState, Sums]:
        device = lax.axis_index(AXIS)
        key = stage_key(seeds)
        batch = {}
        for name, total in method.streams.items():
            count = total // n_devices
            keys = example_keys(jax.random.fold_in(key, order[name]), state.step, device * count, count)
            if name in resident:
                index = draw(keys, resident[name].distribution)
                rows = jax.tree.map(lambda x, index=index: x[index], resident[name].slices)
            else:
                rows = streamed[name]
            batch[name] = make_batch(keys, rows, grid, augmentation)
        noise = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(key, 99), state.step), device)
        (_, (sums, aux)), gradient = jax.value_and_grad(method.loss, has_aux=True)(
            state.method.params, state.method.aux, batch, noise, state.step
        )
        gradient = lax.pmean(gradient, AXIS)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.method.params)
        params = optax.apply_updates(state.method.params, updates)
        one = jnp.float32(1)
        sums = {**sums, "gradient_norm": (optax.tree.norm(gradient), one)}
        return TrainState(state.step + 1, MethodState(params, aux), optimizer_state), sums

    return step


def stage_key(seeds: Any) -> Array:
    """The key of one stage, from (seed, stage)."""
    return jax.random.fold_in(jax.random.key(seeds[0]), seeds[1])
