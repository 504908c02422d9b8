"""Cohorts that live in memory: from studies (tests, new scans) or unpacked from the packed form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.stored import Stored, store_all
from semiqc_jax.errors import DataError
from semiqc_jax.study import Study


class StoredCohort(Cohort):
    """A cohort whose stored studies are all in memory."""

    def __init__(
        self, name: str, task: Task, stored: Iterable[Stored], splits: Mapping[str, Sequence[str]]
    ):
        self.name, self.task, self.splits = name, task, splits
        self._stored = tuple(stored)
        self.subjects = tuple(s.subject for s in self._stored)

    def slice_image(self, subject: int, frame: int, slice_: int) -> NDArray[np.uint8]:
        """One slice, [Y, X]."""
        return self._stored[subject].image[frame, slice_]

    def image(self, subject: int) -> NDArray[np.uint8]:
        """A whole cine, [T, Z, Y, X]."""
        return self._stored[subject].image

    def _label(self, subject: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        stored = self._stored[subject]
        require_label(stored.subject.has_label, stored.subject.subject_id)
        return stored.label, stored.labelled


class MemoryCohort(StoredCohort):
    """A cohort made from checked studies, with the same 8-bit images that a built one would hold."""

    def __init__(
        self, name: str, task: Task, studies: Iterable[Study], splits: Mapping[str, Sequence[str]]
    ):
        super().__init__(name, task, store_all(studies), splits)


def require_label(has_label: bool, subject_id: str) -> None:
    """Stop a read of a reference that does not exist.

    Raises:
        DataError: the subject has no reference label.
    """
    if not has_label:
        raise DataError("no reference label", subject_id, "choose a labelled subject or add its label file")
