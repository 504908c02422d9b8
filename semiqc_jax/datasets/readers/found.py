"""`Found`: a subject that a reader saw but has not read yet; `ReaderOptions`: what a reader may be told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from semiqc_jax.anatomy import SHORT_AXIS, Task
from semiqc_jax.errors import ConfigError
from semiqc_jax.study import Study


@dataclass(frozen=True)
class ReaderOptions:
    """What a user says of a source where its files do not: each reader uses what applies to it."""

    task: Task = SHORT_AXIS
    label_codes: str | None = "canonical"  # a key of `anatomy.LABEL_CODES`; None leaves labels unread
    label_suffixes: tuple[str, ...] = ("_gt", "_label")  # NAME + suffix is the label of the image NAME


DEFAULT = ReaderOptions()


def short_axis_only(options: ReaderOptions, dataset: str) -> None:
    """Refuse another task for a data set of the short axis.

    Raises:
        ConfigError: names the data set.
    """
    if options.task != SHORT_AXIS:
        raise ConfigError(f"{dataset} holds no study of the task '{options.task.name}'", "task", "use short_axis")


@dataclass(frozen=True)
class Found:
    """One subject of a source. `read` loads it, unchecked; it raises `DataError` if it cannot.

    It can be pickled, so that another process may read it.
    """

    subject_id: str
    path: Path | str  # the file, folder or specification that errors and the quarantine list name
    read: Callable[[], Study]
    files: tuple[Path, ...] = ()  # what `read` reads; a phantom is made of no file
    split: str | None = None  # "train", "val" or "test" where the source's layout says so
    patient_id: str | None = None  # shared by the studies of one patient; None: this is the only one


def files_digest(files: Iterable[Path]) -> str | None:
    """A digest of the names, sizes and times of change of files: a mended file changes it. None of no file."""
    states = [_state(path) for path in files]
    return hashlib.sha256(repr(states).encode()).hexdigest() if states else None


def _state(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:  # a dangling link or no permission: reading the subject will say so
        return str(path), -1, -1
    return str(path), stat.st_size, stat.st_mtime_ns
