"""Pictures of segmentations: images with what was predicted filled in and the reference as a contour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.evaluation.cases import Case, reference_curves, reference_phases

FILL = 0.45
MARGIN_MM = 25.0
LEVELS = {1: ("",), 2: ("basal ", "apical "), 3: ("basal ", "mid ", "apical ")}  # by the number of slices shown
TILES = 5  # pictures of a subject in a gallery


@dataclass(frozen=True, eq=False)
class GalleryItem:
    """One subject of a gallery, on any grid; `label` holds canonical codes.

    N are the slices of one frame, or frames of one plane (`gallery_views`).
    """

    id: str
    image: NDArray  # [N, Y, X]
    label: UInt8[np.ndarray, "N Y X"]
    caption: str
    aspect: float = 1.0  # dy / dx


@dataclass(frozen=True, eq=False)
class Picture:
    """Cropped slices of one case at its two phases: basal, mid and apical, or as many as there are."""

    subject_id: str
    image: UInt8[np.ndarray, "2 S Y X"]
    predicted: UInt8[np.ndarray, "2 S Y X"]
    label: UInt8[np.ndarray, "2 S Y X"]
    frames: tuple[int, int]
    slices: tuple[int, ...]
    aspect: float  # dy / dx


def crop_box(mask: Bool[np.ndarray, "*batch Y X"], margin: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns around all of `mask` with a margin in pixels; the whole plane where it is empty."""
    plane = np.any(mask.reshape(-1, *mask.shape[-2:]), axis=0)
    if not plane.any():
        return slice(0, plane.shape[0]), slice(0, plane.shape[1])
    box = []
    for axis in (0, 1):
        hit = np.flatnonzero(plane.any(1 - axis))
        pad = round(margin[axis])
        box.append(slice(max(0, hit[0] - pad), min(plane.shape[axis], hit[-1] + 1 + pad)))
    return box[0], box[1]


def spread_slices(mask: Bool[np.ndarray, "Z Y X"], count: int) -> NDArray[np.int64]:
    """Up to `count` slice numbers spread over those on which `mask` has anything (over all where none has)."""
    hit = np.flatnonzero(mask.any((1, 2)))
    hit = hit if len(hit) else np.arange(len(mask))
    count = min(count, len(hit))
    return hit[((np.arange(count) + 0.5) / count * len(hit)).astype(int)]


