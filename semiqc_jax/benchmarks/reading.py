"""Reading slices in random order: records, for pools of any size, against the packed form, held in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.datasets.build import FORMATS, Request, build_cohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.study import Study, uniform_positions

SHAPE = (4, 8, 96, 96)  # frames, slices, rows, columns


def reading(folder: Path, n_subjects: int = 24) -> Contest:
    """Open a cohort and read each of its slices once, in the same random order from both forms."""
    names = [f"subject{i:03d}" for i in range(n_subjects)]
    found = [Found(name, name, partial(smooth_study, name, seed)) for seed, name in enumerate(names)]
    for form in FORMATS:
        build_cohort(found, folder / form, Request("smooth", form), lambda ids, groups: {"train": list(ids)})
    order = np.random.default_rng(0).permutation(list(np.ndindex(n_subjects, *SHAPE[:2]))).tolist()

    def read(form: str) -> Callable[[], list[NDArray[np.uint8]]]:
        def slices_of_form() -> list[NDArray[np.uint8]]:
            cohort = open_cohort(folder / form)
            return [cohort.slice_image(*place) for place in order]

        return slices_of_form

    return Contest(read("records"), read("pack"), "the packed form", len(order), "slices")


def smooth_study(subject_id: str, seed: int) -> Study:
    """A study of smoothed noise, labelled where it is bright: it compresses like an image."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    image = ndimage.gaussian_filter(noise, (0, 0, 2, 2)).astype(np.float32)
    return Study(
        subject_id=subject_id,
        image=image,
        spacing_mm=(10.0, 1.5, 1.5),
        slice_position_mm=uniform_positions(SHAPE[1], 10.0),
        affine=np.diag([1.5, 1.5, 10.0, 1.0]),
        label=(image > 0.2).astype(np.uint8),
        labelled=np.ones((*SHAPE[:2], 3), bool),
    )
