"""The output folder of `segment`: what is written for each new scan, and what of it is already there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.readers.found import Found, files_digest
from semiqc_jax.datasets.readers.nifti_file import write_label
from semiqc_jax.downstream.curves import slice_extent_mm, task_curves
from semiqc_jax.files import write_arrays
from semiqc_jax.pipeline import Segmentation
from semiqc_jax.segmentation.assemble import MEASURED

EVIDENCE = "evidence"
GEOMETRY = ("extent_mm", "curves", "time_s", "pulse_pressure_mmhg")  # kept beside the statistics


@dataclass(frozen=True)
class Scan:
    """What is kept of a segmented scan beside its label: enough for curves, indices and quality control."""

    subject_id: str
    statistics: Mapping[str, NDArray[np.float32]]  # `slice_statistics`, each [T, Z, ...]
    extent_mm: NDArray[np.float32]  # [Z], length along the normal that a slice stands for
    curves: NDArray[np.float64]  # [T, C] on the native grid, in the task's unit
    time_s: NDArray[np.float64] | None  # [T]
    pulse_pressure_mmhg: float | None  # central, where the source says


@dataclass(frozen=True)
class Output:
    """The folder that scans are segmented into, `NAME_seg.nii.gz` and `evidence/NAME.npz` for each.

    The evidence is written last and names the input files and the checkpoint that it was made from, so that
    a scan counts as done only while both are the same.
    """

    folder: Path
    checkpoint: str  # SHA-256 of the model

    def label_path(self, subject_id: str) -> Path:
        """Where the segmentation of a scan lies."""
        return self.folder / f"{subject_id}_seg.nii.gz"

    def read(self, found: Found) -> Scan | None:
        """What an earlier run left of a scan; None where it is to be segmented (again)."""
        path = self._evidence_path(found.subject_id)
        if not path.is_file() or not self.label_path(found.subject_id).is_file():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            if json.loads(str(arrays.pop("source"))) != self._source(found):
                return None
            extent, curves, time, pressure = (arrays[name] for name in GEOMETRY)
            statistics = {name: arrays[name] for name in MEASURED}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # broken or of an older version: it is written anew
            return None
        known = None if np.isnan(pressure) else float(pressure)
        return Scan(found.subject_id, statistics, extent, curves, time if len(time) else None, known)

    def write(self, found: Found, subject: Subject, segmented: Segmentation, task: Task) -> Scan:
        """Write the label on the input's grid, then the evidence."""
        time = None if subject.frame_time_s is None else np.asarray(subject.frame_time_s)
        step = None if time is None or len(time) < 2 else float(time[1] - time[0])
        path, affine = self.label_path(found.subject_id), np.asarray(subject.affine)
        write_label(path, segmented.label, affine, subject.spacing_mm, step)
        position = np.asarray(subject.slice_position_mm)
        extent = np.asarray(slice_extent_mm(position, subject.spacing_mm[0]), np.float32)
        curves = task_curves(segmented.label, subject.spacing_mm, position, task)
        pressure = (subject.extra or {}).get("pulse_pressure_mmhg")
        kept = (extent, curves, np.zeros(0) if time is None else time, np.nan if pressure is None else pressure)
        arrays: dict[str, Any] = {**dict(zip(GEOMETRY, kept)), **segmented.statistics}
        arrays["source"] = np.array(json.dumps(self._source(found)))
        write_arrays(self._evidence_path(found.subject_id), arrays)
        return Scan(found.subject_id, segmented.statistics, extent, curves, time, pressure)

    def _evidence_path(self, subject_id: str) -> Path:
        return self.folder / EVIDENCE / f"{subject_id}.npz"

    def _source(self, found: Found) -> dict[str, Any]:
        """What a result was made from."""
        path = str(found.path.resolve() if isinstance(found.path, Path) else found.path)
        return {"path": path, "files": files_digest(found.files), "checkpoint": self.checkpoint}
