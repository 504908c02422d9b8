"""Slices of networks' segmentations with their true Dice, from the tables of launch/study_networks.py."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.progress import progress
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.slice_features import predicted_slices, slice_feature_names, slice_features
from semiqc_jax.quality.slice_score import slice_rule_scores
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.selection import existing

TABLES = "*_step*.npz"


@dataclass(frozen=True, eq=False)
class SliceTable:
    """M slices on which something is predicted and their class drawn, of several networks; scores by name."""

    task: str
    networks: tuple[str, ...]
    runs: tuple[str, ...]  # of each network: the run that it is a checkpoint of
    labelled: tuple[int, ...]  # of each network: how many patients it learned from
    patients: tuple[str, ...]
    network: Int[NDArray, " M"]
    patient: Int[NDArray, " M"]
    frame: Int[NDArray, " M"]
    features: Float[NDArray, "M F"]
    dice: Float[NDArray, " M"]  # mean over the classes that are drawn or found on the slice
    subject_dice: Float[NDArray, " M"]  # of the slice's patient
    scores: dict[str, Float[NDArray, " M"]]
    n_missed: int  # slices with nothing predicted where something is drawn: left out

    @property
    def rows_of_networks(self) -> list[Bool[NDArray, " M"]]:
        """The rows of each network."""
        return [self.network == k for k in range(len(self.networks))]


def read_slices(folder: Path, exclude: Collection[str] = ()) -> SliceTable:
    """All tables of a folder, without the slices of the subjects of `exclude`.

    Raises:
        NothingUsableError: there are none.
        DataError: one cannot be read, or they are of different tasks.
    """
    paths = sorted(folder.glob(TABLES))
    if not paths:
        raise NothingUsableError("no table of networks", folder, "make some, launch/study_networks.py")
    parts, names = [], []
    with progress("slices", len(paths), "networks") as advance:
        for path in paths:
            parts.append(_read(path, exclude))
            names.append(path.stem)
            advance()
    tasks = sorted({str(part["task"]) for part in parts})
    if len(tasks) > 1:
        raise DataError(f"tables of the tasks {', '.join(tasks)}", folder, "keep one task's tables in a folder")
    network = np.repeat(np.arange(len(parts)), [len(part["dice"]) for part in parts])
    patients, patient = np.unique(np.concatenate([part["patient"] for part in parts]), return_inverse=True)

    def joined(name: str) -> NDArray:
        return np.concatenate([part[name] for part in parts])

    return SliceTable(
        tasks[0],
        tuple(names),
        tuple(str(part["run"]) for part in parts),
        tuple(int(part["labelled"]) for part in parts),
        tuple(patients.tolist()),
        network,
        patient,
        joined("frame"),
        joined("features"),
        joined("dice"),
        joined("subject_dice"),
        {name: joined(name) for name in ("subject", "confidence", "place", "slice rules", "slice rules, no softmax")},
        sum(int(part["missed"]) for part in parts),
    )


def _read(path: Path, exclude: Collection[str]) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            evidence = Evidence(*(data[name] for name in Evidence._fields))
            truth = {name: data[name] for name in ("slice_dice", "dice", "subject_id", "task", "run", "labelled")}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError("it is no table of a network", path, "make it anew, launch/study_networks.py") from error
    checks = checks_of(str(truth["task"]))
    by_class = truth["slice_dice"]
    count = (~np.isnan(by_class)).sum(-1)
    dice = np.nansum(by_class, -1) / np.maximum(count, 1)
    kept = ~np.isin(truth["subject_id"], list(exclude))[:, None, None]
    drawn = (count > 0) & np.asarray(existing(evidence)) & kept
    predicted = np.asarray(predicted_slices(evidence))
    rows = drawn & predicted
    values = np.asarray(slice_features(evidence, checks))[rows]
    subject, frame, _ = np.nonzero(rows)
    return {
        "task": truth["task"],
        "run": truth["run"],
        "labelled": truth["labelled"],
        "missed": np.array((drawn & ~predicted).sum()),
        "patient": truth["subject_id"][subject],
        "frame": frame,
        "features": values,
        "dice": dice[rows],
        "subject_dice": truth["dice"][subject],
        "subject": np.asarray(assess_rules(evidence, checks).score)[subject],
        "confidence": np.asarray(evidence.confidence)[rows],
        "place": values[:, slice_feature_names(checks).index("end_of_heart")],
        "slice rules": np.asarray(slice_rule_scores(evidence, checks))[rows],
        "slice rules, no softmax": np.asarray(slice_rule_scores(evidence, checks, False))[rows],
    }
