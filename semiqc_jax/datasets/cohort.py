"""`Cohort`: a built data set, opened: what training, evaluation and the loop read, in whatever form it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task


@dataclass(frozen=True)
class Subject:
    """One line of `subjects.jsonl`: geometry, phases and where the records of one subject lie. No label."""

    subject_id: str
    n_frames: int
    n_slices: int
    height: int
    width: int
    spacing_mm: tuple[float, float, float]  # (dz, dy, dx)
    slice_position_mm: tuple[float, ...]
    affine: tuple[tuple[float, ...], ...]
    intensity_window: tuple[float, float]  # source intensities that the stored 0 and 255 stand for
    first_record: int  # record of (frame, slice) = first_record + frame * n_slices + slice
    has_label: bool
    frame_time_s: tuple[float, ...] | None = None
    ed_frame: int | None = None
    es_frame: int | None = None
    group: str | None = None
    extra: Mapping[str, Any] | None = None  # sex, age_years, ... as far as known
    patient_id: str | None = None  # shared by the studies of one patient; None: this is the only one

    @property
    def patient(self) -> str:
        """Whom this is a study of."""
        return self.patient_id or self.subject_id

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, Z, Y, X) on the native grid."""
        return self.n_frames, self.n_slices, self.height, self.width

    def record(self, frame: int, slice_: int) -> int:
        """Index of the record of one slice of one frame."""
        return self.first_record + frame * self.n_slices + slice_


class Cohort(ABC):
    """A built data set. Images and labels are native pixels; images uint8 within the intensity window."""

    name: str
    task: Task
    subjects: tuple[Subject, ...]  # the order of `subjects.jsonl`; its length is N
    splits: Mapping[str, Sequence[str]]  # split -> subject ids; `train` is in the published label order

    def index(self, subject_id: str) -> int:
        """Position of a subject in `subjects`."""
        return self._positions[subject_id]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {s.subject_id: i for i, s in enumerate(self.subjects)}

    @abstractmethod
    def slice_image(self, subject: int, frame: int, slice_: int) -> NDArray[np.uint8]:
        """One slice, [Y, X]. Costs one slice, not the cine."""

    @abstractmethod
    def image(self, subject: int) -> NDArray[np.uint8]:
        """A whole cine, [T, Z, Y, X]."""

    @abstractmethod
    def _label(self, subject: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Reference label [T, Z, Y, X] and `labelled` [T, Z, C]. Call `read_truth` instead."""


def read_truth(cohort: Cohort, subject: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The reference label [T, Z, Y, X] of a subject and which classes are drawn on which slice, [T, Z, C].

    The only door to reference labels: the labelled set, the `oracle` selector and evaluation come through
    here. Everything else sees pool subjects without their truth (a test holds the loop to that).
    """
    return cohort._label(subject)
