"""Pictures of the integrity check: one slice with its labels' outlines, and distributions over a source."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy import ndarray
from PIL import Image

from semiqc_jax.anatomy import Task
from semiqc_jax.study import Study

LONG_SIDE = 320  # pixels of a picture
DISTRIBUTIONS = {
    "dx_mm": "pixel spacing (mm)",
    "dz_mm": "distance between slices (mm)",
    "frames": "frames",
    "slices": "slices",
    "intensity_p1": "intensity, 1st percentile",
    "intensity_p99": "intensity, 99th percentile",
}


def write_picture(study: Study) -> bytes:
    """A PNG of the middle drawn slice of the end-diastolic frame, each class outlined in its colour.

    The frame is ED where it is known, else the first that is drawn, else the first; the slice is the middle one
    of those that hold a label.
    """
    frame, level = shown_slice(study)
    image = study.image[frame, level]
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    label = np.zeros(image.shape, np.uint8) if study.label is None else study.label[frame, level]
    dy, dx = study.spacing_mm[1:]
    scale = LONG_SIDE / max(image.shape[0] * dy, image.shape[1] * dx)  # picture pixels per mm
    size = max(1, round(image.shape[1] * dx * scale)), max(1, round(image.shape[0] * dy * scale))
    large = Image.fromarray((255 * grey).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    codes = np.asarray(Image.fromarray(label).resize(size, Image.Resampling.NEAREST))
    rgb = outlined(np.asarray(large), codes, study.task)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="png")
    return buffer.getvalue()


def shown_slice(study: Study) -> tuple[int, int]:
    """(frame, slice) that the picture of a study shows."""
    drawn = np.zeros(study.shape[:2], bool) if study.label is None else study.label.any((2, 3))
    frame = study.ed_frame
    if frame is None or (drawn.any() and not drawn[frame].any()):
        frame = int(drawn.any(1).argmax())
    levels = np.flatnonzero(drawn[frame]) if drawn[frame].any() else np.arange(study.shape[1])
    return frame, int(levels[len(levels) // 2])


def outlined(grey: UInt8[ndarray, "Y X"], label: UInt8[ndarray, "Y X"], task: Task) -> UInt8[ndarray, "Y X 3"]:
    """Grey as RGB with the inner border of each class (4 neighbours) in the class's colour."""
    rgb = np.repeat(grey[..., None], 3, -1)
    padded = np.pad(label, 1)
    same = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    border = np.any([neighbour != label for neighbour in same], axis=0)
    for code, colour in enumerate(task.colours, start=1):
        rgb[border & (label == code)] = np.round(255 * np.array(to_rgb(colour)))
    return rgb


def distributions_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Histograms of spacings, shapes and intensities, and the commonest slice sizes."""
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    panels = figure.subplots(2, 4).ravel()
    for axes, (column, title) in zip(panels, DISTRIBUTIONS.items()):
        values = np.array([row[column] for row in rows], float)
        whole = column in ("frames", "slices")
        bins: Any = np.arange(values.min() - 0.5, values.max() + 1.5) if whole and np.ptp(values) < 60 else 30
        axes.hist(values, bins, color="#3b6ea5")
        axes.set_title(title, fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
    sizes = Counter(f"{row['height']} x {row['width']}" for row in rows).most_common(12)[::-1]
    panels[6].barh([name for name, _ in sizes], [n for _, n in sizes], color="#3b6ea5")
    panels[6].set_title("rows x columns (the commonest)", fontsize=9)
    ranges = [row["intensity_p99"] - row["intensity_p1"] for row in rows]
    panels[7].scatter([row["saturated_pct"] for row in rows], ranges, s=10, color="#3b6ea5", alpha=0.6)
    panels[7].set_title("intensity p99 - p1 against saturated %", fontsize=9)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.supylabel("subjects", fontsize=9)
    return figure
