"""Patients in folders of one layout, with one table for all of them: what the M&Ms data sets have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from semiqc_jax.datasets.readers.folders import named_folder, subject_folders
from semiqc_jax.datasets.readers.found import Found, ReaderOptions, short_axis_only
from semiqc_jax.datasets.readers.table import find_table
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.study import Study


@dataclass(frozen=True)
class Layout:
    """How a data set's patients lie below its source, and how one is read."""

    name: str  # of the data set
    place: str  # the folder above which a source lies, for the mend
    key: str  # the table's column of patients
    code: Callable[[str], str]  # a folder's name, or an entry of that column -> what is the same in both
    is_patient: Callable[[Path], bool]
    files: Callable[[Path], tuple[Path, ...]]  # those of a patient's folder that are there
    split: Callable[[Path, Path], str | None]  # (patient's folder, source) -> the split that is known
    read: Callable[[Path, Mapping[str, str] | None, ReaderOptions], Study]  # (folder, row of the table, options)


def find_patients(layout: Layout, source: str | Path, options: ReaderOptions) -> list[Found]:
    """Patients up to three folders below `source`.

    Raises:
        NothingUsableError: there is none.
        DataError: the table cannot be read.
        ConfigError: the task is not the short axis.
    """
    short_axis_only(options, layout.name)
    source = named_folder(source)
    folders = subject_folders(source, layout.is_patient)
    if not folders:
        raise NothingUsableError(f"no {layout.name} patients", source, f"give the folder above {layout.place}")
    table = find_table(source, layout.key)
    rows, of_table = ({}, ()) if table is None else (table.rows, (table.path,))
    known = {layout.code(code): row for code, row in rows.items()}
    return [
        Found(
            folder.name,
            folder,
            partial(layout.read, folder, known.get(layout.code(folder.name)), options),
            (*layout.files(folder), *of_table),
            layout.split(folder, source),
        )
        for folder in folders
    ]
