"""Reading a built cohort: slices in random order, as training asks for them, and whole cines in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.benchmarks.memory import forget_cached
from semiqc_jax.datasets.build import FORMATS, Request, build_cohort
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.study import Study, uniform_positions

Shape = tuple[int, int, int, int]
SMALL: Shape = (4, 8, 96, 96)  # frames, slices, rows, columns
CINE: Shape = (25, 10, 192, 192)


def reading(folder: Path, n_subjects: int = 24) -> Contest:
    """Open a cohort and read each of its slices once, in the same random order from both forms."""
    for form in FORMATS:
        smooth_cohort(folder / form, n_subjects, SMALL, form)
    order = random_order(n_subjects, SMALL)

    def read(form: str) -> Callable[[], list[NDArray[np.uint8]]]:
        return lambda: list(slices_in(open_cohort(folder / form), order))

    return Contest(read("records"), read("pack"), "the packed form", len(order), "slices")


def reading_192(folder: Path, n_subjects: int = 8, shape: Shape = CINE) -> Contest:
    """Slices of whole cines in random order from records: from the page cache, against from the disk.

    Before each cold pass the records' files are dropped from the page cache (`posix_fadvise`, no rights needed);
    a virtual machine's host may still hold them.
    """
    smooth_cohort(folder / "data", n_subjects, shape)
    order = random_order(n_subjects, shape)

    def warm() -> int:
        return sum(int(image[::16, ::16].sum()) for image in slices_in(open_cohort(folder / "data"), order))

    def cold() -> int:
        forget_cached(folder / "data")
        return warm()

    return Contest(warm, cold, "a cold page cache", len(order), "slices")


def reading_cines(folder: Path, n_subjects: int = 8, shape: Shape = CINE) -> Contest:
    """Whole cines in order from records, against the same slices one by one."""
    smooth_cohort(folder / "data", n_subjects, shape)
    order = list(np.ndindex(n_subjects, *shape[:2]))

    def whole() -> int:
        cohort = open_cohort(folder / "data")
        return sum(int(cohort.image(n)[..., ::16, ::16].sum()) for n in range(n_subjects))

    def one_by_one() -> int:
        return sum(int(image[::16, ::16].sum()) for image in slices_in(open_cohort(folder / "data"), order))

    return Contest(whole, one_by_one, "slice by slice", len(order), "slices")


def slices_in(cohort: Cohort, order: list[tuple[int, int, int]]) -> Iterator[NDArray[np.uint8]]:
    """The slices at (subject, frame, slice), one after the other."""
    return (cohort.slice_image(*place) for place in order)


def random_order(n_subjects: int, shape: Shape) -> list[tuple[int, int, int]]:
    """(subject, frame, slice) of each slice once."""
    return np.random.default_rng(0).permutation(list(np.ndindex(n_subjects, *shape[:2]))).tolist()


def smooth_found(n_subjects: int, shape: Shape) -> list[Found]:
    """Subjects that are made when they are read."""
    names = [f"subject{n:04d}" for n in range(n_subjects)]
    return [Found(name, name, partial(smooth_study, name, seed, shape)) for seed, name in enumerate(names)]


def smooth_cohort(out: Path, n_subjects: int, shape: Shape, form: str = "records") -> None:
    """Build a cohort of `smooth_study`s, all of them for training."""
    found = smooth_found(n_subjects, shape)
    build_cohort(found, out, Request("smooth", form), lambda members: {"train": [m.subject_id for m in members]})


def smooth_study(subject_id: str, seed: int, shape: Shape = SMALL) -> Study:
    """A study of smoothed noise that moves from frame to frame, labelled where it is bright.

    It compresses like an image.
    """
    noise = np.random.default_rng(seed).normal(size=shape[1:])
    still = ndimage.gaussian_filter(noise, (0, 2, 2)).astype(np.float32)
    image = np.stack([np.roll(still, frame, -1) for frame in range(shape[0])])
    return Study(
        subject_id=subject_id,
        image=image,
        spacing_mm=(10.0, 1.5, 1.5),
        slice_position_mm=uniform_positions(shape[1], 10.0),
        affine=np.diag([1.5, 1.5, 10.0, 1.0]),
        label=(image > 0.2).astype(np.uint8),
        labelled=np.ones((*shape[:2], 3), bool),
    )
