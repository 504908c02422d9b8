"""The verdict on new scans: rows of `quality.csv`, by the run's judge and its calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from semiqc_jax.anatomy import Task
from semiqc_jax.quality.calibration import UNCALIBRATED, Calibration, probability_good, verdicts
from semiqc_jax.quality.curve_chance import CurveJudge
from semiqc_jax.quality.learned import Classifier
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.judge import Judge, with_curves
from semiqc_jax.rounds.new_scans import Scan
from semiqc_jax.rounds.trained_judge import CLASSIFIER, judge_by, read_classifier
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.settings import QualitySettings

JUDGED_AT_ONCE = 256
BY_DEFAULT = QualitySettings()


def judge_scans(
    scans: Sequence[Scan],
    task: Task,
    quality: QualitySettings = BY_DEFAULT,
    calibration: Calibration | None = None,
    classifier: Classifier | None = None,
    curves: CurveJudge | None = None,
) -> list[dict[str, Any]]:
    """Rows of `quality.csv`, in the order of the scans; without a calibration no verdict is above `review`.

    Judged as `judge_by` says, a scan of a subject from which the classifier learned by a machine that did not; a judge
    of curves judges beside that. `probability` is P(Dice >= target), known where the calibration promises something. A
    scan of one frame is judged by rules, and never above `review`: calibration and classifier are of cycles.
    """
    judged: dict[str, dict[str, Any]] = {}
    checks = checks_of(task.name)
    by_rules = judge_by(checks, quality, None)
    promised = calibration if calibration and calibration.name != UNCALIBRATED else None
    for single in (True, False):
        group = [scan for scan in scans if (len(scan.curves) == 1) == single]
        of_masks = by_rules if single else judge_by(checks, quality, classifier)
        judge, trusted = with_curves(of_masks, curves), None if single else promised
        for at in range(0, len(group), JUDGED_AT_ONCE):
            for row in _rows(group[at : at + JUDGED_AT_ONCE], judge, trusted):
                judged[row["subject_id"]] = row
    return [judged[scan.subject_id] for scan in scans]


def run_classifier(run: Path, quality: QualitySettings, task: Task) -> Classifier | None:
    """The classifier that a run judged by; None where it judged by rules or had no round to judge.

    Raises:
        DataError: it is damaged, of another task or of an older version.
    """
    path = run / CLASSIFIER
    if quality.name == "rules" or not path.is_file():
        return None
    return read_classifier(path, checks_of(task.name), "train the run anew")


def _rows(scans: Sequence[Scan], judge: Judge, calibration: Calibration | None) -> list[dict[str, Any]]:
    shapes = [s.statistics for s in scans], [s.extent_mm for s in scans], [s.time_s for s in scans]
    quality = jax.device_get(judge.assess(assemble_evidence(*shapes), [s.subject_id for s in scans]))
    score = np.asarray(quality.score, np.float64)
    probability = probability_good(score, calibration) if calibration else np.full(len(scans), np.nan)
    return [
        {
            "subject_id": scan.subject_id,
            "score": float(score[n]),
            "verdict": verdict,
            "calibration": calibration.name if calibration else UNCALIBRATED,
            "reasons": "; ".join(judge.reasons(jax.tree.map(lambda x, n=n: x[n], quality))),
            "probability": float(probability[n]),
        }
        for n, (scan, verdict) in enumerate(zip(scans, verdicts(score, calibration), strict=True))
    ]
