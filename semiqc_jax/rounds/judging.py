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
from semiqc_jax.quality.rules import configure_rules
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.quality.training_set import corrupted_training_set
from semiqc_jax.rounds.curve_file import keep_curve_judge, kept_curve_judge
from semiqc_jax.rounds.judge import Judge, with_curves
from semiqc_jax.rounds.slice_judge import slice_judge_for
from semiqc_jax.rounds.trained_judge import (
    CLASSIFIER,
    check_taught_by,
    given_classifier,
    judge_by,
    read_classifier,
    write_classifier,
)
from semiqc_jax.settings import Settings

SUBJECTS = 24
COPIES = 480
PHANTOM_SEED = 9001  # no demo cohort uses it: the judge never learns from subjects that it judges
FRAMES = 8


def check_judges(settings: Settings, cohort: Cohort, folder: Path) -> None:
    """Raise now what a round of the run in `folder` would raise when it comes to judge.

    Raises:
        ConfigError, DataError: see `judge_for`; the regressor of slices learned from test subjects or cannot be read.
    """
    quality, checks = settings.quality, checks_of(cohort.task.name)
    configure_rules(checks, quality.off, quality.use_confidence, quality.rule_limits)
    if quality.classifier and not (folder / CLASSIFIER).exists():
        given_classifier(settings, checks, cohort.splits)
    if settings.select_by != "subject":
        taught_by = slice_judge_for(settings, cohort.task.name).taught_by
        check_taught_by(taught_by, cohort.splits, quality.slice_regressor, "config.quality.slice_regressor")


def judge_for(settings: Settings, cohort: Cohort, folder: Path) -> Judge:
    """The judge of the cohort's task that the settings name.

    Raises:
        ConfigError: the rules that are switched off are not those of the task, or see `given_classifier` and
            `keep_curve_judge`.
        DataError: the judge in `folder`, or the one that is named, is of another task.
    """
    keep_curve_judge(settings.quality, cohort, folder)
    return with_curves(_judge_of_masks(settings, cohort, folder), kept_curve_judge(settings.quality, folder))


def _judge_of_masks(settings: Settings, cohort: Cohort, folder: Path) -> Judge:
    quality, checks = settings.quality, checks_of(cohort.task.name)
    path = folder / CLASSIFIER
    if quality.name == "rules":
        return judge_by(checks, quality, None)
    if not path.exists():
        if quality.classifier:
            write_classifier(path, given_classifier(settings, checks, cohort.splits))
        else:
            grid = Grid(settings.grid.size, settings.grid.pixel_mm)
            two_phases = max(s.n_frames for s in cohort.subjects) < 3
            write_classifier(path, _learn(checks, grid, two_phases, quality.target_dice))
    return judge_by(checks, quality, read_classifier(path, checks, "delete the file: the judge is then made anew"))


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
