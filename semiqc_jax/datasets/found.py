"""`Found`: a subject that a reader saw but has not read yet, so that a build streams one study at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from semiqc_jax.study import Study


@dataclass(frozen=True)
class Found:
    """One subject of a source. `read` loads it, unchecked; it raises `DataError` if it cannot."""

    subject_id: str
    path: Path | str  # the file, folder or specification that errors and the quarantine list name
    read: Callable[[], Study]
