"""Dice and surface distances between two masks, in 3-D and in mm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree


class SurfaceDistance(NamedTuple):
    """Two summaries of the distances between two surfaces, in mm."""

    hd95: float
    assd: float


UNDEFINED = SurfaceDistance(float("nan"), float("nan"))


def dice(predicted: Bool[np.ndarray, "*shape"], reference: Bool[np.ndarray, "*shape"]) -> float:
    """Dice coefficient 2|P and R| / (|P| + |R|) of two masks of one shape.

    NaN where both are empty (nothing to find, nothing found), 0 where only one is.
    """
    total = int(np.count_nonzero(predicted)) + int(np.count_nonzero(reference))
    return 2.0 * int(np.count_nonzero(predicted & reference)) / total if total else float("nan")


def surface_points(
    mask: Bool[np.ndarray, "Z Y X"],
    spacing_mm: tuple[float, float, float],
    position_mm: Float[np.ndarray, " Z"],
) -> Float[np.ndarray, "P 3"]:
    """Centres in mm of the voxels of `mask` that have a face neighbour outside it or outside the volume.

    On a single slice only neighbours in the plane count.
    """
    if not mask.any():
        return np.zeros((0, 3))
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    structure = ndimage.generate_binary_structure(3, 1)
    if mask.shape[0] == 1:
        structure[[0, 2]] = False
    border = mask[box] & ~ndimage.binary_erosion(mask[box], structure)
    z, y, x = (index + side.start for index, side in zip(np.nonzero(border), box))
    return np.stack([np.asarray(position_mm, float)[z], y * spacing_mm[1], x * spacing_mm[2]], -1)


def surface_distance(
    predicted: Bool[np.ndarray, "Z Y X"],
    reference: Bool[np.ndarray, "Z Y X"],
    spacing_mm: tuple[float, float, float],
    position_mm: Float[np.ndarray, " Z"] | None = None,
    pooled: bool = False,
) -> SurfaceDistance:
    """Robust Hausdorff distance (HD95) and average symmetric surface distance (ASSD) in mm, in 3-D.

    Distances run between the centres of surface voxels. HD95 is the larger of the two directed 95th
    percentiles; ASSD is the mean over both surfaces together. NaN where either mask is empty.

    Args:
        spacing_mm: (dz, dy, dx).
        position_mm: slice positions where gaps may be uneven; else slices are dz apart.
        pooled: HD95 as MedPy has it, the 95th percentile of both directions' distances in one pool.
    """
    position = np.arange(len(predicted)) * spacing_mm[0] if position_mm is None else position_mm
    ours = surface_points(predicted, spacing_mm, position)
    theirs = surface_points(reference, spacing_mm, position)
    if not len(ours) or not len(theirs):
        return UNDEFINED
    forth: NDArray[np.float64] = cKDTree(theirs).query(ours)[0]
    back: NDArray[np.float64] = cKDTree(ours).query(theirs)[0]
    both = np.concatenate([forth, back])
    directed = [both] if pooled else [forth, back]
    return SurfaceDistance(max(float(np.percentile(d, 95)) for d in directed), float(both.mean()))


def mean_dice(
    predicted: UInt8[np.ndarray, "T Z Y X"],
    label: UInt8[np.ndarray, "T Z Y X"],
    labelled: Bool[np.ndarray, "T Z C"],
) -> float:
    """Mean 3-D Dice over classes and frames, on the slices where a class is drawn; NaN where nowhere."""
    values = [
        dice(predicted[t, drawn] == c + 1, label[t, drawn] == c + 1)
        for t, c in np.ndindex(labelled.shape[0], labelled.shape[2])
        if (drawn := labelled[t, :, c]).any()
    ]
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else float("nan")
