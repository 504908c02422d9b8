"""Whether a built data set is still what was written: sizes and checksums of all its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from semiqc_jax.datasets.shards import sha256
from semiqc_jax.errors import DataError
from semiqc_jax.files import read_json


def verify_cohort(folder: Path, progress: Callable[[], object] = lambda: None) -> int:
    """Read every file of a built data set and compare its SHA-256 with that of when it was written.

    Returns:
        The number of files.

    Raises:
        DataError: there is no data set with checksums; or files are missing or damaged: names them.
    """
    mend = "build it again or copy it again"
    files = read_json(folder / "summary.json").get("files")
    if not files:
        raise DataError("the data set has no checksums", folder, mend)
    bad = []
    for entry in files:
        path = folder / entry["path"]
        if not path.is_file():
            bad.append(f"{entry['path']} is missing")
        elif sha256(path) != entry["sha256"]:
            bad.append(f"{entry['path']} is damaged")
        progress()
    if bad:
        raise DataError(f"{len(bad)} of {len(files)} files: {', '.join(bad)}", folder, mend)
    return len(files)
