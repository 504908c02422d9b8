"""Text that comes beside images: an ordinary file of bounded size, or an error that names it."""

from __future__ import annotations

from pathlib import Path

from semiqc_jax.errors import DataError

MAX_BYTES = 2**20  # the largest of these, a table of 10,000 subjects, takes about as much


def read_text(path: Path, what: str, mend: str) -> str:
    """The text of a file; bytes that are no UTF-8 become U+FFFD. A pipe or a device is not opened.

    Args:
        path: the file.
        what: what it holds, for an error.
        mend: what to do where it cannot be read.

    Raises:
        DataError: missing, no ordinary file, unreadable, or larger than 1 MiB.
    """
    try:
        if not path.is_file():
            raise DataError(f"{what} is {'no ordinary file' if path.exists() else 'missing'}", path, mend)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{what} cannot be read: {error.strerror}", path, mend) from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{what} is larger than {MAX_BYTES >> 20} MiB", path, mend)
    return content.decode("utf-8-sig", errors="replace")
