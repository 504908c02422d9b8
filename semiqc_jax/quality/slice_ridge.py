"""A learned score per slice: the Dice that a slice is expected to have, by ridge regression on its features.

Each feature enters twice, standardised: as it is and where it exceeds its mean, so that a slope may differ on the two
sides. Cross-fitted by subject (`quality.folds`): nobody is judged by a model that saw them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from semiqc_jax.anatomy import TASKS
from semiqc_jax.errors import DataError
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.folds import Folds, folds_of
from semiqc_jax.quality.slice_features import predicted_slices, slice_feature_names, slice_features
from semiqc_jax.segmentation.evidence import Evidence

PENALTY = 30.0  # in slices: as many with all features at their mean
CLIP = 4.0  # standardised features are cut here: no extrapolation


class Ridge(NamedTuple):
    """The numbers of the K + 1 models: F features, of which each enters twice."""

    centre: Float[Array, " F"]
    scale: Float[Array, " F"]
    weights: Float[Array, "K+1 2*F"]  # the last model is fitted to all
    bias: Float[Array, " K+1"]


@dataclass(frozen=True, eq=False)
class SliceRegressor:
    """A fitted regressor of one task, whom it learned from, and who was left out of which model."""

    checks: Checks  # those of its task: it looks at their slice features
    ridge: Ridge
    folds: Folds
    learned_from: str  # whose segmentations; named wherever a score is shown


def _inputs(values: Float[Array, "... F"], centre: Array, scale: Array) -> Float[Array, "... 2*F"]:
    standardised = jnp.clip((values - centre) / scale, -CLIP, CLIP)
    return jnp.concatenate([standardised, jnp.maximum(standardised, 0)], -1)


def fit_slices(
    values: Float[NDArray, "M F"], dice: Float[NDArray, " M"], subject: Sequence[str], learned_from: str, checks: Checks
) -> SliceRegressor:
    """Fit the K + 1 models to M slices.

    Args:
        values: `slice_features` of each slice.
        dice: its true Dice, mean over the classes that are drawn or found on it.
        subject: whose it is.
        learned_from: whose segmentations these are, in words.
        checks: those of the task.

    Raises:
        ValueError: slices of fewer than two subjects.
    """
    folds, fold = folds_of(subject)
    centre, spread = values.mean(0), values.std(0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    inputs = np.asarray(_inputs(jnp.asarray(values), jnp.asarray(centre), jnp.asarray(scale)), np.float64)
    fits = [_solve(inputs[fold != k], dice[fold != k]) for k in range(folds.count)] + [_solve(inputs, dice)]
    numbers = (centre, scale, np.stack([w for w, _ in fits]), np.array([b for _, b in fits]))
    ridge = Ridge(*(jnp.asarray(x, jnp.float32) for x in numbers))
    return SliceRegressor(checks, ridge, folds, learned_from)


def _solve(inputs: Float[NDArray, "M G"], dice: Float[NDArray, " M"]) -> tuple[NDArray, float]:
    """Weights and bias of ridge regression; the bias is not penalised."""
    middle, mean = inputs.mean(0), float(dice.mean())
    centred = inputs - middle
    gram = centred.T @ centred + PENALTY * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (dice - mean))
    return weights, mean - float(middle @ weights)


@jax.jit
def _dice(values: Float[Array, "... F"], ridge: Ridge, weights: Array, bias: Array) -> Float[Array, ...]:
    inputs = _inputs(values, ridge.centre, ridge.scale)
    return jnp.clip((inputs * weights).sum(-1) + bias, 0.0, 1.0)


def predicted_dice(
    values: Float[NDArray, "M F"], regressor: SliceRegressor, subjects: Sequence[str]
) -> Float[NDArray, " M"]:
    """Expected Dice of M slices in [0, 1], from the features of each, by a model that did not see its subject."""
    ridge, model = regressor.ridge, regressor.folds.models(subjects)
    return np.asarray(_dice(jnp.asarray(values), ridge, ridge.weights[model], ridge.bias[model]))


def expected_slice_dice(
    evidence: Evidence, ridge: Ridge, model: Int[Array | np.ndarray, " N"], checks: Checks
) -> Float[Array, "N T Z"]:
    """Expected Dice of every slice, in [0, 1], each subject's by its model; NaN where nothing is predicted.

    A slice whose features cannot be measured has 0, the worst.
    """
    weights, bias = ridge.weights[model][:, None, None], ridge.bias[model][:, None, None]
    dice = _dice(slice_features(evidence, checks), ridge, weights, bias)
    return jnp.where(predicted_slices(evidence), jnp.nan_to_num(dice), jnp.nan)


def slice_regressor_arrays(regressor: SliceRegressor) -> dict[str, NDArray]:
    """The regressor as plain arrays for `numpy.savez`; nothing needs pickle."""
    checks = regressor.checks
    return {
        **{name: np.asarray(x) for name, x in regressor.ridge._asdict().items()},
        **regressor.folds.arrays(),
        "features": np.array(slice_feature_names(checks)),
        "learned_from": np.array(regressor.learned_from),
        "task": np.array(checks.task),
        "classes": np.array(TASKS[checks.task].classes),
    }


def slice_regressor_from(arrays: Mapping[str, NDArray], checks: Checks, where: object) -> SliceRegressor:
    """The regressor that `slice_regressor_arrays` took apart (an opened .npz will do).

    Args:
        checks: those of the task that it is to judge.
        where: the file that an error names.

    Raises:
        DataError: it is no regressor of slices, judges another task, or looks at other classes or features.
    """
    mend = "fit one anew, launch/study_slices.py"
    if not {*Ridge._fields, "subjects", "fold", "features", "learned_from", "task", "classes"} <= {*arrays}:
        raise DataError("this is no regressor of slices", where, mend)
    task, wanted = str(arrays["task"]), {"classes": TASKS[checks.task].classes, "features": slice_feature_names(checks)}
    if task != checks.task:
        raise DataError(f"the regressor of slices is for the task '{task}', not '{checks.task}'", where, mend)
    for what, names in wanted.items():
        if tuple(str(x) for x in arrays[what]) != names:
            raise DataError(f"the regressor of slices looks at other {what} than this version", where, mend)
    ridge = Ridge(*(jnp.asarray(arrays[name]) for name in Ridge._fields))
    folds = Folds.of_arrays(arrays, len(ridge.bias))
    return SliceRegressor(checks, ridge, folds, str(arrays["learned_from"]))
