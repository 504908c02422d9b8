"""Subjects of which a judge may learn nothing: those of some splits, by default the test subjects of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from semiqc_jax.errors import ConfigError
from semiqc_jax.files import read_json


def excluded_subjects(splits: str, names: Sequence[str]) -> set[str]:
    """The subjects of the named splits of a `splits.json`; nobody where no file is named.

    Raises:
        ConfigError: the file has no such split.
        DataError: it cannot be read.
    """
    if not splits:
        return set()
    held = read_json(Path(splits))
    lists = {k: v for k, v in held.items() if isinstance(v, list)} if isinstance(held, dict) else {}
    if unknown := [name for name in names if name not in lists]:
        what = f"no split {', '.join(unknown)}"
        raise ConfigError(what, splits, f"--exclude_splits names some of {', '.join(lists) or 'its splits'}")
    return {str(i) for name in names for i in lists[name]}
