"""Checkpoints: the only module that knows Orbax. What is kept, what a run resumes from, what a model is read from."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as ocp_managers

from semiqc_jax.errors import DataError, UserError
from semiqc_jax.models.build import NetworkSpec, build_network

PyTree = Any


@dataclass(frozen=True)
class ModelRecord:
    """A trained network as read from a checkpoint."""

    network: NetworkSpec
    variables: PyTree  # NumPy arrays
    info: Mapping[str, Any]  # step, round, sha256, task, grid


class Checkpoints:
    """The checkpoints of one run, `FOLDER/STEP/{model,train}`.

    `model` holds the variables for inference and is readable without the training code; `train` everything that
    resuming needs. The latest and those of `keep` are kept. A reader of another's run is `read_only`: it leaves the
    folder as it is, even a save in flight.
    """

    def __init__(self, folder: Path, keep: Collection[int] = (), read_only: bool = False):
        policy = ocp_managers.AnyPreservationPolicy(
            [ocp_managers.LatestN(1), ocp_managers.CustomSteps(steps=tuple(keep))]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policy,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=not read_only,
            create=not read_only,
        )
        self._folder = folder
        handlers = {item: ocp.StandardCheckpointHandler() for item in ("model", "train")}
        self._manager = ocp.CheckpointManager(folder.absolute(), item_handlers=handlers, options=options)

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """The newest whole checkpoint's step."""
        return self._manager.latest_step()

    def steps(self) -> tuple[int, ...]:
        """Steps of all whole checkpoints, in order."""
        return tuple(sorted(self._manager.all_steps()))

    def save(self, step: int, variables: PyTree, network: NetworkSpec, train: PyTree, **info: Any) -> str:
        """Save host arrays; whole or not there at all. Returns the model's SHA-256."""
        digest = model_sha256(variables)
        self._manager.save(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(variables), train=ocp.args.StandardSave(train)
            ),
            custom_metadata={"network": asdict(network), "step": step, "sha256": digest, **info},
            force=True,
        )
        self._manager.wait_until_finished()
        return digest

    def forget(self, before: int) -> None:
        """Delete the checkpoints of earlier steps, also those that were to be kept."""
        for step in self.steps():
            if step < before:
                self._manager.delete(step)

    def info(self, step: int) -> dict[str, Any]:
        """What was saved beside the arrays: network, step, round, sha256, task, grid.

        Raises:
            UserError: there is no whole checkpoint at this step.
        """
        self._require(step)
        return dict(self._manager.metadata(step).custom_metadata or {})

    def restore_train(self, step: int, like: PyTree) -> PyTree:
        """The training state of a step, in the structure of `like`.

        Raises:
            UserError: there is no whole checkpoint at this step.
            DataError: it was saved by a run of another architecture.
        """
        return self._restore(step, "train", like)

    def restore_model(self, step: int, like: PyTree) -> PyTree:
        """The inference variables of a step, in the structure of `like`."""
        return self._restore(step, "model", like)

    def _require(self, step: int) -> None:
        if step not in self.steps():
            mend = "restore the folder, or train in another workdir"
            raise UserError(f"the checkpoint of step {step} is missing", self._folder, mend)

    def _restore(self, step: int, item: str, like: PyTree) -> PyTree:
        self._require(step)
        host = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(**{item: ocp.args.StandardRestore(host)}))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                "the checkpoint is of another architecture",
                self._folder / str(step),
                "use the run's own model settings, or another workdir",
            ) from error
        result = restored[item]
        for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(host), jax.tree.leaves(result), strict=True):
            if a.shape != np.shape(b):
                raise DataError(
                    f"the checkpoint is of another architecture: {jax.tree_util.keystr(path)} has shape "
                    f"{np.shape(b)}, the settings say {a.shape}",
                    self._folder / str(step),
                    "use the run's own model settings, or another workdir",
                )
        return jax.tree.map(np.asarray, result)


def model_sha256(variables: PyTree) -> str:
    """SHA-256 over the arrays of a model in path order: their paths, types, shapes and bytes."""
    digest = hashlib.sha256()
    leaves = ((jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(variables))
    for path, leaf in sorted(leaves, key=lambda pair: pair[0]):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{path} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def load_model(folder: Path, step: int | None = None) -> ModelRecord:
    """Read a trained network without its training state.

    Args:
        folder: a run's `checkpoints`.
        step: which one; the last for None.

    Raises:
        UserError: there is none, or not at this step.
    """
    if not folder.is_dir():
        raise UserError("no checkpoints", folder, "train first, or name another run")
    with Checkpoints(folder, read_only=True) as checkpoints:
        steps = checkpoints.steps()
        if not steps or (step is not None and step not in steps):
            known = ", ".join(map(str, steps)) or "none"
            what = "no whole checkpoint" if step is None else f"no checkpoint at step {step}"
            raise UserError(what, folder, f"saved steps: {known}")
        step = steps[-1] if step is None else step
        info = checkpoints.info(step)
        network = NetworkSpec(**info["network"])
        size = 2 ** (network.depth - 1)
        example = jax.ShapeDtypeStruct((1, size, size, network.window), np.float32)
        shapes = jax.eval_shape(build_network(network).init, jax.random.key(0), example)
        return ModelRecord(network, checkpoints.restore_model(step, shapes), info)
