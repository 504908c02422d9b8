"""A run's calibration: its last network and its checks on labelled subjects that took no part in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semiqc_jax.datasets.cohort import Cohort, Subject, read_truth
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.errors import ConfigError
from semiqc_jax.evaluation.overlap import mean_dice
from semiqc_jax.files import read_json, write_json
from semiqc_jax.pipeline import Segmentation, Segmenter, cohort_cines, segment_studies
from semiqc_jax.progress import progress
from semiqc_jax.quality.calibration import Calibration, calibrate, from_json, to_json
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.curve_file import kept_curve_judge
from semiqc_jax.rounds.judge import with_curves
from semiqc_jax.rounds.new_scans import Scan
from semiqc_jax.rounds.scan_quality import judge_scans, run_classifier
from semiqc_jax.rounds.trained_judge import judge_by
from semiqc_jax.settings import QualitySettings, Settings, load_settings, with_defaults

FILE = Path("quality", "calibration.json")


def calibration_subjects(settings: Settings, cohort: Cohort) -> list[int]:
    """Whose labels calibrate the run: none, or the labelled ones of the validation split.

    Raises:
        ConfigError: they are asked for and there are none.
    """
    if settings.quality.calibrate == "none":
        return []
    candidates = map(cohort.index, cohort.splits.get(settings.quality.calibrate, ()))
    members = [i for i in candidates if cohort.subjects[i].has_label]
    if not members:
        what = f"the split '{settings.quality.calibrate}' has no labelled subject"
        raise ConfigError(what, "config.quality.calibrate", "name a split that has, or none")
    return members


def label_budget(settings: Settings, cohort: Cohort) -> dict[str, int]:
    """How many subjects' labels a run uses, and for what."""
    return {"training": settings.labelled, "calibration": len(calibration_subjects(settings, cohort))}


def calibrate_run(folder: Path, settings: Settings, cohort: Cohort, segmenter: Segmenter, sha256: str) -> None:
    """Write the run's `quality/calibration.json` unless it is there, made with the model of this digest.

    Scores are those that `segment` gives to new scans.
    """
    members, path = calibration_subjects(settings, cohort), folder / FILE
    if not members or (path.is_file() and read_json(path).get("model_sha256") == sha256):
        return
    scans, dice = [], []
    with progress("calibrating", len(members), "subjects") as advance:
        for i, found in zip(members, segment_studies(segmenter, cohort_cines(cohort, members)), strict=True):
            scans.append(_scan(cohort.subjects[i], found))
            dice.append(mean_dice(found.label, *read_truth(cohort, i)))
            advance()
    quality = settings.quality
    classifier, curves = run_classifier(folder, quality, cohort.task), kept_curve_judge(quality, folder)
    judge = with_curves(judge_by(checks_of(cohort.task.name), quality, classifier), curves).name
    rows = judge_scans(scans, cohort.task, quality, classifier=classifier, curves=curves)
    scores = [row["score"] for row in rows]
    found_out = calibrate(scores, dice, quality.target_dice, quality.calibrate, judge, quality.promise)
    cases = [
        {"subject_id": scan.subject_id, "score": score, "dice": true, "group": cohort.subjects[i].group}
        for i, scan, score, true in zip(members, scans, scores, dice, strict=True)
    ]
    write_json(path, {**to_json(found_out), "model_sha256": sha256, "cases": cases})


def _scan(subject: Subject, found: Segmentation) -> Scan:
    """A subject of the cohort as a new scan; its curves are not read by the checks, but their number of frames is."""
    position = np.asarray(subject.slice_position_mm)
    extent = np.asarray(slice_extent_mm(position, subject.spacing_mm[0]), np.float32)
    times = None if subject.frame_time_s is None else np.asarray(subject.frame_time_s)
    return Scan(subject.subject_id, found.statistics, extent, np.zeros((subject.n_frames, 0)), times, None)


def stored_calibration(run: Path, sha256: str) -> Calibration | None:
    """The calibration of a run for the model of this digest; None where there is none.

    Raises:
        DataError: the file is of another version.
    """
    path = run / FILE
    values = read_json(path) if path.is_file() else {}
    return from_json(values, path) if values.get("model_sha256") == sha256 else None


def quality_settings(run: Path) -> QualitySettings:
    """How a run judges; the default where it does not say."""
    path = run / "config.json"
    return load_settings(with_defaults(read_json(path))).quality if path.is_file() else QualitySettings()
