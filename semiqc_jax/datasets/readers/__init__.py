"""The readers by name. Each finds the subjects of a source; a found subject reads itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from semiqc_jax.anatomy import SHORT_AXIS, Task
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.splits import (
    Member,
    SplitRule,
    Splits,
    present,
    published_acdc_splits,
    read_splits,
    seeded_splits,
    stated_splits,
    whole_patients,
)
from semiqc_jax.errors import DataError

# Data set -> the module of this folder that reads it; its `find(source, options)` gives the subjects in the order
# of a cohort. A module is imported when it is used.
READERS: Mapping[str, str] = MappingProxyType(
    {
        "acdc": "acdc",
        "dicom": "dicom",
        "mnms": "mnms",
        "mnms2": "mnms2",
        "nifti": "nifti",
        "phantom": "phantom",
        "sunnybrook": "sunnybrook",
        "ukbb": "ukbb",
        "ukbb_nifti": "ukbb_nifti",
    }
)


def find_subjects(dataset: str, source: str, options: ReaderOptions = DEFAULT) -> list[Found]:
    """The subjects of a source, not read yet.

    Args:
        dataset: a key of `READERS`.
        source: a file or folder; for `phantom` its specification.

    Raises:
        NothingUsableError: there is none.
        ConfigError: an option that this reader cannot meet.
        DataError: a folder of the source, or a table that describes all of it, cannot be read.
    """
    find: Callable[[str, ReaderOptions], list[Found]] = import_module(f"{__name__}.{READERS[dataset]}").find
    try:
        return find(source, options)
    except OSError as error:
        what, place = f"cannot be read: {error.strerror}", error.filename or source
        raise DataError(what, place, "check the folder and its permissions") from error


def split_rule(
    dataset: str, source: str, path: Path | None, stratify: str = "group", seed: int = 0, task: Task = SHORT_AXIS
) -> SplitRule:
    """How to split a data set: by the user's file, else as published, as its layout states, or seeded 70 / 10 / 20.

    The rule raises DataError where a patient would be torn: studies of one patient belong into one split.

    Args:
        dataset: a key of `READERS`.
        source: as of `find_subjects`.
        path: JSON of splits, or None.
        stratify: one of `STRATA`, for the seeded split.
        seed: of the seeded split.
        task: of the phantom that `source` specifies.

    Raises:
        ConfigError, DataError: the file is wrong.
    """
    given = None if path is None else read_splits(path)
    return partial(_split, dataset, source, given, stratify, seed, task)


def _split(
    dataset: str, source: str, given: Splits | None, stratify: str, seed: int, task: Task, members: Sequence[Member]
) -> Splits:
    splits = given or _published(dataset, source, task, [member.subject_id for member in members])
    splits = splits or stated_splits(members, seed) or seeded_splits(members, stratify, seed)
    return whole_patients(splits, members)


def _published(dataset: str, source: str, task: Task, ids: Sequence[str]) -> Splits | None:
    """The split that belongs to the data set, where it has one of these subjects."""
    if dataset == "phantom":
        from semiqc_jax.datasets import phantom

        return phantom.phantom_splits(phantom.parse_spec(source, task))
    if dataset == "acdc":
        published = present(published_acdc_splits(), ids)
        if published["train"] and published["test"]:
            return published
    return None
