"""The judge of slices of a run: rules, or a regressor that was fitted to segmentations of known quality."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.errors import DataError
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.slice_ridge import SliceRegressor, expected_slice_dice, slice_regressor_from
from semiqc_jax.quality.slice_score import slice_rule_scores
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.settings import Settings


@dataclass(frozen=True)
class SliceJudge:
    """How the slices of a cohort's segmentations are judged, and on what that rests."""

    name: str  # slice_rules or slice_learned
    scores: Callable[[Evidence, Sequence[str]], Float[Array, "N T Z"]]  # of the named subjects; NaN: nothing predicted
    learned_from: str | None = None
    taught_by: frozenset[str] = frozenset()  # ids of the real subjects whose labels it learned from


def slice_judge(checks: Checks, use_confidence: bool = True, regressor: str = "") -> SliceJudge:
    """The judge of a task's slices: by the rules, or by the regressor of a file.

    Raises:
        DataError: the file cannot be read, or is no regressor of this task's slices.
    """
    if not regressor:
        score = partial(slice_rule_scores, checks=checks, use_confidence=use_confidence)
        return SliceJudge("slice_rules", lambda evidence, _: score(evidence))
    learned = read_slice_regressor(Path(regressor), checks)
    return SliceJudge(
        "slice_learned",
        lambda evidence, ids: expected_slice_dice(evidence, learned.ridge, learned.folds.models(ids), checks),
        learned.learned_from,
        frozenset(learned.folds.of),
    )


def slice_judge_for(settings: Settings, task_name: str) -> SliceJudge:
    """The judge of slices that the settings name, for a task.

    Raises:
        DataError: see `slice_judge`.
    """
    quality = settings.quality
    return slice_judge(checks_of(task_name), quality.use_confidence, quality.slice_regressor)


def read_slice_regressor(path: Path, checks: Checks) -> SliceRegressor:
    """The regressor that launch/study_slices.py wrote.

    Raises:
        DataError: see `slice_judge`.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return slice_regressor_from(data, checks, path)
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError("it cannot be read", path, "name the slice_regressor.npz of launch/study_slices.py") from error
