"""The loop of one stage: updates, metrics, checkpoints, and a stop that loses nothing."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import jax
import numpy as np

from semiqc_jax.parallel import Devices
from semiqc_jax.training.step import Resident, StepFunction, TrainState


class StopRequest:
    """Set by SIGTERM while `stop_on_sigterm` is active."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Turn SIGTERM into a request that the loop answers at the next line of its log."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def ask(_signal: int, _frame: FrameType | None) -> None:
        request.asked = True

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass(frozen=True)
class Hooks:
    """What the loop calls besides training; steps are counted within the stage."""

    save: Callable[[int, TrainState], None]
    log: Callable[[int, dict[str, float]], None]
    advance: Callable[..., None]
    stop: StopRequest
    save_every: int
    log_every: int


def run_stage(
    step: StepFunction,
    devices: Devices,
    state: TrainState,
    resident: Mapping[str, Resident],
    streamed: Mapping[str, Iterator[Any]],
    seeds: tuple[int, int],
    updates: int,
    hooks: Hooks,
) -> TrainState:
    """Run the updates of a stage that are still to do; returns the host state, saved.

    A stage that is asked to stop returns early, with its state saved. It stops and saves only where a line of the
    log ends, so that a resumed run writes the same lines.
    """
    done = int(state.step)
    run = devices.map(step, replicated=3, sharded=1, sum_out=True, donate=True)
    on_device = devices.replicate(state)
    resident_on_device = devices.replicate(dict(resident))
    seeds_on_device = devices.replicate(np.asarray(seeds, np.uint32))
    pending: list[Any] = []
    since = time.perf_counter()
    saved = done
    while done < updates and (pending or not hooks.stop.asked):
        batch = {name: devices.shard(next(rows)) for name, rows in streamed.items()}
        on_device, sums = run(on_device, resident_on_device, seeds_on_device, batch)
        pending.append(sums)
        done += 1
        save_now = done % hooks.save_every == 0
        if save_now or done % hooks.log_every == 0 or done == updates:
            values = mean_metrics([devices.unreplicate(s) for s in pending])
            now = time.perf_counter()
            rate = len(pending) / (now - since)
            hooks.log(done, {**values, "updates_per_s": rate})
            hooks.advance(len(pending), note=f"loss {values['loss']:.3f}")
            pending, since = [], now
        if save_now and done < updates:
            hooks.save(done, devices.unreplicate(on_device))
            saved = done
    state = devices.unreplicate(on_device)
    if saved < done:
        hooks.save(done, state)
    return state


def mean_metrics(sums: list[Any]) -> dict[str, float]:
    """Means of metric sums over several steps: one division, at the end. Per-class sums give one value a class."""
    total = jax.tree.map(lambda *x: np.sum(np.stack(x), axis=0), *sums)
    result: dict[str, float] = {}
    for name, (numerator, denominator) in total.items():
        mean = np.asarray(numerator) / np.maximum(np.asarray(denominator), 1e-9)
        if mean.ndim == 0:
            result[name] = float(mean)
        else:
            result.update({f"{name}_{c}": float(v) for c, v in enumerate(mean, start=1)})
    return result
