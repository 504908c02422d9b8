"""What a stage trains on: the labelled set and the chosen pseudo-labels, as slices kept on the device or streamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.errors import ConfigError
from semiqc_jax.inputs.grid import Geometry
from semiqc_jax.inputs.slices import Slices, canvas_of, central, cumulative, on_canvas, window_frames
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


@dataclass(frozen=True)
class Canvas:
    """Cuts slices to what training can reach, pads them to one size, and gives each its window of frames."""

    size: tuple[int, int]
    reach_mm: float
    window: int

    @classmethod
    def of(cls, cohort: Cohort, reach_mm: float, window: int = 1) -> Canvas:
        """The canvas that holds every slice of a cohort."""
        cut = [central(s.shape, s.spacing_mm[1:], reach_mm) for s in cohort.subjects]
        return cls(canvas_of([(y.stop - y.start, x.stop - x.start) for y, x in cut]), reach_mm, window)

    @property
    def bytes(self) -> int:
        """Of one slice: its frames and its label."""
        return (self.window + 1) * self.size[0] * self.size[1]

    def read(
        self, cohort: Cohort, place: Place, label: NDArray[np.uint8], labelled: NDArray[np.bool_]
    ) -> Slices:
        """One slice of a cohort, with its label [Y, X], without a leading axis; reads the frames of its window."""
        i, t, z = place
        subject = cohort.subjects[i]
        frames = window_frames(t, subject.n_frames, self.window).tolist()
        images = {frame: cohort.slice_image(i, frame, z) for frame in set(frames)}
        part = central(subject.shape, subject.spacing_mm[1:], self.reach_mm)
        image = np.stack([images[frame][part] for frame in frames])
        geometry = Geometry(np.array(image.shape[1:], np.float32), np.array(subject.spacing_mm[1:], np.float32))
        return Slices(on_canvas(image, self.size), on_canvas(label[part], self.size), labelled, geometry)


def labelled_source(cohort: Cohort, subjects: Sequence[int], canvas: Canvas) -> Source:
    """Every slice of the labelled subjects on which something is drawn, each as often as the others."""
    rows: list[tuple[Place, NDArray[np.uint8], NDArray[np.bool_]]] = []
    for i in subjects:
        label, labelled = read_truth(cohort, i)
        for t, z in np.argwhere(labelled.any(-1)).tolist():
            rows.append(((i, t, z), label[t, z].copy(), labelled[t, z]))
    return _source(lambda i: canvas.read(cohort, *rows[i]), np.ones(len(rows)), canvas)


def pseudo_source(
    cohort: Cohort, subjects: Sequence[int], weight: NDArray[np.floating], store: PseudoStore, canvas: Canvas
) -> Source:
    """The slices of the pool that a selection kept, drawn in proportion to their weight.

    Args:
        subjects: the pool, in the order of `weight`.
        weight: [N, T, Z] of a `Selection`.

    Raises:
        ConfigError: the selection kept nothing.
    """
    chosen: list[Place] = [(subjects[n], t, z) for n, t, z in np.argwhere(weight > 0).tolist()]
    if not chosen:
        mend = "lower config.threshold or choose another config.policy, in another workdir"
        raise ConfigError("the selection kept no subject", store.folder.parent, mend)
    everything = np.ones(cohort.task.n_classes, bool)

    def read(i: int) -> Slices:
        subject, t, z = chosen[i]
        label = store.label_slice(cohort.subjects[subject].subject_id, t, z)
        return canvas.read(cohort, chosen[i], label, everything)

    return _source(read, weight[weight > 0], canvas)


def _source(read: Callable[[int], Slices], weight: NDArray[np.floating], canvas: Canvas) -> Source:
    return Source(len(weight), read, cumulative(weight), len(weight) * canvas.bytes)
