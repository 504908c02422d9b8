"""The pseudo-label store of a round: sharded, compressed, with provenance; written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.errors import DataError
from semiqc_jax.files import write_bytes
from semiqc_jax.pipeline import Segmentation

SUBJECTS_PER_SHARD = 16
OPEN_SHARDS = 128  # at most, in one store: systems allow a process about a thousand open files
PROVENANCE = "provenance"
BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class PseudoStore:
    """Label volumes and slice statistics of segmented pool subjects, `FOLDER/NNNNN.npz`.

    A label is stored slice by slice, so that reading one slice costs one slice; shards never mix checkpoints.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = threading.Lock()  # a ZIP file that several threads read mixes up their places in it
        self._home: dict[str, Path] = {}  # subject -> its shard; filled by the first read
        self._open: dict[Path, Any] = {}  # open shards, the one that was read last at the end
        weakref.finalize(self, _close, self._open)

    def shard_path(self, shard: int) -> Path:
        """Where a shard lies."""
        return self.folder / f"{shard:05d}.npz"

    def is_written(self, shard: int, provenance: Mapping[str, Any]) -> bool:
        """Whether a shard is there, can be read and was made by this checkpoint; if not it is to be written again."""
        path = self.shard_path(shard)
        if not path.exists():
            return False
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                return data.zip.testzip() is None and json.loads(str(data[PROVENANCE])) == dict(provenance)
        except BROKEN:
            return False

    def write(self, shard: int, segmentations: Sequence[Segmentation], provenance: Mapping[str, Any]) -> None:
        """Write one shard in one piece."""
        arrays: dict[str, Any] = {PROVENANCE: np.array(json.dumps(dict(provenance)))}
        for one in segmentations:
            for t, z in np.ndindex(*one.label.shape[:2]):
                arrays[f"{one.subject_id}/label/{t}/{z}"] = one.label[t, z]
            for name, value in one.statistics.items():
                arrays[f"{one.subject_id}/statistics/{name}"] = value
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        with self._lock:
            _close(self._open)
            self._home.clear()
            write_bytes(self.shard_path(shard), buffer.getvalue())

    def digests(self) -> list[dict[str, str]]:
        """[{path, sha256}] of all shards, for the manifest."""
        return [
            {"path": f"{self.folder.name}/{path.name}", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in self._paths()
        ]

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.npz"))

    def label_slice(self, subject_id: str, frame: int, slice_: int) -> NDArray[np.uint8]:
        """The pseudo-label of one slice, native pixels [Y, X]."""
        return self._read(subject_id, f"label/{frame}/{slice_}")

    def label(self, subject_id: str, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """The pseudo-label of a whole cine [T, Z, Y, X]."""
        slices = [self.label_slice(subject_id, t, z) for t, z in np.ndindex(*shape[:2])]
        return np.stack(slices).reshape(shape)

    def statistics(self, subject_id: str) -> dict[str, NDArray[np.float32]]:
        """`slice_statistics` of a subject, each [T, Z, ...]."""
        prefix = f"{subject_id}/statistics/"
        with self._lock, _intact(f"{subject_id}, {self.folder}"):
            shard = self._shard_of(subject_id)
            return {name.removeprefix(prefix): shard[name] for name in shard.files if name.startswith(prefix)}

    def _read(self, subject_id: str, name: str) -> NDArray:
        with self._lock, _intact(f"{subject_id}, {self.folder}"):
            return self._shard_of(subject_id)[f"{subject_id}/{name}"]

    def _shard_of(self, subject_id: str) -> Any:
        """The open shard of a subject; where too many are open, the one that was read longest ago is closed."""
        if not self._home:
            for path in self._paths():
                with np.load(path, allow_pickle=False) as data:
                    self._home |= {name.split("/")[0]: path for name in data.files if "/" in name}
        path = self._home[subject_id]
        shard = self._open.pop(path) if path in self._open else np.load(path, allow_pickle=False)
        self._open[path] = shard
        if len(self._open) > OPEN_SHARDS:
            self._open.pop(next(iter(self._open))).close()
        return shard


def _close(shards: dict[Path, Any]) -> None:
    """Close and forget all."""
    while shards:
        shards.popitem()[1].close()


@contextmanager
def _intact(where: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise DataError("pseudo-labels are damaged", where, "restore the files, or train in a new workdir") from error
