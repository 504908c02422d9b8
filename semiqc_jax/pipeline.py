"""`segment_studies`: the one stream that the loop, evaluation and the segmentation of new scans share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.inputs.grid import Geometry
from semiqc_jax.inputs.slices import canvas_of, central, on_canvas, window_frames
from semiqc_jax.parallel import Devices
from semiqc_jax.segmentation.predict import Model, make_predict

IN_FLIGHT = 2  # batches handed to the devices ahead of the one that is read back


class Cine(NamedTuple):
    """A study as it is segmented: pixels and their size, no label."""

    subject_id: str
    image: NDArray[np.uint8]  # [T, Z, Y, X]
    pixel_mm: tuple[float, float]  # (dy, dx)


@dataclass(frozen=True)
class Segmentation:
    """A segmented study, on its native grid, with what quality control may look at."""

    subject_id: str
    label: NDArray[np.uint8]  # [T, Z, Y, X], canonical codes
    statistics: dict[str, NDArray[np.float32]]  # `slice_statistics`, each [T, Z, ...]


@dataclass(frozen=True)
class Segmenter:
    """A model on its devices, compiled once per canvas size."""

    model: Model
    devices: Devices
    batch: int
    _predict: Callable[..., Any]
    _variables: Any

    @classmethod
    def of(cls, model: Model, devices: Devices, batch: int = 32) -> Segmenter:
        """Put a model on its devices; the batch is rounded up to a multiple of their number."""
        batch = -(-batch // devices.count) * devices.count
        predict = devices.map(make_predict(model), replicated=1, sharded=3, sum_out=False)
        return cls(model, devices, batch, predict, devices.replicate(model.variables))

    def with_variables(self, variables: Any) -> Segmenter:
        """The same network with other weights; nothing is compiled again."""
        model = replace(self.model, variables=variables)
        return replace(self, model=model, _variables=self.devices.replicate(variables))

    def submit(self, frames: NDArray[np.uint8], geometry: Geometry, windows: NDArray[np.int32]) -> Any:
        """Start the prediction of a full batch, stacked device by device; does not wait."""
        return self._predict(self._variables, *map(self.devices.shard, (frames, geometry, windows)))


def cohort_cines(cohort: Cohort, subjects: Iterable[int]) -> Iterator[Cine]:
    """The cines of some subjects of a cohort, read one by one, without their labels."""
    for i in subjects:
        subject = cohort.subjects[i]
        yield Cine(subject.subject_id, cohort.image(i), subject.spacing_mm[1:])


def segment_studies(segmenter: Segmenter, cines: Iterable[Cine]) -> Iterator[Segmentation]:
    """Segment studies one after another, in order, in bounded memory.

    Slices of one or several studies fill a batch; while the devices work on it the next one is prepared. Studies
    of one canvas size share batches; a new size starts a new batch. The frames of a slice follow each other, so that
    windows of frames overlap within a batch.
    """
    waiting: deque[_Open] = deque()
    flying: deque[tuple[Any, list[_Row]]] = deque()
    rows: list[_Row] = []
    canvas: tuple[int, int] = (0, 0)

    def flush() -> None:
        if rows:
            flying.append((segmenter.submit(*_stack(rows, canvas, segmenter)), list(rows)))
            rows.clear()
        while len(flying) > IN_FLIGHT:
            land()

    def land() -> None:
        result, landed = flying.popleft()
        label, statistics = segmenter.devices.gather(result)
        for at, (study, t, z) in enumerate(landed):
            study.put(t, z, label[at], jax.tree.map(lambda x, at=at: x[at], statistics))

    def finished() -> Iterator[Segmentation]:
        while waiting and waiting[0].missing == 0:
            yield waiting.popleft().result()

    for cine in cines:
        study = _Open(cine, segmenter.model.grid.reach_mm)
        if (size := canvas_of([study.pixels.shape[2:]])) != canvas:
            flush()
            canvas = size
        waiting.append(study)
        n_frames, n_slices = study.pixels.shape[:2]
        for z, t in np.ndindex(n_slices, n_frames):
            rows.append((study, t, z))
            if len(rows) == segmenter.batch:
                flush()
        yield from finished()
    flush()
    while flying:
        land()
        yield from finished()


class _Open:
    """A study that is being segmented, cut to what the network sees: results are put in slice by slice."""

    def __init__(self, cine: Cine, reach_mm: float):
        self.cine = cine
        self.part = central(cine.image.shape, cine.pixel_mm, reach_mm)
        self.pixels = cine.image[:, :, *self.part]
        self.label = np.zeros_like(self.pixels)
        self.missing = self.pixels.shape[0] * self.pixels.shape[1]
        self.statistics: list[Any] = [None] * self.missing

    def put(self, t: int, z: int, label: NDArray[np.uint8], statistics: Any) -> None:
        n_slices, height, width = self.pixels.shape[1:]
        self.label[t, z] = label[:height, :width]
        self.statistics[t * n_slices + z] = statistics
        self.missing -= 1

    def result(self) -> Segmentation:
        t, z = self.cine.image.shape[:2]
        stacked = jax.tree.map(lambda *x: np.stack(x).reshape(t, z, *np.shape(x[0])), *self.statistics)
        label = np.zeros_like(self.cine.image)
        label[:, :, *self.part] = self.label
        return Segmentation(self.cine.subject_id, label, stacked)


_Row = tuple[_Open, int, int]  # a slice to segment: study, frame, slice


def _stack(
    rows: list[_Row], canvas: tuple[int, int], segmenter: Segmenter
) -> tuple[NDArray[np.uint8], Geometry, NDArray[np.int32]]:
    """A batch, the part of each device after the other: frames, their geometry, and windows that count within a part.

    A frame stands once in a part, however many windows see it. Of all frames that a part of b slices sees, only
    those around its first and its last slice can lie beyond its slices: b + 2 (W - 1) places are enough.
    """
    rows = rows + rows[-1:] * (segmenter.batch - len(rows))
    window, each = segmenter.model.network.window, segmenter.batch // segmenter.devices.count
    frames: list[_Row] = []
    windows = []
    for first in range(0, len(rows), each):
        place: dict[_Row, int] = {}
        for study, t, z in rows[first : first + each]:
            around = window_frames(t, study.pixels.shape[0], window).tolist()
            windows.append([place.setdefault((study, u, z), len(place)) for u in around])
        seen = list(place)
        frames += seen + seen[-1:] * (each + 2 * (window - 1) - len(seen))
    image = np.stack([on_canvas(study.pixels[t, z], canvas) for study, t, z in frames])
    extent = np.array([study.pixels.shape[2:] for study, *_ in frames], np.float32)
    pixel = np.array([study.cine.pixel_mm for study, *_ in frames], np.float32)
    return image, Geometry(extent, pixel), np.array(windows, np.int32)
