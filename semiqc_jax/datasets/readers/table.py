"""The CSV that comes with a data set: one row a subject."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from semiqc_jax.datasets.readers.text_file import read_text
from semiqc_jax.errors import DataError


class Table(NamedTuple):
    """The rows of a CSV by subject, as text."""

    path: Path
    rows: Mapping[str, Mapping[str, str]]


def find_table(source: Path, key: str) -> Table | None:
    """The table `*dataset_information*.csv` (in any case) in `source` or in one of the two folders above it.

    Args:
        source: a folder.
        key: the column of subjects. Other columns may be missing.

    Raises:
        DataError: such a file cannot be read, or has no column `key`.
    """
    mend = f"copy it from the archive: a CSV with a column {key!r}"
    place = source.resolve()
    for folder in (place, *list(place.parents)[:2]):
        paths = [path for path in sorted(folder.glob("*.csv")) if "dataset_information" in path.name.lower()]
        if paths:
            rows = read_rows(paths[0], mend)
            if not rows or key not in rows[0]:
                raise DataError(f"no row or no column {key!r}", paths[0], mend)
            return Table(paths[0], {row.get(key, "").strip(): row for row in rows})
    return None


def read_rows(path: Path, mend: str) -> list[dict[str, str]]:
    """The rows of a CSV by the names of its first line; separated by commas or, where that has more, semicolons.

    Raises:
        DataError: it cannot be read.
    """
    lines = read_text(path, "table", mend).splitlines()
    header = lines[0] if lines else ""
    try:
        names, *rows = [*csv.reader(lines, delimiter=";" if header.count(";") > header.count(",") else ",")] or [[]]
    except csv.Error as error:
        raise DataError(f"table cannot be read: {error}", path, mend) from error
    return [{name: cell for name, cell in zip(names, row) if name} for row in rows if row]


def number(text: str | None) -> float | None:
    """A positive number, None where the text is none."""
    try:
        value = float(text) if text else 0.0
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def words(text: str | None) -> str | None:
    """The text, None where it says that nothing is known."""
    text = (text or "").strip()
    return None if text.lower() in ("", "-", "n/a", "na", "nan", "none", "unknown") else text
