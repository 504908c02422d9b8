"""Splits by patient: published, from a file or seeded; and which training patients are labelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from semiqc_jax.errors import ConfigError, DataError

Splits = dict[str, list[str]]
SplitRule = Callable[[Sequence[str], Sequence[str | None]], Splits]  # usable ids and their groups -> splits
NAMES = ("train", "val", "test")
FRACTIONS = (0.7, 0.1, 0.2)


def read_splits(path: Path) -> Splits:
    """Read `{"train": [...], "val": [...], "test": [...]}`; other keys are ignored, a missing split is empty.

    Raises:
        ConfigError: no such file, no JSON, or no such lists.
        DataError: a subject is in two splits.
    """
    mend = 'write {"train": [...], "val": [...], "test": [...]} with subject ids'
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"splits cannot be read: {error}", path, mend) from error
    if not isinstance(values, dict) or not values.get("train"):
        raise ConfigError("splits have no 'train'", path, mend)
    splits = {name: values.get(name, []) for name in NAMES}
    for name, ids in splits.items():
        if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
            raise ConfigError(f"split '{name}' is no list of subject ids", path, mend)
    return checked_splits(splits, path)


def published_acdc_splits() -> Splits:
    """The split of ACDC's 100 training patients that the field's common benchmark uses (70 / 10 / 20).

    The order of `train` is that in which the benchmark labels patients: its settings take the first 3, 7, 14.
    """
    with resources.as_file(resources.files("semiqc_jax.datasets") / "acdc_splits.json") as path:
        return read_splits(path)


def seeded_splits(ids: Sequence[str], groups: Sequence[str | None] | None = None, seed: int = 0) -> Splits:
    """Split subjects 70 / 10 / 20 at random, each group in these shares as far as whole subjects allow.

    Reproducible from the set of ids and the seed, whatever their order. The order of `train` is random too.
    """
    group_of = dict(zip(ids, groups if groups is not None else [None] * len(ids), strict=True))
    rng = np.random.default_rng(seed)
    shuffled = [str(i) for i in rng.permutation(sorted(ids))]
    seen: dict[str | None, int] = {}
    rank = {}
    size = {group: list(group_of.values()).count(group) for group in set(group_of.values())}
    for subject in shuffled:  # its place in its group, from 0 to 1: a cut there cuts every group alike
        group = group_of[subject]
        rank[subject] = (seen.get(group, 0) + 0.5) / size[group]
        seen[group] = seen.get(group, 0) + 1
    order = sorted(shuffled, key=rank.__getitem__)
    n_test, n_val = (round(FRACTIONS[i] * len(order)) for i in (2, 1))
    n_train = len(order) - n_val - n_test
    train = [str(i) for i in rng.permutation(order[:n_train])]
    return {"train": train, "val": order[n_train : n_train + n_val], "test": order[n_train + n_val :]}


def checked_splits(splits: Mapping[str, Sequence[str]], where: object) -> Splits:
    """Return the splits if no subject stands in two of them, or twice in one.

    Raises:
        DataError: names the subject and its splits.
    """
    home: dict[str, str] = {}
    for name, ids in splits.items():
        for subject in ids:
            if subject in home:
                what = f"subject {subject} is in '{home[subject]}' and again in '{name}'"
                raise DataError(what, where, "keep each subject in one split")
            home[subject] = name
    return {name: list(ids) for name, ids in splits.items()}


def present(splits: Mapping[str, Sequence[str]], ids: Collection[str]) -> Splits:
    """The splits without subjects that the cohort does not hold; order is kept."""
    there = set(ids)
    return {name: [i for i in members if i in there] for name, members in splits.items()}


def labelled_and_pool(
    splits: Mapping[str, Sequence[str]],
    n_labelled: int,
    draw: str | int,
    candidates: Collection[str] | None = None,
) -> tuple[list[str], list[str]]:
    """Choose the labelled subjects of the training split; the rest is the pool.

    Args:
        splits: split -> subject ids.
        n_labelled: how many are labelled.
        draw: "published" = the first of `train` in order; an integer = the seed of a random order.
        candidates: subjects that have a reference label (default: all); others can only be pool.

    Raises:
        ConfigError: not that many, or no such draw.
    """
    train = list(splits["train"])
    order = train if candidates is None else [i for i in train if i in candidates]
    if not 0 < n_labelled <= len(order):
        what = f"labelled = {n_labelled}, but train has {len(order)} subjects with a reference label"
        raise ConfigError(what, "config.labelled", f"choose 1 to {len(order)}")
    if isinstance(draw, str) and draw.lstrip("-").isdigit():
        draw = int(draw)
    if isinstance(draw, str) and draw != "published":
        raise ConfigError(f"labelled_draw = {draw!r}", "config.labelled_draw", "use 'published' or a seed")
    if not isinstance(draw, str):
        if draw < 0:
            raise ConfigError(f"labelled_draw = {draw}", "config.labelled_draw", "use a seed from 0 on")
        order = [order[i] for i in np.random.default_rng(draw).permutation(len(order))]
    labelled = order[:n_labelled]
    chosen = set(labelled)
    return labelled, [i for i in train if i not in chosen]
