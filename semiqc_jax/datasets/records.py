"""The records form: a tfds data set in ArrayRecord, one record per (subject, frame, slice), in that order.

Made and read without TensorFlow. `tfds.builder_from_directory(folder)` opens it too: its features are stored
with it, so that no code of this version is needed to read it later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from semiqc_jax.anatomy import TASKS, Task
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.memory import require_label
from semiqc_jax.datasets.stored import Stored, subject_from_json
from semiqc_jax.errors import DataError

VERSION = "1.0.0"
# One tfds split ("all" is a reserved name): subjects are split by splits.json, so that a record's place does
# not depend on it.
SPLIT = "slices"
SLICES_PER_SHARD = 1024


def features(n_classes: int) -> tfds.features.FeaturesDict:
    """One record: a slice on its native grid, its label, which classes are drawn on it, where it belongs."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Tensor(shape=(None, None), dtype=np.uint8, encoding="bytes"),
            "label": tfds.features.Tensor(shape=(None, None), dtype=np.uint8, encoding="bytes"),
            "labelled": tfds.features.Tensor(shape=(n_classes,), dtype=np.bool_),
            "subject": tfds.features.Scalar(np.int32),
            "frame": tfds.features.Scalar(np.int32),
            "slice": tfds.features.Scalar(np.int32),
        }
    )


class RecordWriter:
    """Writes the shards a subject at a time, in bounded memory."""

    def __init__(self, folder: Path, name: str, task: Task):
        identity = tfds.core.dataset_info.DatasetIdentity(
            name=f"semiqc_{name}",
            version=tfds.core.Version(VERSION),
            data_dir=str(folder),
            module_name=__name__,
        )
        info = tfds.core.DatasetInfo(
            builder=identity,
            features=features(task.n_classes),
            description=f"Cine cardiac MR, one record a slice; task: {task.name}.",
        )
        self._writer = tfds.core.SequentialWriter(info, SLICES_PER_SHARD, file_format="array_record")
        self._writer.initialize_splits([SPLIT])
        self._n_subjects = 0

    def add(self, stored: Stored) -> None:
        """Append one subject's slices."""
        n_frames, n_slices = stored.image.shape[:2]
        examples = [
            {
                "image": stored.image[t, z],
                "label": stored.label[t, z],
                "labelled": stored.labelled[t, z],
                "subject": self._n_subjects,
                "frame": t,
                "slice": z,
            }
            for t in range(n_frames)
            for z in range(n_slices)
        ]
        self._writer.add_examples({SPLIT: examples})
        self._n_subjects += 1

    def finish(self, splits: Mapping[str, Sequence[str]]) -> None:
        """Close the shards and write what tfds needs to open them."""
        self._writer.close_all()


class RecordCohort(Cohort):
    """A cohort that reads single records from disk as they are asked for."""

    def __init__(self, folder: Path):
        mend = "build it again (launch/build_data.py --format=records)"
        try:
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            lines = (folder / "subjects.jsonl").read_text(encoding="utf-8").splitlines()
            self.splits = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
            self.name, self.task = summary["dataset"], TASKS[summary["task"]]
            self.subjects = tuple(subject_from_json(json.loads(line)) for line in lines)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a whole data set: {error}", folder, mend) from error
        self._folder = folder
        expected = self.subjects[-1].record(self.subjects[-1].n_frames, 0)
        if len(self._records) != expected:
            raise DataError(f"{len(self._records)} records instead of {expected}", folder, mend)

    @cached_property
    def _records(self) -> Any:
        return tfds.builder_from_directory(str(self._folder)).as_data_source(split=SPLIT)

    def slice_image(self, subject: int, frame: int, slice_: int) -> NDArray[np.uint8]:
        """One slice, [Y, X]; reads one record."""
        return self._records[self.subjects[subject].record(frame, slice_)]["image"]

    def image(self, subject: int) -> NDArray[np.uint8]:
        """A whole cine, [T, Z, Y, X]."""
        return self._stacked(subject, "image")

    def _label(self, subject: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        line = self.subjects[subject]
        require_label(line.has_label, line.subject_id)
        return self._stacked(subject, "label"), self._stacked(subject, "labelled")

    def _stacked(self, subject: int, name: str) -> NDArray[Any]:
        line = self.subjects[subject]
        records = range(line.record(0, 0), line.record(line.n_frames, 0))
        values = np.stack([record[name] for record in self._records.__getitems__(records)])
        return values.reshape(line.n_frames, line.n_slices, *values.shape[1:])
