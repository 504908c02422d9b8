"""One stage of training: its method, its streams and its state, from a checkpoint to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.errors import ConfigError
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.inputs.grid import Grid
from semiqc_jax.inputs.slices import Slices
from semiqc_jax.inputs.streams import stream
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.parallel import AXIS, Devices
from semiqc_jax.rounds.sources import Source
from semiqc_jax.segmentation.predict import Model
from semiqc_jax.settings import Settings
from semiqc_jax.training.loop import Hooks, run_stage
from semiqc_jax.training.methods.method import Method, MethodState
from semiqc_jax.training.methods.supervised import Supervised
from semiqc_jax.training.step import Resident, StepFunction, TrainState, make_optimizer, make_step, stage_key


@dataclass(frozen=True)
class Trainer:
    """What all stages of a run share."""

    settings: Settings
    cohort: Cohort
    devices: Devices

    @property
    def network(self) -> NetworkSpec:
        """The network of the run."""
        m = self.settings.model
        n_classes = self.cohort.task.n_classes
        return NetworkSpec(m.name, n_classes, m.base, m.depth, m.norm, m.dropout, m.dtype, m.window)

    @property
    def grid(self) -> Grid:
        """The network's grid."""
        return Grid(self.settings.grid.size, self.settings.grid.pixel_mm)

    def model(self, variables: Any) -> Model:
        """The network with weights, ready to segment."""
        return Model(self.network, variables, self.grid, self.cohort.task, self.settings.flip_average)

    def method(self, pseudo: bool = False) -> Method:
        """The training method, its batch all labelled or, where the selector has any, with pseudo-labelled slices.

        Raises:
            ConfigError: a stream does not divide over the devices.
        """
        n_pseudo = self.settings.pseudo_batch if pseudo else 0
        streams = {"labelled": self.settings.batch_size - n_pseudo, "pseudo": n_pseudo}
        streams = {name: n for name, n in streams.items() if n}
        for name, n in streams.items():
            if n % self.devices.count:
                raise ConfigError(
                    f"{n} {name} examples a batch do not divide over {self.devices.count} devices",
                    "config.batch_size",
                    "change batch_size or pseudo_fraction, or use fewer devices",
                )
        return _method(self.network, tuple(streams.items()))

    def check(self) -> None:
        """Raise now what a stage would raise when it begins."""
        for pseudo in (False, self.settings.rounds > 0):
            self.method(pseudo)

    def fresh(self) -> TrainState:
        """The state before the first update."""
        size = self.grid.size
        example = np.zeros((1, size, size, self.network.window), np.float32)
        state = _initialiser(self.network)(jax.random.key(self.settings.seed), example)
        return self.start_stage(0, jax.device_get(state))

    def start_stage(self, stage: int, method_state: MethodState) -> TrainState:
        """The state in which a stage begins: the weights go on, the optimiser and its schedule start anew."""
        optimizer = make_optimizer(*self._schedule(stage)).init(method_state.params)
        return TrainState(np.int32(0), method_state, jax.device_get(optimizer))  # type: ignore[arg-type]

    def _schedule(self, stage: int) -> tuple[float, int, float]:
        s = self.settings
        rate, updates = (s.round_learning_rate, s.round_updates) if stage else (s.learning_rate, s.updates)
        return rate, updates, s.weight_decay

    def save(self, checkpoints: Checkpoints, stage: int, done: int, state: TrainState) -> None:
        """Save the state after `done` updates of a stage."""
        s = self.settings
        step = s.stage_end(stage - 1) + done if stage else done
        variables = self.method().infer(state.method)
        info = {"round": stage, "task": self.cohort.task.name, "grid": [s.grid.size, s.grid.pixel_mm]}
        checkpoints.save(step, variables, self.network, state, flip_average=s.flip_average, **info)

    def train(self, stage: int, state: TrainState, sources: Mapping[str, Source], hooks: Hooks) -> TrainState:
        """Run what is left of a stage on the sources that there are."""
        s = self.settings
        method = self.method("pseudo" in sources)
        updates = s.round_updates if stage else s.updates
        resident: dict[str, Resident] = {}
        streamed: dict[str, Iterator[Slices]] = {}
        done = int(state.step)
        for order, name in enumerate(sorted(method.streams)):
            source = sources[name]
            if source.bytes <= s.resident_mb * 2**20:
                resident[name] = source.resident()
            else:
                key = jax.random.fold_in(stage_key((s.seed, stage)), order)
                count = method.streams[name]
                streamed[name] = stream(source.read, key, source.distribution, done, updates - done, count)
        step = _step(
            self.network,
            tuple(method.streams.items()),
            self._schedule(stage),
            s.augmentation,
            self.grid,
            self.devices.count,
        )
        return run_stage(step, self.devices, state, resident, streamed, (s.seed, stage), updates, hooks)


# A round's update is that of the round before: made once, it is compiled once.


def _method(network: NetworkSpec, streams: tuple[tuple[str, int], ...]) -> Method:
    return Supervised(build_network(network, AXIS), dict(streams), AXIS)


@lru_cache(maxsize=8)
def _initialiser(network: NetworkSpec) -> Callable[..., MethodState]:
    # Initial weights are drawn once: XLA's optimisation of the draws would take ten times as long as it saves.
    return jax.jit(_method(network, ()).init, compiler_options={"xla_backend_optimization_level": 1})


@lru_cache(maxsize=8)
def _step(
    network: NetworkSpec,
    streams: tuple[tuple[str, int], ...],
    schedule: tuple[float, int, float],
    augmentation: str,
    grid: Grid,
    n_devices: int,
) -> StepFunction:
    optimizer = make_optimizer(*schedule)
    return make_step(_method(network, streams), optimizer, AUGMENTATIONS[augmentation], grid, n_devices)
