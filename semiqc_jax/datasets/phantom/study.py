"""`Study` objects with their exact truth: one subject, a stream of a whole cohort, its splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.phantom.aorta.plan import plan_subject as plan_aorta
from semiqc_jax.datasets.phantom.aorta.render import render as render_aorta
from semiqc_jax.datasets.phantom.heart.plan import plan_subject as plan_heart
from semiqc_jax.datasets.phantom.heart.render import render as render_heart
from semiqc_jax.datasets.phantom.spec import CohortSpec
from semiqc_jax.datasets.phantom.subject import Plan, Truth, subject_id
from semiqc_jax.study import Study, check_study

CHUNK_VOXELS = 2_000_000  # rendered together; bounds memory, and fixes a specification's chunks

# Task -> how one of its subjects is drawn, and how a chunk of them is rendered: image and label [S, T, Z, Y, X].
PLANNERS: Mapping[str, Callable[[Any, int], Plan]] = MappingProxyType(
    {SHORT_AXIS.name: plan_heart, AORTA.name: plan_aorta}
)
RENDERERS: Mapping[str, Callable[..., tuple[jax.Array, jax.Array]]] = MappingProxyType(
    {SHORT_AXIS.name: render_heart, AORTA.name: render_aorta}
)


def phantom_subject(spec: CohortSpec, index: int) -> tuple[Study, Truth]:
    """The subject at `index` (any, also beyond `n_subjects`) and its exact truth.

    The same whatever was made before: it follows from `spec` without `n_subjects`, and `index`. The chunk
    around it is rendered and the latest chunk is kept, so its neighbours come free.
    """
    if index < 0:
        raise IndexError(f"subject index {index} is negative")
    chunk = max(1, min(8, CHUNK_VOXELS // spec.n_voxels))
    first = index - index % chunk
    plans, images, labels = _render_chunk(replace(spec, n_subjects=1), first, chunk)
    plan = plans[index - first]
    return _study(spec, plan, images[index - first], labels[index - first]), plan.truth


def phantom_studies(spec: CohortSpec) -> Iterator[Study]:
    """Stream the cohort's studies in the order of their index; memory does not grow with `n_subjects`."""
    for index in range(spec.n_subjects):
        yield phantom_subject(spec, index)[0]


def phantom_splits(spec: CohortSpec) -> dict[str, list[str]]:
    """Subject ids of `train`, `val` and `test`: 60, 10 and 30 %, by the seed; train in random order."""
    order = np.random.default_rng([spec.seed, 1]).permutation(spec.n_subjects)
    names = [subject_id(int(i)) for i in order]
    n_test, n_val = round(0.3 * len(names)), round(0.1 * len(names))
    test, val, train = names[:n_test], names[n_test : n_test + n_val], names[n_test + n_val :]
    return {"train": train, "val": sorted(val), "test": sorted(test)}


@lru_cache(maxsize=1)
def _render_chunk(spec: CohortSpec, first: int, count: int) -> tuple[list[Plan], NDArray, NDArray]:
    plans = [PLANNERS[spec.task.name](spec, index) for index in range(first, first + count)]

    def stack(*leaves: Any) -> NDArray:
        together = np.stack(leaves)
        return together if together.dtype == np.uint32 else together.astype(np.float32)

    scans = jax.tree.map(stack, *(plan.scan for plan in plans))
    images, labels = RENDERERS[spec.task.name](scans, spec.size, spec.subsamples)
    return plans, np.asarray(images), np.asarray(labels)


def _study(spec: CohortSpec, plan: Plan, image: NDArray, label: NDArray) -> Study:
    truth, who, dx = plan.truth, plan.truth.who, float(plan.scan.pixel_mm)
    image, label = image[:, plan.kept], label[:, plan.kept]
    drawn = np.ones(spec.n_frames, bool)
    if spec.labelled_frames == "ed_es":
        drawn = np.isin(np.arange(spec.n_frames), [truth.ed_frame, truth.es_frame])
        label[~drawn] = 0
    upwards = plan.kept[0] <= plan.kept[-1]
    affine = np.diag([-dx, -dx, plan.dz_mm if upwards else -plan.dz_mm, 1.0])
    affine[:2, 3] = 0.5 * (spec.size - 1) * dx
    return check_study(
        Study(
            subject_id=truth.subject_id,
            image=image,
            spacing_mm=(plan.dz_mm, dx, dx),
            slice_position_mm=plan.position_mm,
            affine=affine,
            task=spec.task,
            frame_time_s=plan.frame_time_s,
            label=label,
            labelled=np.broadcast_to(drawn[:, None, None], (*label.shape[:2], spec.task.n_classes)).copy(),
            ed_frame=truth.ed_frame,
            es_frame=truth.es_frame,
            group=truth.group,
            sex=who.sex,
            age_years=who.age_years,
            height_cm=who.height_cm,
            weight_kg=who.weight_kg,
            heart_rate_bpm=who.heart_rate_bpm,
            pulse_pressure_mmhg=who.pulse_pressure_mmhg,
            site="phantom",
        )
    )
