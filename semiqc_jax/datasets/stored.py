"""One study as every cohort stores it: 8-bit image, label, what is drawn, and its `Subject` line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.intensity import intensity_window, to_uint8
from semiqc_jax.study import Study

# Fields of `Study` that are kept in `Subject.extra` where known, beside its warnings.
EXTRA = (
    *("sex", "age_years", "height_cm", "weight_kg"),
    *("heart_rate_bpm", "pulse_pressure_mmhg", "site"),
)


class Stored(NamedTuple):
    """A study as it is stored. Without a reference the label is 0 and nothing is marked as drawn."""

    subject: Subject
    image: NDArray[np.uint8]  # [T, Z, Y, X]
    label: NDArray[np.uint8]  # [T, Z, Y, X]
    labelled: NDArray[np.bool_]  # [T, Z, C]


class WrittenShard(NamedTuple):
    """A file that holds a run of subjects, as finishing a data set needs it."""

    path: Path
    n_records: int  # slices
    n_bytes: int  # of the records, not compressed


def store(study: Study, first_record: int = 0) -> Stored:
    """The stored form of a checked study whose first slice is record `first_record`."""
    window = intensity_window(study.image)
    n_frames, n_slices, height, width = study.shape
    if study.label is None or study.labelled is None:
        label = np.zeros(study.shape, np.uint8)
        labelled = np.zeros((n_frames, n_slices, study.task.n_classes), bool)
    else:
        label, labelled = study.label, study.labelled
    extra = {name: getattr(study, name) for name in EXTRA if getattr(study, name) is not None}
    if study.warnings:
        extra["warnings"] = list(study.warnings)
    subject = Subject(
        subject_id=study.subject_id,
        n_frames=n_frames,
        n_slices=n_slices,
        height=height,
        width=width,
        spacing_mm=tuple(float(v) for v in study.spacing_mm),  # type: ignore[arg-type]
        slice_position_mm=_floats(study.slice_position_mm),
        affine=tuple(_floats(row) for row in study.affine),
        intensity_window=window,
        first_record=first_record,
        has_label=bool(labelled.any()),
        frame_time_s=None if study.frame_time_s is None else _floats(study.frame_time_s),
        ed_frame=study.ed_frame,
        es_frame=study.es_frame,
        group=study.group,
        extra=extra or None,
    )
    return Stored(subject, to_uint8(study.image, window), label.astype(np.uint8), labelled.astype(bool))


def store_all(studies: Iterable[Study]) -> Iterator[Stored]:
    """The stored forms of studies, their records numbered on from 0."""
    first = 0
    for study in studies:
        stored = store(study, first)
        yield stored
        first += stored.subject.n_frames * stored.subject.n_slices


def subject_to_json(subject: Subject) -> dict[str, Any]:
    """One line of `subjects.jsonl` as plain values."""
    return dataclasses.asdict(subject)


def subject_from_json(values: Mapping[str, Any]) -> Subject:
    """The inverse of `subject_to_json`: lists become tuples again."""
    known = {field.name for field in dataclasses.fields(Subject)}
    return Subject(**{k: v if k == "extra" else _tuples(v) for k, v in values.items() if k in known})


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
