"""Splits by patient: published, stated by a layout, from a file or seeded; and which training patients are labelled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from semiqc_jax.errors import ConfigError, DataError

Splits = dict[str, list[str]]
NAMES = ("train", "val", "test")
FRACTIONS = (0.7, 0.1, 0.2)
STRATA = ("group", "site", "sex", "none")  # by what a seeded split may be stratified


@dataclass(frozen=True)
class Member:
    """What a split may know of one usable subject."""

    subject_id: str
    patient_id: str | None = None  # several studies of one patient share it; None: the subject's id
    stated: str | None = None  # the split that the source's layout states
    group: str | None = None
    site: str | None = None
    sex: str | None = None

    @property
    def patient(self) -> str:
        """Whom this is a study of."""
        return self.patient_id or self.subject_id


SplitRule = Callable[[Sequence[Member]], Splits]  # usable subjects -> splits


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


def seeded_splits(members: Sequence[Member], stratify: str = "group", seed: int = 0) -> Splits:
    """Split patients 70 / 10 / 20 at random, each stratum in these shares as far as whole patients allow.

    Reproducible from the set of subjects and the seed, whatever their order. All studies of a patient share a
    split; the patient's stratum is that of the first study, by id, that knows one. The order of `train` is
    random too.

    Args:
        members: the usable subjects.
        stratify: one of `STRATA`.
        seed: of the random order.
    """
    studies: dict[str, list[str]] = {}
    stratum: dict[str, str | None] = {}
    for member in sorted(members, key=lambda member: member.subject_id):
        studies.setdefault(member.patient, []).append(member.subject_id)
        stratum[member.patient] = stratum.get(member.patient) or getattr(member, stratify, None)
    rng = np.random.default_rng(seed)
    shuffled = [str(i) for i in rng.permutation(sorted(studies))]
    size, seen = Counter(stratum.values()), Counter[str | None]()
    rank = {}
    for patient in shuffled:  # the place in its stratum, from 0 to 1: a cut there cuts every stratum alike
        rank[patient] = (seen[stratum[patient]] + 0.5) / size[stratum[patient]]
        seen[stratum[patient]] += 1
    order = sorted(shuffled, key=rank.__getitem__)
    n_test, n_val = (round(FRACTIONS[i] * len(order)) for i in (2, 1))
    n_train = len(order) - n_val - n_test
    patients = {
        "train": [str(i) for i in rng.permutation(order[:n_train])],
        "val": order[n_train : n_train + n_val],
        "test": order[n_train + n_val :],
    }
    return {name: [i for patient in those for i in studies[patient]] for name, those in patients.items()}


def stated_splits(members: Sequence[Member], seed: int = 0) -> Splits | None:
    """The splits that the source's layout states; None where it does not state both `train` and `test`.

    A subject of which it states none goes to `train`, whose order is random.
    """
    splits: Splits = {name: [] for name in NAMES}
    for member in sorted(members, key=lambda member: member.subject_id):
        splits[member.stated or "train"].append(member.subject_id)
    if not {"train", "test"} <= {member.stated for member in members}:
        return None
    train = np.random.default_rng(seed).permutation(splits["train"])
    return {**splits, "train": [str(i) for i in train]}


def whole_patients(splits: Splits, members: Sequence[Member]) -> Splits:
    """Return the splits if no patient has studies in two of them.

    Raises:
        DataError: names the patient and the studies.
    """
    home = {subject: name for name, ids in splits.items() for subject in ids}
    first: dict[str, str] = {}
    for member in members:
        if member.subject_id not in home:
            continue
        other = first.setdefault(member.patient, member.subject_id)
        if home[other] != home[member.subject_id]:
            what = f"{other} is in '{home[other]}' and {member.subject_id} in '{home[member.subject_id]}'"
            mend = "both are of one patient: put them into one split by --splits"
            raise DataError(what, f"patient {member.patient}", mend)
    return splits


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
