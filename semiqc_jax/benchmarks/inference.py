"""Segmentation of a cohort: `segment_studies`, in batches, against a plain loop slice by slice."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.benchmarks.reading import smooth_study
from semiqc_jax.benchmarks.weights import random_variables
from semiqc_jax.datasets.memory import MemoryCohort
from semiqc_jax.inputs.grid import Geometry, Grid
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Segmenter, cohort_cines, segment_studies
from semiqc_jax.segmentation.predict import Model, make_predict

GRID = Grid(64, 2.0)


def inference(folder: Path, n_subjects: int = 2, base: int = 8) -> Contest:
    """Segment every slice of a cohort with an untrained U-Net; gives each study's pixels of each class.

    Writes nothing to `folder`.
    """
    names = [f"subject{i:03d}" for i in range(n_subjects)]
    cohort = MemoryCohort("smooth", SHORT_AXIS, [smooth_study(n, i) for i, n in enumerate(names)], {})
    network = NetworkSpec("unet", SHORT_AXIS.n_classes, base, 4, "batch", 0.0)
    variables = random_variables(build_network(network), GRID.size)
    model = Model(network, variables, GRID, SHORT_AXIS)
    segmenter = Segmenter.of(model, Devices.of())
    predict, on_device = jax.jit(make_predict(model)), jax.device_put(variables)
    subjects = range(n_subjects)

    def in_batches() -> list[NDArray[np.int64]]:
        return [pixels(found.label) for found in segment_studies(segmenter, cohort_cines(cohort, subjects))]

    alone = np.zeros((1, 1), np.int32)

    def slice_by_slice() -> list[NDArray[np.int64]]:
        counts = []
        for cine in cohort_cines(cohort, subjects):
            label = np.zeros_like(cine.image)
            extent = np.array([cine.image.shape[2:]], np.float32)
            geometry = Geometry(extent, np.array([cine.pixel_mm], np.float32))
            for t, z in np.ndindex(*cine.image.shape[:2]):
                found, _ = predict(on_device, cine.image[t, z][None], geometry, alone)
                label[t, z] = np.asarray(found)[0]
            counts.append(pixels(label))
        return counts

    n_slices = sum(s.n_frames * s.n_slices for s in cohort.subjects)
    return Contest(in_batches, slice_by_slice, "a loop slice by slice", n_slices, "slices", rtol=0.01)


def pixels(label: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Number of pixels of each code of a segmentation."""
    return np.bincount(label.ravel(), minlength=SHORT_AXIS.n_classes + 1)
