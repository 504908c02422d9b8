"""The packed form: one compressed .npz that holds a whole cohort and needs NumPy alone to open."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import TASKS, Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.memory import StoredCohort
from semiqc_jax.datasets.stored import Stored, WrittenShard, subject_from_json, subject_to_json
from semiqc_jax.errors import DataError

PACK_NAME = "cohort.npz"
VERSION = 1
ARRAYS = ("image", "label", "labelled")


def shard_path(folder: Path, staged: Path, dataset: str, index: int) -> Path:
    """Where a shard is written: finishing puts the shards together."""
    return staged / f"{index:05d}.npz"


class ShardWriter:
    """Writes the arrays of some subjects, not compressed: `POSITION/{image, label, labelled}`. A context manager."""

    def __init__(self, path: Path, task: Task):
        self._file = zipfile.ZipFile(path, "w")
        self._n_subjects = self.n_bytes = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, stored: Stored) -> None:
        """Append one subject."""
        for name in ARRAYS:
            _write_array(self._file, f"{self._n_subjects:05d}/{name}", getattr(stored, name))
            self.n_bytes += getattr(stored, name).nbytes
        self._n_subjects += 1


def finish(
    folder: Path,
    dataset: str,
    task: Task,
    subjects: Sequence[Subject],
    shards: Sequence[WrittenShard],
    splits: Mapping[str, Sequence[str]],
) -> list[Path]:
    """Put the shards into one file, a subject at a time; return the files of the form."""
    left = iter(subjects)
    with PackWriter(folder, dataset, task) as writer:
        for shard in shards:
            with np.load(shard.path, allow_pickle=False) as file:
                for n in range(len(file.files) // len(ARRAYS)):
                    writer.add(Stored(next(left), *(file[f"{n:05d}/{name}"] for name in ARRAYS)))
        writer.finish(splits)
    return [folder / PACK_NAME]


class PackWriter:
    """Writes `cohort.npz` a subject at a time, in bounded memory. A context manager.

    Members: `SUBJECTINDEX/{image, label, labelled}` and `meta`, JSON as bytes (name, task, subjects, splits).
    """

    def __init__(self, folder: Path, name: str, task: Task):
        self._meta = {"version": VERSION, "name": name, "task": task.name}
        self._subjects: list[dict] = []
        self._file = zipfile.ZipFile(folder / PACK_NAME, "w", zipfile.ZIP_DEFLATED, compresslevel=4)

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, stored: Stored) -> None:
        """Append one subject."""
        for name in ARRAYS:
            _write_array(self._file, f"{len(self._subjects):05d}/{name}", getattr(stored, name))
        self._subjects.append(subject_to_json(stored.subject))

    def finish(self, splits: Mapping[str, Sequence[str]]) -> None:
        """Write what describes the cohort; without it the file does not open."""
        meta = json.dumps({**self._meta, "subjects": self._subjects, "splits": splits})
        _write_array(self._file, "meta", np.frombuffer(meta.encode(), np.uint8))
        self._file.close()


def _write_array(file: zipfile.ZipFile, name: str, array: NDArray) -> None:
    with file.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def open_pack(path: Path) -> StoredCohort:
    """Load a packed cohort into memory.

    Raises:
        DataError: not a whole packed cohort of this version.
    """
    mend = "build or copy it again (launch/build_data.py --format=pack)"
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            meta = json.loads(file["meta"].tobytes())
            if meta["version"] != VERSION:
                raise DataError(f"packed form of version {meta['version']}, not {VERSION}", path, mend)
            stored = [
                Stored(subject_from_json(values), *(file[f"{i:05d}/{name}"] for name in ARRAYS))
                for i, values in enumerate(meta["subjects"])
            ]
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"not a whole packed cohort: {error}", path, mend) from error
    return StoredCohort(meta["name"], TASKS[meta["task"]], stored, meta["splits"])