def gallery_views(task: Task, n_frames: int, n_slices: int, ed: int) -> list[tuple[int, int]]:
    """(frame, slice) of what a gallery may show of a cine.

    The slices at end-diastole; of a task of one plane `TILES` frames spread over the cycle, from end-diastole on.
    """
    if task.curve == "ml":
        return [(ed, z) for z in range(n_slices)]
    count = min(TILES, n_frames)
    return [((ed + k * n_frames // count) % n_frames, 0) for k in range(count)]


def case_picture(case: Case, task: Task) -> Picture:
    """Cut what a picture of a case needs out of its cine. The base is the end with the larger structures."""
    ed, es = reference_phases(case.subject, reference_curves(case, task), task)
    labelled_frames = np.flatnonzero(case.labelled.any((1, 2)))
    first, last = (int(labelled_frames[0]), int(labelled_frames[-1])) if len(labelled_frames) else (0, 0)
    frames = (first if ed is None else ed, last if es is None else es)
    both = (case.label[list(frames)] > 0) | (case.predicted[list(frames)] > 0)
    slices = spread_slices(np.any(both, axis=0), max(LEVELS))
    size = both.sum((0, 2, 3))
    slices = slices if size[slices[0]] >= size[slices[-1]] else slices[::-1]
    dy, dx = case.subject.spacing_mm[1:]
    rows, columns = crop_box(both, (MARGIN_MM / dy, MARGIN_MM / dx))
    pick = np.ix_(np.asarray(frames), slices)
    return Picture(
        subject_id=case.subject.subject_id,
        image=case.image[pick][..., rows, columns],
        predicted=case.predicted[pick][..., rows, columns],
        label=case.label[pick][..., rows, columns],
        frames=frames,
        slices=tuple(slices.tolist()),
        aspect=dy / dx,
    )


def draw_slice(
    axes: Axes,
    image: NDArray,
    filled: UInt8[np.ndarray, "Y X"],
    contour: UInt8[np.ndarray, "Y X"] | None,
    task: Task,
    window: tuple[float, float],
    aspect: float = 1.0,
) -> None:
    """Draw one slice in grey, the classes of `filled` in their colours and those of `contour` as lines."""
    colours = np.array([(0.0, 0.0, 0.0), *(to_rgb(c) for c in task.colours)])
    rgba = np.concatenate([colours[filled], FILL * (filled > 0)[..., None]], -1)
    axes.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect)
    axes.imshow(rgba, aspect=aspect, interpolation="nearest")
    if contour is not None:
        for c, colour in reversed(list(enumerate(task.colours))):
            mask = np.pad(contour == c + 1, 1)
            if mask.any():
                grid_y, grid_x = np.arange(-1, mask.shape[0] - 1), np.arange(-1, mask.shape[1] - 1)
                axes.contour(grid_x, grid_y, mask, levels=[0.5], colors="white", linewidths=1.8)
                axes.contour(grid_x, grid_y, mask, levels=[0.5], colors=colour, linewidths=0.9)
        axes.set_xlim(-0.5, image.shape[1] - 0.5)
        axes.set_ylim(image.shape[0] - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def intensity_window(image: NDArray) -> tuple[float, float]:
    """Grey values shown as black and white: the 1st and 99th percentile."""
    low, high = np.percentile(image, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def overlay_figure(picture: Picture, task: Task, title: str) -> Figure:
    """One phase above the other, base to apex: prediction filled in, reference as a contour."""
    levels = LEVELS[len(picture.slices)]
    figure = Figure(figsize=(max(5.4, 2.8 * len(levels)), 6.2), layout="constrained")
    grid = figure.subplots(2, len(levels), squeeze=False)
    window = intensity_window(picture.image)
    for row, phase in enumerate(task.phase_titles):
        for column, level in enumerate(levels):
            axes, at = grid[row, column], (row, column)
            layers = picture.image[at], picture.predicted[at], picture.label[at]
            draw_slice(axes, *layers, task, window, picture.aspect)
            if row == 0:
                axes.set_title(f"{level}slice {picture.slices[column] + 1}", fontsize=9)
        grid[row, 0].set_ylabel(f"{phase} (frame {picture.frames[row] + 1})", fontsize=9)
    figure.suptitle(title, fontsize=11, parse_math=False)
    _legend(figure, task, reference=True)
    return figure


def gallery_figure(items: Sequence[GalleryItem], task: Task, title: str, columns: int = TILES) -> Figure:
    """A row of slices or frames with their segmentation for each subject, the id and caption beside it.

    They are spread over those that hold a structure and cropped around it. No items give an empty figure
    that says so.
    """
    height = 1.45 * max(len(items), 1) + 0.7
    figure = Figure(figsize=(1.45 * columns + 2.6, height), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    if not items:
        figure.text(0.5, 0.4, "no subjects", ha="center", color="0.5")
        return figure
    grid = figure.subplots(len(items), columns + 1, squeeze=False, width_ratios=[1.7] + [1] * columns)
    for row, item in zip(grid, items):
        row[0].axis("off")
        row[0].text(
            0, 0.5, f"{item.id}\n{item.caption}", va="center", fontsize=8, wrap=True, parse_math=False
        )
        mask = item.label > 0
        rows, cols = crop_box(mask, (0.12 * mask.shape[1], 0.12 * mask.shape[2]))
        window = intensity_window(item.image)
        shown = spread_slices(mask, columns)
        for axes in row[1 + len(shown) :]:
            axes.axis("off")
        for axes, z in zip(row[1:], shown):
            layers = item.image[z, rows, cols], item.label[z, rows, cols]
            draw_slice(axes, *layers, None, task, window, item.aspect)
    _legend(figure, task, reference=False)
    return figure


def _legend(figure: Figure, task: Task, reference: bool) -> None:
    classes = zip(task.colours, task.titles)
    handles: list[Patch | Line2D] = [Patch(color=colour, alpha=0.7, label=title) for colour, title in classes]
    if reference:
        handles.append(Line2D([], [], color="0.35", lw=1.2, label="reference (contour)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
