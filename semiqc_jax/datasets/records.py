"""The records form: a tfds data set in ArrayRecord, one record per (subject, frame, slice), in that order.

Made and read without TensorFlow. `tfds.builder_from_directory(folder)` opens it too: its features are stored
with it, so that no code of this version is needed to read it later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from numpy.typing import NDArray
from tensorflow_datasets.core.example_serializer import ExampleSerializer

from semiqc_jax.anatomy import TASKS, Task
from semiqc_jax.datasets.cohort import Cohort, Subject
from semiqc_jax.datasets.memory import require_label
from semiqc_jax.datasets.stored import Stored, WrittenShard, subject_from_json
from semiqc_jax.errors import DataError

VERSION = "2.0.0"
# One tfds split ("all" is a reserved name): subjects are split by splits.json, so that a record's place does
# not depend on it.
SPLIT = "slices"


def features(n_classes: int) -> tfds.features.FeaturesDict:
    """One record: a slice on its native grid, its label, which classes are drawn on it, where it belongs."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Tensor(shape=(None, None), dtype=np.uint8, encoding="bytes"),
            "label": tfds.features.Tensor(shape=(None, None), dtype=np.uint8, encoding="bytes"),
            "labelled": tfds.features.Tensor(shape=(n_classes,), dtype=np.bool_),
            "subject_id": tfds.features.Text(),
            "frame": tfds.features.Scalar(np.int32),
            "slice": tfds.features.Scalar(np.int32),
        }
    )


def shard_path(folder: Path, staged: Path, dataset: str, index: int) -> Path:
    """Where a shard is written: under the name that tfds gives it, so that finishing moves nothing."""
    return folder / f"semiqc_{dataset}-{SPLIT}.array_record-{index:05d}"


class ShardWriter:
    """Writes one shard a slice at a time, in bounded memory. A context manager."""

    def __init__(self, path: Path, task: Task):
        self._features = features(task.n_classes)
        self._serializer = ExampleSerializer(self._features.get_serialized_info())
        self._writer = ArrayRecordWriter(str(path), "group_size:1")  # one slice costs one slice
        self.n_bytes = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()

    def add(self, stored: Stored) -> None:
        """Append one subject's slices."""
        for t, z in np.ndindex(stored.image.shape[:2]):
            example = {
                "image": stored.image[t, z],
                "label": stored.label[t, z],
                "labelled": stored.labelled[t, z],
                "subject_id": stored.subject.subject_id,
                "frame": t,
                "slice": z,
            }
            proto = self._serializer.get_tf_example(self._features.encode_example(example))
            record = proto.SerializeToString(deterministic=True)  # its map has the same order in every process
            self._writer.write(record)
            self.n_bytes += len(record)


def finish(
    folder: Path,
    dataset: str,
    task: Task,
    subjects: Sequence[Subject],
    shards: Sequence[WrittenShard],
    splits: Mapping[str, Sequence[str]],
) -> list[Path]:
    """Write what tfds needs to open the shards; return every file of the form.

    A shard whose subjects are all left out stays, empty: tfds skips it.
    """
    name = f"semiqc_{dataset}"
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version(VERSION), data_dir=str(folder), module_name=__name__
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        features=features(task.n_classes),
        description=f"Cine cardiac MR, one record a slice; task: {task.name}.",
    )
    template = tfds.core.ShardedFileTemplate(
        dataset_name=name,
        data_dir=folder,
        split=SPLIT,
        filetype_suffix="array_record",
        template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_INDEX}",
    )
    split = tfds.core.SplitInfo(
        name=SPLIT,
        shard_lengths=[shard.n_records for shard in shards],
        num_bytes=sum(shard.n_bytes for shard in shards),
        filename_template=template,
    )
    info.set_file_format("array_record")
    info.set_splits(tfds.core.splits.SplitDict([split]))
    info.write_to_directory(str(folder))
    return [*(shard.path for shard in shards), folder / "dataset_info.json", folder / "features.json"]


class RecordCohort(Cohort):
    """A cohort that reads single records from disk as they are asked for."""

    def __init__(self, folder: Path):
        mend = "build it again (launch/build_data.py --format=records)"
        try:
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            lines = (folder / "subjects.jsonl").read_text(encoding="utf-8").splitlines()
            self.splits = json.loads((folder / "splits.json").read_text(encoding="utf-8"))
            self.name, self.task = summary["dataset"], TASKS[summary["task"]]
            if summary["format_version"] != VERSION:
                raise DataError(f"records of version {summary['format_version']}, not {VERSION}", folder, mend)
            sizes = {e["path"]: e["bytes"] for e in summary["files"] if ".array_record-" in e["path"]}
            self.subjects = tuple(subject_from_json(json.loads(line)) for line in lines)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a whole data set: {error}", folder, mend) from error
        self._folder = folder
        for name, size in sizes.items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size:
                raise DataError(f"'{name}' is missing or has another size than it was written with", folder, mend)
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
        # One by one: many at once are read by 64 threads, whose heaps keep growing, and no faster.
        records = range(line.record(0, 0), line.record(line.n_frames, 0))
        values = np.stack([self._records[record][name] for record in records])
        return values.reshape(line.n_frames, line.n_slices, *values.shape[1:])
