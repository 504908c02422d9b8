"""Per-study slice statistics -> one padded `Evidence` for a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.segmentation.evidence import Evidence

MEASURED = Evidence._fields[4:]  # what `slice_statistics` gives; the fields before are geometry
BY_CLASS = (  # those of it that are one number a class; centroids are two, the others one a slice
    *("area_mm2", "perimeter_mm", "components", "largest_fraction", "intensity_mean", "intensity_max"),
    *("flip_overlap_mm2", "flip_area_mm2"),
)


def assemble_evidence(
    per_study: Sequence[Mapping[str, NDArray]],
    extents: Sequence[NDArray],
    times: Sequence[NDArray | None] | None = None,
) -> Evidence:
    """Pad the statistics of N studies to the longest T and Z.

    Args:
        per_study: for each study what `slice_statistics` gives, stacked to [T, Z, ...].
        extents: for each study the length in mm that each slice stands for, [Z].
        times: for each study the frame times in s, [T], or None where unknown.

    Returns:
        NumPy arrays, float32 and bool. Padding is False in the masks and 0 elsewhere.

    Raises:
        ValueError: no study, or the lengths of the sequences or of a study's arrays differ.
    """
    times = [None] * len(per_study) if times is None else times
    if not per_study or not len(per_study) == len(extents) == len(times):
        raise ValueError(f"{len(per_study)} studies, {len(extents)} extents, {len(times)} times")
    shapes = [np.shape(study["enclosure"]) for study in per_study]
    n, n_frames, n_slices = len(shapes), max(s[0] for s in shapes), max(s[1] for s in shapes)
    frames = np.array([s[0] for s in shapes])[:, None]
    slices = np.array([s[1] for s in shapes])[:, None]
    slice_extent = np.zeros((n, n_slices), np.float32)
    frame_time = np.full((n, n_frames), np.nan, np.float32)
    measured: dict[str, Any] = {
        name: np.zeros((n, n_frames, n_slices, *np.shape(per_study[0][name])[2:]), np.float32)
        for name in MEASURED
    }
    for i, (study, extent, time, (t, z)) in enumerate(zip(per_study, extents, times, shapes, strict=True)):
        if np.shape(extent) != (z,) or (time is not None and np.shape(time) != (t,)):
            raise ValueError(f"study {i} has {t} frames and {z} slices, extents {np.shape(extent)}")
        slice_extent[i, :z] = extent
        if time is not None:
            frame_time[i, :t] = time
        for name, array in measured.items():
            array[i, :t, :z] = study[name]
    geometry: dict[str, Any] = {
        "frame_mask": np.arange(n_frames) < frames,
        "slice_mask": np.arange(n_slices) < slices,
        "slice_extent_mm": slice_extent,
        "frame_time_s": frame_time,
    }
    return Evidence(**geometry, **measured)
