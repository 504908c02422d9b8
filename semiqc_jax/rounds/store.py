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
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.errors import DataError
from semiqc_jax.files import write_bytes
from semiqc_jax.pipeline import Segmentation

SUBJECTS_PER_SHARD = 16
PROVENANCE = "provenance"
BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


class PseudoStore:
    """Label volumes and slice statistics of segmented pool subjects, `FOLDER/NNNNN.npz`.

    A label is stored slice by slice, so that reading one slice costs one slice; shards never mix checkpoints.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._lock = threading.Lock()  # a ZIP file that several threads read mixes up their places in it

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
        write_bytes(self.shard_path(shard), buffer.getvalue())

    def digests(self) -> list[dict[str, str]]:
        """[{path, sha256}] of all shards, for the manifest."""
        return [
            {"path": f"{self.folder.name}/{path.name}", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in self._paths()
        ]

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.npz"))

    @cached_property
    def _shards(self) -> list[Any]:
        shards = [np.load(path, allow_pickle=False) for path in self._paths()]
        for shard in shards:
            weakref.finalize(self, shard.close)
        return shards

    @cached_property
    def _home(self) -> dict[str, Any]:
        """Subject -> the open shard that holds it."""
        return {name.split("/")[0]: shard for shard in self._shards for name in shard.files if "/" in name}

    def subjects(self) -> Iterator[str]:
        """Ids of all stored subjects, in the order of the pool."""
        yield from self._home

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
        with _intact(f"{subject_id}, {self.folder}"):
            files = self._home[subject_id].files
        names = [name.removeprefix(prefix) for name in files if name.startswith(prefix)]
        return {name: self._read(subject_id, f"statistics/{name}") for name in names}

    def _read(self, subject_id: str, name: str) -> NDArray:
        with self._lock, _intact(f"{subject_id}, {self.folder}"):
            return self._home[subject_id][f"{subject_id}/{name}"]


@contextmanager
def _intact(where: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise DataError("pseudo-labels are damaged", where, "restore the files, or train in a new workdir") from error
