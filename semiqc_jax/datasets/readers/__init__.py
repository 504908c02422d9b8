"""The readers by name. Each finds the subjects of a source; a found subject reads itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.splits import (
    SplitRule,
    Splits,
    present,
    published_acdc_splits,
    read_splits,
    seeded_splits,
)

# Data set -> the module of this folder that reads it; its `find(source, options)` gives the subjects in the order
# of a cohort. A module is imported when it is used.
READERS: Mapping[str, str] = MappingProxyType({"acdc": "acdc", "nifti": "nifti", "phantom": "phantom"})


def find_subjects(dataset: str, source: str, options: ReaderOptions = DEFAULT) -> list[Found]:
    """The subjects of a source, not read yet.

    Args:
        dataset: a key of `READERS`.
        source: a file or folder; for `phantom` its specification.

    Raises:
        NothingUsableError: there is none.
        ConfigError: an option that this reader cannot meet.
    """
    find: Callable[[str, ReaderOptions], list[Found]] = import_module(f"{__name__}.{READERS[dataset]}").find
    return find(source, options)


def split_rule(dataset: str, source: str, path: Path | None) -> SplitRule:
    """How to split a data set: by the user's file, as published, as the phantom says, or seeded 70 / 10 / 20.

    Raises:
        ConfigError, DataError: the file is wrong.
    """
    if path is not None:
        given = read_splits(path)
        return lambda ids, groups: given
    return partial(_default_splits, dataset, source)


def _default_splits(
    dataset: str, source: str, ids: Sequence[str], groups: Sequence[str | None]
) -> Splits:
    if dataset == "phantom":
        from semiqc_jax.datasets import phantom

        return phantom.phantom_splits(phantom.parse_spec(source))
    if dataset == "acdc":
        published = present(published_acdc_splits(), ids)
        if published["train"] and published["test"]:
            return published
    return seeded_splits(ids, groups)
