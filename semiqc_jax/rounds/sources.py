"""What a stage trains on: the labelled set and the chosen pseudo-labels, as slices kept on the device or streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Cohort, Subject, read_truth
from semiqc_jax.inputs.grid import Geometry
from semiqc_jax.inputs.slices import Slices, canvas_of, cumulative, on_canvas
from semiqc_jax.inputs.streams import stack_slices
from semiqc_jax.rounds.store import PseudoStore
from semiqc_jax.training.step import Resident

Place = tuple[int, int, int]  # (subject, frame, slice)


@dataclass(frozen=True)
class Source:
    """The slices of one stream, readable one by one, and how often each is drawn."""

    count: int
    read: Callable[[int], Slices]  # index -> one slice, without a leading axis
    distribution: NDArray[np.float32]  # cumulative, [count]
    bytes: int  # when kept on the device

    def resident(self) -> Resident:
        """Read all slices, to be kept on the device."""
        return Resident(stack_slices([self.read(i) for i in range(self.count)]), self.distribution)


def cohort_canvas(cohort: Cohort) -> tuple[int, int]:
    """The canvas that holds every slice of a cohort."""
    return canvas_of([(s.height, s.width) for s in cohort.subjects])


def labelled_source(cohort: Cohort, subjects: Sequence[int]) -> Source:
    """Every slice of the labelled subjects on which something is drawn, each as often as the others."""
    canvas = cohort_canvas(cohort)
    rows: list[Slices] = []
    for i in subjects:
        image = cohort.image(i)
        label, labelled = read_truth(cohort, i)
        for t, z in np.argwhere(labelled.any(-1)):
            rows.append(_slice(cohort.subjects[i], image[t, z], label[t, z], labelled[t, z], canvas))
    return _source(rows.__getitem__, np.ones(len(rows)), canvas)


def pseudo_source(
    cohort: Cohort, subjects: Sequence[int], weight: NDArray[np.floating], store: PseudoStore
) -> Source:
    """The slices of the pool that a selection kept, drawn in proportion to their weight.

    Args:
        subjects: the pool, in the order of `weight`.
        weight: [N, T, Z] of a `Selection`.
    """
    canvas = cohort_canvas(cohort)
    chosen = [(subjects[n], int(t), int(z)) for n, t, z in np.argwhere(weight > 0)]
    everything = np.ones(cohort.task.n_classes, bool)

    def read(i: int) -> Slices:
        subject, t, z = chosen[i]
        info = cohort.subjects[subject]
        label = store.label_slice(info.subject_id, t, z)
        return _slice(info, cohort.slice_image(subject, t, z), label, everything, canvas)

    return _source(read, weight[weight > 0], canvas)


def _source(read: Callable[[int], Slices], weight: NDArray[np.floating], canvas: tuple[int, int]) -> Source:
    return Source(len(weight), read, cumulative(weight), 2 * len(weight) * canvas[0] * canvas[1])


def _slice(
    subject: Subject,
    image: NDArray[np.uint8],
    label: NDArray[np.uint8],
    labelled: NDArray[np.bool_],
    canvas: tuple[int, int],
) -> Slices:
    geometry = Geometry(
        np.array([subject.height, subject.width], np.float32), np.array(subject.spacing_mm[1:], np.float32)
    )
    return Slices(on_canvas(image, canvas), on_canvas(label, canvas), labelled, geometry)
