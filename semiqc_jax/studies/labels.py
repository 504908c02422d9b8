"""The study of labels spoiled on purpose: which faults do the integrity check and the rules notice, at which price?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from scipy.stats import binomtest

from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.datasets.label_checks import label_warnings
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.files import write_json, write_text
from semiqc_jax.inputs.grid import Geometry, Grid, network_to_native, sample_nearest
from semiqc_jax.progress import progress
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics
from semiqc_jax.studies.detection import weighted_auc
from semiqc_jax.studies.label_faults import FAULTS, Label
from semiqc_jax.study import Study

GRID = Grid(96, 1.8)
AS_DRAWN = "as drawn"


def study_labels(data: Path, output: Path) -> dict[str, Any]:
    """Spoil the labels of a short-axis data set in every way; writes `output` (JSON) and beside it a table.

    Args:
        data: a built data set; the labelled patients of its `train` and `val` splits are used.

    Raises:
        NothingUsableError: there is no labelled short-axis patient with ED and ES.
    """
    cohort = open_cohort(str(data))
    allowed = [i for name in ("train", "val") for i in cohort.splits.get(name, ())]
    studies = [stored_study(cohort, cohort.index(i)) for i in allowed]
    studies = [s for s in studies if s.label is not None and s.ed_frame is not None and s.es_frame is not None]
    if not studies or cohort.task.name != "short_axis":
        what = "no labelled short-axis patient with ED and ES"
        raise NothingUsableError(what, data, "build another data set, launch/build_data.py")
    found = figures(studies)
    write_json(output, found)
    write_text(output.with_suffix(".md"), markdown(found))
    return found


def stored_study(cohort: Cohort, subject: int) -> Study:
    """A subject of a built data set as a study with its reference label."""
    one = cohort.subjects[subject]
    label, labelled = read_truth(cohort, subject) if one.has_label else (None, None)
    return Study(
        subject_id=one.subject_id,
        image=cohort.image(subject).astype(np.float32),
        spacing_mm=one.spacing_mm,
        slice_position_mm=np.asarray(one.slice_position_mm),
        affine=np.asarray(one.affine),
        task=cohort.task,
        label=label,
        labelled=labelled,
        ed_frame=one.ed_frame,
        es_frame=one.es_frame,
    )


def figures(studies: list[Study]) -> dict[str, Any]:
    """For every fault: patients whose label the check remarks on, and how far the rules tell it from the original."""
    labels = {AS_DRAWN: [np.asarray(study.label) for study in studies]}
    remarked = {AS_DRAWN: np.array([bool(label_warnings(study)) for study in studies])}
    with progress("faults", len(FAULTS), "faults") as advance:
        for name, fault in FAULTS.items():
            labels[name] = [np.ascontiguousarray(fault(study)) for study in studies]
            spoiled = (replace(study, label=label) for study, label in zip(studies, labels[name], strict=True))
            remarked[name] = np.array([bool(label_warnings(one)) for one in spoiled])
            advance(note=name)
    scores = {name: rule_scores(studies, of_fault) for name, of_fault in labels.items()}
    limit = float(np.quantile(scores[AS_DRAWN], 0.05, method="lower"))
    return {
        "patients": len(studies),
        "limit": limit,
        "faults": {
            name: {
                "check": _share(remarked[name]),
                "rules": _share(scores[name] < limit),
                "rules_auc": None if name == AS_DRAWN else _auc(scores[name], scores[AS_DRAWN]),
                "either": _share(remarked[name] | (scores[name] < limit)),
            }
            for name in labels
        },
    }


def rule_scores(studies: list[Study], labels: list[Label]) -> Float[NDArray, " N"]:
    """Score of the rules, without softmax, of one label of each study."""
    deepest = max(label.shape[1] for label in labels)
    statistics = []
    for study, label in zip(studies, labels, strict=True):
        slices = np.zeros((label.shape[0], deepest, GRID.size, GRID.size), np.uint8)
        slices[:, : label.shape[1]] = on_grid(label, study.spacing_mm[1:])
        measured = jax.device_get(_measure(slices.reshape(-1, GRID.size, GRID.size)))
        shape = slices.shape[:2]
        statistics.append({k: v.reshape(*shape, *v.shape[1:])[:, : label.shape[1]] for k, v in measured.items()})
    extents = [slice_extent_mm(np.asarray(s.slice_position_mm), s.spacing_mm[0]).astype(np.float32) for s in studies]
    quality = assess_rules(assemble_evidence(statistics, extents), checks_of("short_axis"), use_confidence=False)
    return np.asarray(quality.score, float)


@jax.jit
def _measure(slices: UInt8[NDArray, "B S S"]) -> dict[str, Any]:
    return jax.vmap(lambda one: label_statistics(one, 3, GRID.pixel_mm))(slices)


def on_grid(label: Label, pixel_mm: tuple[float, float]) -> UInt8[NDArray, "T Z S S"]:
    """A label on the grid of the study, its nearest pixels; 0 outside."""
    extent = jnp.asarray(label.shape[2:], jnp.float32)
    at = network_to_native(GRID, Geometry(extent, jnp.asarray(pixel_mm, jnp.float32)), jnp.eye(2), jnp.zeros(2))
    flat = label.reshape(*label.shape[:2], -1)
    numbers = jnp.arange(1, flat.shape[-1] + 1).reshape(label.shape[2:])
    return np.pad(flat, ((0, 0), (0, 0), (1, 0)))[..., np.asarray(sample_nearest(numbers, at, extent))]


def _share(caught: NDArray) -> list[float]:
    """[share, low, high] of the patients, with Wilson's 95 % interval."""
    interval = binomtest(int(caught.sum()), len(caught)).proportion_ci(method="wilson")
    return [float(caught.mean()), float(interval.low), float(interval.high)]


def _auc(spoiled: NDArray, drawn: NDArray) -> float:
    score = -np.concatenate([spoiled, drawn])
    bad = np.arange(len(score)) < len(spoiled)
    return float(weighted_auc(score, bad, ~bad, np.ones((1, len(score))))[0])


def markdown(found: dict[str, Any]) -> str:
    """The table with what it rests on."""
    lines = [
        f"Labels of {found['patients']} patients, each spoiled in every way; share of the patients with at least one "
        "remark of the integrity check; with a score of the rules (no softmax) below the 5 % quantile of the labels as "
        "drawn; with either [95 %, Wilson]; and the AUC of that score between spoiled and drawn.",
        "",
        "| label | integrity check | rules | either | AUC of the rules |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, of in found["faults"].items():
        auc = "" if of["rules_auc"] is None else f"{of['rules_auc']:.2f}"
        shares = (f"{x:.2f} [{low:.2f}, {high:.2f}]" for x, low, high in (of["check"], of["rules"], of["either"]))
        lines.append(f"| {name} | {' | '.join(shares)} | {auc} |")
    return "\n".join(lines) + "\n"
