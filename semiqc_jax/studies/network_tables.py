"""The tables of `studies.networks`, read back and joined: one row a network and patient."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray

from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.studies.networks import COHORT, padded

MEND = "make the tables with launch/study_networks.py"
ROWS = ("subject_id", "group", "dice", "class_dice", "mask")
NETWORK = ("run", "labelled", "draw", "step")


@dataclass(frozen=True, eq=False)
class NetworkTables:
    """N rows of K networks (checkpoints); `Evidence` and masks are padded to the longest."""

    evidence: Evidence
    subject_id: NDArray  # [N] texts
    group: NDArray  # [N] texts
    dice: Float[NDArray, " N"]
    class_dice: Float[NDArray, "N C"]
    mask: UInt8[NDArray, "N T Z S S"]
    network: Int[NDArray, " N"]  # which of the K
    run: NDArray  # [K] texts
    labelled: Int[NDArray, " K"]
    draw: NDArray  # [K] texts
    step: Int[NDArray, " K"]
    labelled_ids: tuple[tuple[str, ...], ...]  # [K]
    task: str
    classes: tuple[str, ...]

    @cached_property
    def patient(self) -> Int[NDArray, " N"]:
        """Number of each row's patient."""
        return np.unique(self.subject_id, return_inverse=True)[1]

    @cached_property
    def final(self) -> Bool[NDArray, " K"]:
        """Which networks are the last checkpoint of their run."""
        return np.array([s == self.step[self.run == r].max() for r, s in zip(self.run, self.step, strict=True)])

    def without(self, subjects: Collection[str]) -> NetworkTables:
        """The tables without the rows of some subjects."""
        kept = np.flatnonzero(~np.isin(self.subject_id, list(subjects)))
        rows = {name: getattr(self, name)[kept] for name in (*ROWS, "network")}
        return replace(self, evidence=jax.tree.map(lambda x: x[kept], self.evidence), **rows)

    def ensemble_agreement(self) -> Float[NDArray, " N"]:
        """Mean Dice (3-D, over frames and classes) with the final masks of the other draws of as many labels.

        Networks that learned from the patient are no rows of its; NaN where there is no other draw.
        """
        found = np.full(len(self.dice), np.nan)
        final, labelled, run = (x[self.network] for x in (self.final, self.labelled, self.run))
        for n, subject in enumerate(self.subject_id):
            same = (self.subject_id == subject) & final & (labelled == labelled[n]) & (run != run[n])
            if same.any():
                each = [mask_agreement(self.mask[n], other, len(self.classes)) for other in self.mask[same]]
                found[n] = np.mean(each)
        return found


def mask_agreement(a: UInt8[NDArray, "T Z S S"], b: UInt8[NDArray, "T Z S S"], n_classes: int) -> float:
    """Mean Dice of two label volumes over frames that hold something and classes; 0 where a class is in neither."""
    frames = (a > 0).any((1, 2, 3)) | (b > 0).any((1, 2, 3))
    values = []
    for c in range(1, n_classes + 1):
        x, y = a[frames] == c, b[frames] == c
        values.append(2 * np.sum(x & y, (1, 2, 3)) / np.maximum(x.sum((1, 2, 3)) + y.sum((1, 2, 3)), 1))
    return float(np.mean(values)) if frames.any() else 0.0


def read_tables(folder: Path) -> NetworkTables:
    """Read all tables of a folder.

    Raises:
        NothingUsableError: there is none.
        DataError: one cannot be read, or they are of different tasks.
    """
    paths = sorted(path for path in folder.glob("*_step*.npz"))
    if not paths:
        raise NothingUsableError("no tables", folder, MEND)
    tables = [_read(path) for path in paths]
    if len({(str(t["task"]), tuple(map(str, t["classes"]))) for t in tables}) > 1:
        raise DataError("tables of different tasks", folder, "keep one task to a folder")
    rows = {name: padded([x for t in tables for x in t[name]]) for name in ROWS}
    evidence = {name: _joined(name, [x for t in tables for x in t[name]]) for name in Evidence._fields}
    return NetworkTables(
        evidence=Evidence(**evidence),
        **rows,
        network=np.repeat(np.arange(len(tables)), [len(t["dice"]) for t in tables]),
        **{name: np.array([t[name] for t in tables]) for name in NETWORK},
        labelled_ids=tuple(tuple(map(str, t["labelled_ids"])) for t in tables),
        task=str(tables[0]["task"]),
        classes=tuple(map(str, tables[0]["classes"])),
    )


def _read(path: Path) -> Mapping[str, Any]:
    wanted = (*ROWS, *NETWORK, *Evidence._fields, "labelled_ids", "task", "classes")
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in wanted}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read the table: {error}", path, MEND) from error


def _joined(name: str, arrays: list[NDArray]) -> Any:
    return padded(arrays) if name == "frame_time_s" else np.nan_to_num(padded(arrays)).astype(arrays[0].dtype)


@dataclass(frozen=True, eq=False)
class GridCohort:
    """Images and reference labels on the network's grid, by patient."""

    index: Mapping[str, int]
    image: UInt8[NDArray, "M T Z S S"]
    label: UInt8[NDArray, "M T Z S S"]
    n_slices: Int[NDArray, " M"]


def read_grid_cohort(folder: Path) -> GridCohort:
    """Read `cohort.npz`.

    Raises:
        DataError: it is missing or damaged.
    """
    path = folder / COHORT
    try:
        with np.load(path, allow_pickle=False) as data:
            index = {str(name): i for i, name in enumerate(data["subject_id"])}
            return GridCohort(index, data["image"], data["label"], data["n_slices"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read the images: {error}", path, MEND) from error
