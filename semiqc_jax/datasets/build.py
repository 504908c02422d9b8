"""Found subjects -> a built data set on disk: in parallel, resumable, quarantined, and only ever seen whole."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from semiqc_jax.anatomy import SHORT_AXIS, Task
from semiqc_jax.datasets.finish import finish
from semiqc_jax.datasets.outcomes import Progress
from semiqc_jax.datasets.processes import PATIENCE_S, run_jobs
from semiqc_jax.datasets.readers.found import Found, files_digest
from semiqc_jax.datasets.shards import FORMS, convert_shard, form_module, plan_shards, read_sidecar
from semiqc_jax.datasets.splits import SplitRule
from semiqc_jax.errors import ConfigError, UserError
from semiqc_jax.files import read_json

FORMATS = tuple(FORMS)
STAGED, LOCK = "staged", ".lock"  # what a build in work has beside its files


@dataclass(frozen=True)
class Request:
    """What a build is of; a finished data set of an equal request is not made again."""

    dataset: str  # the name that the data set has
    form: str  # "records" (tfds, ArrayRecord) or "pack" (one .npz)
    settings: Mapping[str, Any] = field(default_factory=dict)  # source, ...: kept in the summary
    task: Task = SHORT_AXIS
    splits_file: Path | None = None
    split_settings: Mapping[str, Any] = field(default_factory=dict)  # kept too; other ones need no new conversion

    def identity(self, found: Sequence[Found]) -> dict[str, Any]:
        """The part of `summary.json` that tells one request from another, the state of its files included."""
        splits_file = () if self.splits_file is None else (self.splits_file,)
        return {
            "dataset": self.dataset,
            "format": self.form,
            "format_version": form_module(self.form).VERSION,
            "splits_file": None if self.splits_file is None else str(self.splits_file),
            **self.settings,
            **self.split_settings,
            "found": len(found),
            "files_digest": files_digest(chain(*(one.files for one in found), splits_file)),
        }


def build_cohort(
    found: Sequence[Found],
    out: Path,
    request: Request,
    split_rule: SplitRule,
    strict: bool = False,
    progress: Progress = lambda refused: None,
    workers: int = 0,
    patience_s: float = PATIENCE_S,
) -> dict[str, Any]:
    """Build a data set in `out` and return its summary; a finished one of the same request is left as it is.

    Everything is written into a folder beside `out` that takes its name at the very end, so that a build that
    was stopped is never taken for a whole one. It goes on at the shard where it was when the same is asked for
    again; shards whose files have changed are made again. The files are the same, byte by byte, for any number
    of workers. Memory is bounded by one subject a worker.

    Args:
        found: the subjects, in the order that the cohort will have.
        out: the data set's folder; it may not exist yet or must be empty or finished.
        request: name, form, task, settings and splits file.
        split_rule: makes the splits from the usable subjects.
        strict: stop at the first bad subject instead of putting it into quarantine.
        progress: called for each subject with why it was left out, or None.
        workers: processes that read and convert; 0 does all in this one, where a crash is a crash.
        patience_s: a subject that takes a process longer is left out.

    Raises:
        DataError: with `strict`; or a subject is in two splits.
        NothingUsableError: no subject is usable.
        ConfigError: `out` holds something else or was built of files that have changed since, or no usable
            subject is left to train on.
        UserError: another process builds the same; the disk is full.
    """
    identity = request.identity(found)
    done = _finished(out, identity)
    if done is not None:
        return done
    partial = out.parent / f".{out.name}.partial"
    with _claimed(partial):
        staged = partial / STAGED
        parts = request.dataset, request.form, request.task, request.settings
        shards = plan_shards(found, partial, staged, *parts)
        converted = [read_sidecar(shard) for shard in shards]
        _remove_others(partial, {p for s, c in zip(shards, converted) if c for p in (s.path, s.sidecar)})
        for refused in (r for c in converted if c for r in c.refusals()):
            _take(refused, strict, progress)
        todo = [shard for shard, c in zip(shards, converted) if c is None]
        for _, refused in run_jobs(convert_shard, todo, workers, patience_s):
            _take(refused, strict, progress)
        finish(partial, shards, request.dataset, request.task, split_rule, identity)
        _publish(partial, out)
    return read_json(out / "summary.json")


def finished_summary(out: Path) -> dict[str, Any] | None:
    """The summary of a finished data set, None where there is none."""
    path = out / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _finished(out: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    done = finished_summary(out)
    if done is None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ConfigError("the folder is not empty", out, "choose another folder or empty it")
        return None
    changed = {key for key, value in identity.items() if done.get(key) != value}
    if changed and changed <= {"found", "files_digest"}:
        raise ConfigError("source files changed since the build", out, f"remove {out} to build again")
    if changed:
        raise ConfigError("the folder holds another data set", out, "choose another folder or remove it")
    _tidy(out)
    return done


@contextmanager
def _claimed(partial: Path) -> Iterator[None]:
    """Hold the folder of a build for this process. The lock goes with the process: a kill leaves none behind."""
    partial.mkdir(parents=True, exist_ok=True)
    with (partial / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(handle.fileno()), (partial / LOCK).stat()):
                raise OSError("finished meanwhile")
        except OSError as error:
            mend = "wait for it, then run this again"
            raise UserError("another process is building this data set", partial, mend) from error
        yield


def _take(refused: Any, strict: bool, progress: Progress) -> None:
    progress(refused)
    if strict and refused is not None:
        raise refused.error


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Remove what earlier builds left and this one cannot use."""
    (folder / STAGED).mkdir(exist_ok=True)
    for path in [*folder.iterdir(), *(folder / STAGED).iterdir()]:
        if path.is_file() and path not in kept and path.name != LOCK:
            path.unlink()


def _publish(partial: Path, out: Path) -> None:
    try:
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        what = f"the finished data set cannot take its name: {error}"
        raise UserError(what, out, "empty or remove the folder, then run again") from error
    _tidy(out)


def _tidy(out: Path) -> None:
    """Remove what only a build in work needs."""
    shutil.rmtree(out / STAGED, ignore_errors=True)
    (out / LOCK).unlink(missing_ok=True)
