"""Label volumes -> volume or area curves over the cardiac cycle, in NumPy or JAX as the input is."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from semiqc_jax.anatomy import Task

MM3_PER_ML = 1000.0


def namespace(array: Any) -> Any:
    """The array module (`numpy` or `jax.numpy`) that `array` belongs to; NumPy for plain sequences."""
    return array.__array_namespace__() if hasattr(array, "__array_namespace__") else np


def slice_extent_mm(position_mm: Float[Any, " Z"], dz_mm: float | None = None) -> Float[Any, " Z"]:
    """Length along the slice normal that each slice stands for, in mm.

    Half the distance to either neighbour; an end slice has one neighbour and takes that gap for both sides.
    Even spacing dz therefore gives dz for every slice, and a missing slice is shared by its neighbours.

    Args:
        position_mm: increasing positions of the slice centres.
        dz_mm: what a single slice stands for; looked at only where Z is 1.

    Raises:
        ValueError: one slice and no `dz_mm`.
    """
    xp = namespace(position_mm)
    position = xp.asarray(position_mm)
    if position.shape[0] == 1:
        if dz_mm is None:
            raise ValueError("a single slice has no neighbour: give dz_mm")
        return xp.full((1,), float(dz_mm))
    gap = position[1:] - position[:-1]
    return (xp.concatenate([gap[:1], gap]) + xp.concatenate([gap, gap[-1:]])) / 2


def slice_areas_mm2(
    label: UInt8[Any, "*batch Y X"], spacing_mm: tuple[float, float, float], n_classes: int
) -> Float[Any, "*batch C"]:
    """Area of each class on each slice in mm^2. `label` holds canonical codes, class c has code c + 1."""
    xp = namespace(label)
    count = xp.stack([(label == code).sum((-2, -1)) for code in range(1, n_classes + 1)], -1)
    return count * (float(spacing_mm[1]) * float(spacing_mm[2]))


def curves_from_areas(
    area_mm2: Float[Any, "*batch Z C"], extent_mm: Float[Any, "*#batch Z"] | None
) -> Float[Any, "*batch C"]:
    """Sum slice areas to volumes in ml, or to areas in mm^2 where `extent_mm` is None (aortic planes).

    Args:
        area_mm2: slice-area profile, slices on the last axis but one.
        extent_mm: length that each slice stands for (`slice_extent_mm`), broadcast over leading axes.
    """
    if extent_mm is None:
        return area_mm2.sum(-2)
    return (area_mm2 * namespace(area_mm2).asarray(extent_mm)[..., None]).sum(-2) / MM3_PER_ML


def curves_from_labels(
    label: UInt8[Any, "*batch Z Y X"],
    spacing_mm: tuple[float, float, float],
    extent_mm: Float[Any, " Z"] | None,
    n_classes: int,
) -> Float[Any, "*batch C"]:
    """Volume of each class in ml (mm^2 where `extent_mm` is None) for each frame of a segmented cine.

    Volume = sum over slices of pixels x dx x dy x extent / 1000, papillary muscles counted as cavity
    (Petersen et al. 2017). A whole cine [T, Z, Y, X] gives [T, C].

    Args:
        label: canonical codes on the native grid.
        spacing_mm: (dz, dy, dx); dz is not used here, `extent_mm` says what a slice stands for.
        extent_mm: from `slice_extent_mm`.
        n_classes: C, the number of foreground classes.
    """
    return curves_from_areas(slice_areas_mm2(label, spacing_mm, n_classes), extent_mm)


def task_extent_mm(position_mm: Float[Any, " Z"], dz_mm: float, task: Task) -> Float[Any, " Z"] | None:
    """What each slice stands for where a task's curves are volumes; None where they are areas of a plane."""
    return slice_extent_mm(position_mm, dz_mm) if task.curve == "ml" else None


def task_curves(
    label: UInt8[Any, "*batch Z Y X"],
    spacing_mm: tuple[float, float, float],
    slice_position_mm: Float[Any, " Z"],
    task: Task,
) -> Float[Any, "*batch C"]:
    """The curves of a task from canonical codes on the native grid, in its unit: `task.curve_names`.

    A whole cine [T, Z, Y, X] gives [T, C]: volumes in ml, or areas in mm^2 of an aortic plane.

    Args:
        spacing_mm: (dz, dy, dx), dz the distance between slice centres.
        slice_position_mm: increasing positions of the slice centres; a NumPy or JAX array, or a sequence.
    """
    extent = task_extent_mm(slice_position_mm, spacing_mm[0], task)
    return curves_from_labels(label, spacing_mm, extent, task.n_classes)
