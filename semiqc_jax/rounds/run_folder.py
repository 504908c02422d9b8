"""The folder of a run: who may write there, its status, its records of what it is and how it went."""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from tensorboardX import SummaryWriter

from semiqc_jax.errors import ConfigError, UserError
from semiqc_jax.files import read_json, write_json, write_text
from semiqc_jax.settings import Settings, with_defaults

FREE_TO_CHANGE = {
    *("checkpoint_every", "log_every", "inference_batch", "resident_mb", "data_dir", "devices", "mapping"),
    "stage0_from",
}
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn", "semiqc_jax")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. The lock goes with the process: a kill leaves none behind.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                "another process is working on this run", folder, "wait for it, or choose another workdir"
            ) from error
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def claim(folder: Path, settings: Settings, splits: Mapping[str, list[str]]) -> None:
    """Write what the run is, or check that it is still the same run and write what may have changed of it.

    Raises:
        ConfigError: the folder holds a run of other settings; names every difference.
    """
    path = folder / "config.json"
    if path.exists():
        before, now = with_defaults(read_json(path)), settings.to_dict()
        changed = [k for k in now if before[k] != now[k] and k not in FREE_TO_CHANGE]
        if changed:
            what = "; ".join(f"{k} was {before[k]!r}, is {now[k]!r}" for k in changed)
            raise ConfigError(f"the run has other settings: {what}", folder, "choose another workdir or the old ones")
        if read_json(folder / "splits.json") != dict(splits):
            raise ConfigError("the run has other splits", folder, "choose another workdir, or build the data as before")
        _append_versions(folder / "versions.json")
        write_json(path, now)
        return
    write_json(folder / "splits.json", dict(splits))
    write_json(folder / "versions.json", versions())
    write_json(path, settings.to_dict())


def _append_versions(path: Path) -> None:
    """Note under `resumed` what of the versions, the devices and the command is other than before."""
    first, now = read_json(path), versions()
    resumed = first.pop("resumed", [])
    known = first | {key: value for later in resumed for key, value in later.items()}
    different = {key: value for key, value in now.items() if known.get(key) != value}
    if different:
        write_json(path, {**first, "resumed": [*resumed, different]})


def versions() -> dict[str, Any]:
    """Versions, devices and the command: what a result was made with."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "packages": found,
        "devices": [str(d.device_kind) for d in devices],
        "platform": devices[0].platform,
        "cpu_cores": os.cpu_count(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def write_status(folder: Path, state: str, stage: int, step: int) -> None:
    """`status.json`: running, preempted or complete."""
    write_json(folder / "status.json", {"state": state, "round": stage, "step": step})


class MetricsLog:
    """`metrics.jsonl` and TensorBoard. Lines after the step that a run resumes from are dropped, then redone."""

    def __init__(self, folder: Path, resumed_at: int):
        self._path = folder / "metrics.jsonl"
        if self._path.exists():
            lines = [line for line in self._path.read_text().splitlines() if _step_of(line) <= resumed_at]
            write_text(self._path, "".join(f"{line}\n" for line in lines))
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_at + 1, flush_secs=30)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._board.close()

    def write(self, step: int, stage: int, values: Mapping[str, float]) -> None:
        """One line of numbers."""
        with self._path.open("a") as handle:
            handle.write(json.dumps({"step": step, "round": stage, **values}) + "\n")
        for name, value in values.items():
            self._board.add_scalar(f"train/{name}", value, step)


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # a line that a kill cut in two
        return float("inf")
