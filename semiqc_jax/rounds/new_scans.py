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
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.readers.nifti_file import write_label
from semiqc_jax.downstream.curves import curves_from_labels, slice_extent_mm
from semiqc_jax.files import write_bytes
from semiqc_jax.pipeline import Segmentation

EVIDENCE = "evidence"


@dataclass(frozen=True)
class Scan:
    """What is kept of a segmented scan beside its label: enough for curves, indices and quality control."""

    subject_id: str
    statistics: Mapping[str, NDArray[np.float32]]  # `slice_statistics`, each [T, Z, ...]
    extent_mm: NDArray[np.float32]  # [Z], length along the normal that a slice stands for
    curves: NDArray[np.float64]  # [T, C] on the native grid
    time_s: NDArray[np.float64] | None  # [T]


@dataclass(frozen=True)
class Output:
    """The folder that scans are segmented into, `NAME_seg.nii.gz` and `evidence/NAME.npz` for each.

    The evidence is written last and names the input file and the checkpoint that it was made from, so that
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
            extent, curves, time = (arrays.pop(name) for name in ("extent_mm", "curves", "time_s"))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):  # broken: it is written anew
            return None
        return Scan(found.subject_id, arrays, extent, curves, time if len(time) else None)

    def write(self, found: Found, subject: Subject, segmented: Segmentation, task: Task) -> Scan:
        """Write the label on the input's grid, then the evidence."""
        time = None if subject.frame_time_s is None else np.asarray(subject.frame_time_s)
        step = None if time is None else float(time[1] - time[0])
        path, affine = self.label_path(found.subject_id), np.asarray(subject.affine)
        write_label(path, segmented.label, affine, subject.spacing_mm, step)
        extent = slice_extent_mm(np.asarray(subject.slice_position_mm), subject.spacing_mm[0])
        curves = curves_from_labels(segmented.label, subject.spacing_mm, extent, task.n_classes)
        arrays: dict[str, Any] = {"extent_mm": np.asarray(extent, np.float32), "curves": curves}
        arrays |= {"time_s": np.zeros(0) if time is None else time, **segmented.statistics}
        arrays["source"] = np.array(json.dumps(self._source(found)))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_bytes(self._evidence_path(found.subject_id), buffer.getvalue())
        return Scan(found.subject_id, segmented.statistics, arrays["extent_mm"], curves, time)

    def _evidence_path(self, subject_id: str) -> Path:
        return self.folder / EVIDENCE / f"{subject_id}.npz"

    def _source(self, found: Found) -> dict[str, Any]:
        """What a result was made from."""
        path = Path(found.path).resolve()
        size, mtime_ns = path.stat().st_size, path.stat().st_mtime_ns
        return {"path": str(path), "size": size, "mtime_ns": mtime_ns, "checkpoint": self.checkpoint}
