"""Which judge a run has; the learned one is fitted once, before the first round, and kept with the run."""

from __future__ import annotations

import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.phantom import PhantomSpec, phantom_subject
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.files import write_bytes
from semiqc_jax.inputs.grid import Geometry, Grid, network_to_native, sample_nearest
from semiqc_jax.progress import progress
from semiqc_jax.quality.features import features
from semiqc_jax.quality.learned import (
    Classifier,
    assess_learned,
    fit,
    from_arrays,
    learned_reasons,
    to_arrays,
)
from semiqc_jax.quality.training_set import corrupted_training_set
from semiqc_jax.rounds.judge import Judge, rules_judge
from semiqc_jax.settings import Settings

HEARTS = 24
COPIES = 480
PHANTOM_SEED = 9001  # no demo cohort uses it: the judge never learns from subjects that it judges
FRAMES = 10


def judge_for(settings: Settings, cohort: Cohort, folder: Path) -> Judge:
    """The judge that the settings name."""
    quality = settings.quality
    if quality.name == "rules":
        return rules_judge(quality.use_confidence, quality.off)
    path = folder / "quality" / "classifier.npz"
    if not path.exists():
        grid = Grid(settings.grid.size, settings.grid.pixel_mm)
        two_phases = max(s.n_frames for s in cohort.subjects) < 3
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **to_arrays(_learn(grid, two_phases, quality.target_dice)))  # type: ignore[arg-type]
        write_bytes(path, buffer.getvalue())
    with np.load(path, allow_pickle=False) as data:
        classifier = from_arrays(data)
    return Judge(
        "quality_learned",
        lambda evidence: assess_learned(evidence, classifier, quality.use_confidence),
        lambda row: learned_reasons(row, classifier),
        classifier.learned_from,
    )


def _learn(grid: Grid, two_phases: bool, target: float) -> Classifier:
    """Fit to phantom hearts whose masks were broken on purpose: no label of the cohort is used."""
    spec = PhantomSpec(
        n_subjects=HEARTS,
        seed=PHANTOM_SEED,
        size=grid.size,
        fov_mm=grid.size * grid.pixel_mm,
        n_frames=FRAMES,
    )
    labels, extents = [], []
    with progress("masks for the learned judge", HEARTS, "hearts") as advance:
        for index in range(HEARTS):
            study, truth = phantom_subject(spec, index)
            label = study.label if study.label is not None else np.zeros(study.shape, np.uint8)
            frames = [truth.ed_frame, truth.es_frame] if two_phases else list(range(FRAMES))
            labels.append(_on_grid(label[frames], study.spacing_mm[1:], grid))
            extents.append(np.asarray(slice_extent_mm(study.slice_position_mm, study.spacing_mm[0])))
            advance()
    evidence, dice = corrupted_training_set(
        jax.random.key(PHANTOM_SEED), labels, grid.pixel_mm, extents, COPIES
    )
    source = f"{HEARTS} phantom hearts, {COPIES} masks broken on purpose"
    return fit(features(evidence), dice, target, source, np.arange(COPIES) % HEARTS)


def _on_grid(label: NDArray[np.uint8], pixel_mm: tuple[float, float], grid: Grid) -> NDArray[np.uint8]:
    """A label [T, Z, Y, X] on the network's grid."""
    extent = jnp.asarray(label.shape[2:], jnp.float32)
    geometry = Geometry(extent, jnp.asarray(pixel_mm, jnp.float32))
    at = network_to_native(grid, geometry, jnp.eye(2), jnp.zeros(2))
    flat = jnp.asarray(label.reshape(-1, *label.shape[2:]))
    sampled = jax.vmap(lambda one: sample_nearest(one, at, extent))(flat)
    return np.asarray(sampled).reshape(*label.shape[:2], grid.size, grid.size)
