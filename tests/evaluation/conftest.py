"""Small cases with known answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evaluated_runs import HEADER, SHIFTS

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.evaluate import write_evaluation


def make_subject(subject_id: str, shape: tuple[int, int, int, int], **known: object) -> Subject:
    frames, slices, height, width = shape
    geometry = {
        "spacing_mm": (10.0, 2.0, 1.5),
        "slice_position_mm": tuple(10.0 * z for z in range(slices)),
        "affine": tuple(map(tuple, np.eye(4).tolist())),
        "intensity_window": (0.0, 255.0),
        "first_record": 0,
        "has_label": True,
    }
    return Subject(subject_id, frames, slices, height, width, **{**geometry, **known})  # type: ignore[arg-type]


def make_case(subject_id: str = "a", shift: int = 0, group: str = "", **known: object) -> Case:
    """Two frames of nested boxes; the prediction is the truth moved by `shift` columns."""
    label = np.zeros((2, 4, 24, 24), np.uint8)
    label[:, :, 4:16, 4:16] = 2
    label[0, :, 6:14, 6:14] = 1
    label[1, :, 8:12, 8:12] = 1
    label[:, :, 4:16, 17:20] = 3
    image = np.random.default_rng(0).integers(0, 256, label.shape).astype(np.uint8)
    subject = make_subject(subject_id, label.shape, ed_frame=0, es_frame=1, group=group or None, **known)  # type: ignore[arg-type]
    return Case(subject, image, np.roll(label, shift, -1), label, np.ones((2, 4, 3), bool))


@pytest.fixture(scope="session")
def subject_of() -> Callable[..., Subject]:
    return make_subject


@pytest.fixture(scope="session")
def case_of() -> Callable[..., Case]:
    return make_case


@pytest.fixture(scope="session")
def evaluations(tmp_path_factory: pytest.TempPathFactory, case_of: Callable[..., Case]) -> Path:
    """Three evaluations, measured once; runs copy their files."""
    folder = tmp_path_factory.mktemp("evaluations")
    for name, shifts in SHIFTS.items():
        write_evaluation(folder / name, [case_of(f"p{i}", s) for i, s in enumerate(shifts)], HEADER, SHORT_AXIS)
    return folder
