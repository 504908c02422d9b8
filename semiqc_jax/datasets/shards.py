"""Shards: runs of subjects, each converted by one process into one file, with a line on what is in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.outcomes import Refused, checked_study, each_id_once
from semiqc_jax.datasets.readers.found import Found, files_digest
from semiqc_jax.datasets.stored import WrittenShard, store, subject_from_json, subject_to_json
from semiqc_jax.errors import DataError
from semiqc_jax.files import write_json

# Stored form -> the module that writes and reads it. A module is imported when it is used: records need tfds.
FORMS: Mapping[str, str] = MappingProxyType(
    {"records": "semiqc_jax.datasets.records", "pack": "semiqc_jax.datasets.pack"}
)
MIN_SUBJECTS, MAX_SHARDS = 4, 256  # subjects of a shard at least; shards at most, since each is an open file


@dataclass(frozen=True)
class Shard:
    """A run of subjects and the file that they go into."""

    found: tuple[Found, ...]
    path: Path
    sidecar: Path  # what is in the file; written after it: without a valid one there is no shard
    form: str
    task: Task
    key: str  # of everything that the content depends on


@dataclass(frozen=True)
class Converted:
    """What a sidecar says: the file, and each found subject's line or why it was left out, in order."""

    file: WrittenShard
    sha256: str
    outcomes: tuple[Subject | Refused, ...]

    def refusals(self) -> Iterator[Refused | None]:
        """For each subject why it was left out, or None, as `convert_shard` yields it."""
        return (one if isinstance(one, Refused) else None for one in self.outcomes)


def form_module(form: str) -> Any:
    """The module of a stored form: VERSION, `shard_path`, `ShardWriter` and `finish`."""
    return import_module(FORMS[form])


def plan_shards(
    found: Sequence[Found], folder: Path, staged: Path, dataset: str, form: str, task: Task, settings: Mapping[str, Any]
) -> list[Shard]:
    """Cut the subjects into shards; the same subjects give the same shards whatever works on them."""
    module, once = form_module(form), tuple(each_id_once(found))
    size = max(MIN_SUBJECTS, -(-len(once) // MAX_SHARDS))
    shards = []
    for index, first in enumerate(range(0, len(once), size)):
        run = once[first : first + size]
        of = [(one.subject_id, str(one.path), one is before) for one, before in zip(run, found[first:])]
        state = [module.VERSION, form, task.name, dict(settings), of, [files_digest(one.files) for one in run]]
        key = hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()
        path = module.shard_path(folder, staged, dataset, index)
        shards.append(Shard(run, path, staged / f"{index:05d}.json", form, task, key))
    return shards


def convert_shard(shard: Shard, lost: Mapping[int, str]) -> Iterator[Refused | None]:
    """Write a shard; yields for each subject, as it is done, why it was left out, or None.

    Args:
        shard: what to write. Its file has its name only once it is whole.
        lost: subjects (by position) that ended or stopped the process that read them, and how.
    """
    temporary = shard.path.with_name(f".{shard.path.name}.{os.getpid()}")
    outcomes: list[dict[str, Any]] = []
    n_records = 0
    try:
        with form_module(shard.form).ShardWriter(temporary, shard.task) as writer:
            for n, one in enumerate(shard.found):
                checked = lost_subject(one, lost[n]) if n in lost else checked_study(one)
                if isinstance(checked, Refused):
                    outcomes.append({"refused": asdict(checked)})
                    yield checked
                    continue
                stored = store(checked)
                writer.add(stored)
                n_records += stored.subject.n_frames * stored.subject.n_slices
                outcomes.append({"subject": subject_to_json(stored.subject)})
                yield None
        sync(temporary)
        digest, size = sha256(temporary), temporary.stat().st_size
        temporary.rename(shard.path)
    finally:
        temporary.unlink(missing_ok=True)
    file = {"sha256": digest, "bytes": size, "n_records": n_records, "n_bytes": writer.n_bytes}
    write_json(shard.sidecar, {"key": shard.key, **file, "outcomes": outcomes})


def lost_subject(one: Found, why: str) -> Refused:
    """The record of a subject whose reading a process did not survive."""
    mend = "look at this subject's files; give more memory or fewer workers if they are sound"
    return Refused.of(one, "read", DataError(f"reading it {why}", one.path, mend))


def read_sidecar(shard: Shard) -> Converted | None:
    """What was converted of this very shard; None where it is not there, not whole or of other content."""
    try:
        values = json.loads(shard.sidecar.read_text(encoding="utf-8"))
        if values["key"] != shard.key or shard.path.stat().st_size != values["bytes"]:
            return None
        file = WrittenShard(shard.path, values["n_records"], values["n_bytes"])
        outcomes = tuple(
            subject_from_json(one["subject"]) if "subject" in one else Refused(**one["refused"])
            for one in values["outcomes"]
        )
        return Converted(file, values["sha256"], outcomes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file is on the disk: a name must not outlive what it stands for."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
