"""Which judge a run has; the learned one is fitted once, before the first round, and kept with the run."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np

from semiqc_jax.anatomy import TASKS
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.phantom import parse_spec, phantom_subject
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.inputs.grid import Grid, label_on_grid
from semiqc_jax.progress import progress
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.features import features
from semiqc_jax.quality.learned import Classifier, fit
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.quality.training_set import corrupted_training_set
from semiqc_jax.rounds.judge import Judge, rules_judge
from semiqc_jax.rounds.trained_judge import given_classifier, learned_judge, read_classifier, write_classifier
from semiqc_jax.settings import Settings

SUBJECTS = 24
COPIES = 480
PHANTOM_SEED = 9001  # no demo cohort uses it: the judge never learns from subjects that it judges
FRAMES = 8


def judge_for(settings: Settings, cohort: Cohort, folder: Path) -> Judge:
    """The judge of the cohort's task that the settings name.

    Raises:
        ConfigError: the rules that are switched off are not those of the task, or see `given_classifier`.
        DataError: the judge in `folder`, or the one that is named, is of another task.
    """
    quality, checks = settings.quality, checks_of(cohort.task.name)
    if quality.name == "rules":
        return rules_judge(checks, quality.use_confidence, quality.off, quality.rule_limits)
    path = folder / "quality" / "classifier.npz"
    if not path.exists():
        if quality.classifier:
            judged = {i for name, ids in cohort.splits.items() if name != "test" for i in ids}
            write_classifier(path, given_classifier(quality, checks, judged, settings.flip_average))
        else:
            grid = Grid(settings.grid.size, settings.grid.pixel_mm)
            two_phases = max(s.n_frames for s in cohort.subjects) < 3
            write_classifier(path, _learn(checks, grid, two_phases, quality.target_dice))
    classifier = read_classifier(path, checks, "delete the file: the judge is then fitted anew")
    return learned_judge(classifier, quality.use_confidence)


def _learn(checks: Checks, grid: Grid, two_phases: bool, target: float) -> Classifier:
    """Fit to phantoms of the task whose masks were broken on purpose: no label of the cohort is used."""
    task, fov_mm = TASKS[checks.task], grid.size * grid.pixel_mm
    wanted = f"subjects={SUBJECTS},seed={PHANTOM_SEED},size={grid.size},fov={fov_mm},frames={FRAMES}"
    spec = parse_spec(wanted, task)
    labels, extents = [], []
    with progress("masks for the learned judge", SUBJECTS, "subjects") as advance:
        for index in range(SUBJECTS):
            study, truth = phantom_subject(spec, index)
            label = study.label if study.label is not None else np.zeros(study.shape, np.uint8)
            frames = [truth.ed_frame, truth.es_frame] if two_phases else list(range(FRAMES))
            labels.append(label_on_grid(label[frames], study.spacing_mm[1:], grid))
            extents.append(np.asarray(slice_extent_mm(study.slice_position_mm, study.spacing_mm[0])))
            advance()
    key = jax.random.key(PHANTOM_SEED)
    evidence, dice = corrupted_training_set(key, labels, grid.pixel_mm, extents, COPIES, task)
    source = f"{SUBJECTS} phantom subjects, {COPIES} masks broken on purpose"
    return fit(features(evidence, checks), dice, target, source, checks, np.arange(COPIES) % SUBJECTS)
