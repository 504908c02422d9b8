"""Real curves with real errors: volumes by several networks over the cycle, and reference EDV and ESV.

`curves.csv` or `curves.csv.gz` (patient, model, frame, lv_ml, myo_ml) and `references.csv` (patient, edv_ml, esv_ml,
split) in one folder. An index is what a user would read off the curve: EDV its maximum, ESV its minimum.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.quality.curve_judge import EDV_LIMIT, EF_LIMIT_POINTS, severity_of

MEND = "give the folder that holds curves.csv.gz and references.csv"
MOST_FRAMES = 1000


@dataclass(frozen=True, eq=False)
class CurveSet:
    """N curves, one a patient and network, of up to T frames."""

    lv_ml: Float[NDArray, "N T"]
    myo_ml: Float[NDArray, "N T"]
    frame_mask: Bool[NDArray, "N T"]
    patient: Int[NDArray, " N"]
    network: Int[NDArray, " N"]
    edv_ml: Float[NDArray, " N"]  # reference
    esv_ml: Float[NDArray, " N"]  # reference
    patients: tuple[str, ...]
    networks: tuple[str, ...]
    split: NDArray  # [N] names

    @property
    def own_edv(self) -> Float[NDArray, " N"]:
        """The maximum of each curve in ml."""
        return np.where(self.frame_mask, self.lv_ml, -np.inf).max(1)

    @property
    def own_ef(self) -> Float[NDArray, " N"]:
        """The ejection fraction of each curve in percent; 0 where it is empty."""
        low = np.where(self.frame_mask, self.lv_ml, np.inf).min(1)
        return 100 * (self.own_edv - low) / np.maximum(self.own_edv, 1e-3)

    @property
    def ef_error(self) -> Float[NDArray, " N"]:
        """Percentage points."""
        return self.own_ef - 100 * (1 - self.esv_ml / self.edv_ml)

    @property
    def edv_error(self) -> Float[NDArray, " N"]:
        """Share of the reference."""
        return self.own_edv / self.edv_ml - 1

    @property
    def bad_ef(self) -> Bool[NDArray, " N"]:
        """Whose EF is off by more than 10 points."""
        return np.abs(self.ef_error) > EF_LIMIT_POINTS

    @property
    def bad_edv(self) -> Bool[NDArray, " N"]:
        """Whose EDV is off by more than 20 %."""
        return np.abs(self.edv_error) > EDV_LIMIT

    @property
    def bad(self) -> Bool[NDArray, " N"]:
        """Either."""
        return self.bad_ef | self.bad_edv

    def disagreement(self) -> Float[NDArray, " N"]:
        """Severity of each network's EF and EDV against the median of the others' for the patient; -2 if alone."""
        ef, edv = (self._against_others(x) for x in (self.own_ef, np.log(np.maximum(self.own_edv, 1.0))))
        return severity_of(ef, np.expm1(np.clip(edv, -3, 3)))

    def _against_others(self, values: Float[NDArray, " N"]) -> Float[NDArray, " N"]:
        apart = np.zeros(len(values))
        for one in np.unique(self.patient):
            rows = np.flatnonzero(self.patient == one)
            for i in rows if len(rows) > 1 else ():
                apart[i] = values[i] - np.median(values[rows[rows != i]])
        return apart


def read_curves(folder: Path) -> CurveSet:
    """Read a folder of curves and references.

    Raises:
        DataError: a file is missing, no CSV, lacks a column or holds what is no number; a frame twice; a reference
            that is no volume.
        NothingUsableError: no curve has a reference.
    """
    packed = folder / "curves.csv.gz"
    path = packed if packed.exists() else folder / "curves.csv"
    frames: dict[tuple[str, str], dict[int, tuple[float, float]]] = defaultdict(dict)
    for line, row in _rows(path, ("patient", "model", "frame", "lv_ml", "myo_ml")):
        frame = int(_number(row["frame"], path, line))
        curve = frames[row["patient"], row["model"]]
        if frame in curve or not 0 <= frame < MOST_FRAMES:
            what = f"frame {frame} of patient {row['patient']}"
            raise DataError(what, f"{path}:{line}", "give each frame once, from 0")
        curve[frame] = (_number(row["lv_ml"], path, line), _number(row["myo_ml"], path, line))
    references = {}
    path = folder / "references.csv"
    for line, row in _rows(path, ("patient", "edv_ml", "esv_ml", "split")):
        edv, esv = (_number(row[key], path, line) for key in ("edv_ml", "esv_ml"))
        if not 0 <= esv < edv < np.inf:
            raise DataError(f"EDV {edv:g} and ESV {esv:g} ml", f"{path}:{line}", "give 0 <= ESV < EDV")
        references[row["patient"]] = (edv, esv, row["split"])
    keys = sorted(key for key in frames if key[0] in references)
    if not keys:
        raise NothingUsableError("no curve has a reference", folder, MEND)
    return _curve_set(keys, frames, references)


def _curve_set(keys: list[tuple[str, str]], frames: dict, references: dict) -> CurveSet:
    shape = (len(keys), max(len(frames[key]) for key in keys))
    lv, myo, mask = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, bool)
    for i, key in enumerate(keys):
        values = [frames[key][frame] for frame in sorted(frames[key])]
        lv[i, : len(values)], myo[i, : len(values)] = np.transpose(values)
        mask[i, : len(values)] = True
    patients, networks = (tuple(sorted({key[i] for key in keys})) for i in (0, 1))
    found = [references[patient] for patient, _ in keys]
    return CurveSet(
        lv, myo, mask,
        patient=np.searchsorted(patients, [key[0] for key in keys]),
        network=np.searchsorted(networks, [key[1] for key in keys]),
        edv_ml=np.array([x[0] for x in found]),
        esv_ml=np.array([x[1] for x in found]),
        patients=patients,
        networks=networks,
        split=np.array([x[2] for x in found]),
    )  # fmt: skip


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            rows = [(reader.line_num, row) for row in reader]
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise DataError(f"cannot read CSV: {error}", path, MEND) from error
    if missing:
        raise DataError(f"no column {', '.join(missing)}", path, MEND)
    return rows


def _number(cell: str | None, path: Path, line: int) -> float:
    try:
        return float(cell or "")
    except ValueError as error:
        raise DataError(f"{cell!r} is no number", f"{path}:{line}", "correct the cell") from error
