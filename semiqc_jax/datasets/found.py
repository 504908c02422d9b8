"""`Found`: a subject that a reader saw but has not read yet, so that a build streams one study at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from semiqc_jax.study import Study


@dataclass(frozen=True)
class Found:
    """One subject of a source. `read` loads it, unchecked; it raises `DataError` if it cannot."""

    subject_id: str
    path: Path | str  # the file, folder or specification that errors and the quarantine list name
    read: Callable[[], Study]
    files: tuple[Path, ...] = ()  # what `read` reads; a phantom is made of no file


def files_digest(files: Iterable[Path]) -> str | None:
    """A digest of the names, sizes and times of change of files: a mended file changes it. None of no file."""
    states = [(str(path), stat.st_size, stat.st_mtime_ns) for path in files for stat in [path.stat()]]
    return hashlib.sha256(repr(states).encode()).hexdigest() if states else None
