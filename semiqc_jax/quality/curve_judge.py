"""A judge of one network's LV curves: how large are the errors of ejection fraction and end-diastolic volume?

The target is the severity, log2 of an error over its limit, the larger of the two: 0 is at the limit, 1 is twice as
far off. A support vector regression on `cycle_curve_features` is fitted by scikit-learn and evaluated in JAX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike, NDArray

from semiqc_jax.quality.blocks import by_blocks
from semiqc_jax.quality.learned import standardise

EF_LIMIT_POINTS, EDV_LIMIT = 10.0, 0.2  # percentage points; share of the reference
WORST, BEST = 2.0, -2.0  # severities are cut here: four times the limit, a quarter of it
MIN_FRAMES = 8  # with fewer there is no cycle to judge
SMALLEST_EDV_ML, LARGEST_EDV_ML = 1.0, 1000.0  # outside there is no ventricle, or no scale
SVM_C, SVM_GAMMA, SVM_EPSILON = 0.3, 0.003, 0.2


class CurveMachine(NamedTuple):
    """The numbers of a fitted judge: F features, S support vectors."""

    centre: Float[Array, " F"]
    scale: Float[Array, " F"]
    vectors: Float[Array, "S F"]
    weights: Float[Array, " S"]
    bias: Float[Array, ""]


def severity_of(ef_error_points: ArrayLike, edv_error: ArrayLike) -> NDArray:
    """log2 of the larger of |EF error| / 10 points and |EDV error| / 20 %, cut to [-2, 2]; above 0 is bad."""
    largest = np.maximum(np.abs(ef_error_points) / EF_LIMIT_POINTS, np.abs(edv_error) / EDV_LIMIT)
    return np.clip(np.log2(np.maximum(largest, 2.0**BEST)), BEST, WORST)


def unusable(
    lv_ml: Float[Array, "N T"], myo_ml: Float[Array, "N T"], frame_mask: Bool[Array, "N T"]
) -> Bool[Array, " N"]:
    """Curves that no judge needs to see: fewer than 8 frames, a value that is not finite, an EDV outside 1-1000 ml."""
    finite = jnp.all(jnp.isfinite(lv_ml) & jnp.isfinite(myo_ml) | ~frame_mask, -1)
    edv = jnp.max(jnp.where(frame_mask, lv_ml, -jnp.inf), -1, initial=-jnp.inf)
    possible = (edv >= SMALLEST_EDV_ML) & (edv <= LARGEST_EDV_ML)
    return ~finite | ~possible | (frame_mask.sum(-1) < MIN_FRAMES)


def feature_matrix(features: Mapping[str, Float[Array, " N"]]) -> Float[Array, "N F"]:
    """Features as columns, in the order of their names."""
    return jnp.stack([features[name] for name in sorted(features)], -1)


def spread(values: ArrayLike) -> tuple[NDArray, NDArray]:
    """(centre, scale) of each column for `standardise`: the median and the interquartile range, [F] each."""
    table = np.asarray(values, np.float64)
    low, centre, high = np.quantile(table, [0.25, 0.5, 0.75], axis=0)
    return centre, np.maximum(high - low, 0.1 * table.std(0) + 1e-6)


def fit_curve_machine(values: ArrayLike, severity: ArrayLike) -> CurveMachine:
    """Fit a judge to features [N, F] of usable curves and their severities [N]. scikit-learn is needed here alone.

    Raises:
        ValueError: fewer than two curves.
    """
    from sklearn.svm import SVR

    if len(np.asarray(severity)) < 2:
        raise ValueError("a judge is fitted to at least two curves")
    centre, scale = spread(values)
    inputs = np.asarray(standardise(*(jnp.asarray(x, jnp.float32) for x in (values, centre, scale))))
    svm = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON).fit(inputs, np.asarray(severity))
    numbers = (centre, scale, svm.support_vectors_, svm.dual_coef_[0], svm.intercept_[0])
    return CurveMachine(*(jnp.asarray(x, jnp.float32) for x in numbers))


@jax.jit
def expected_severity(values: Float[Array, "N F"], machine: CurveMachine) -> Float[Array, " N"]:
    """The severity that the machine expects of features; the larger, the worse."""
    lengths = jnp.sum(machine.vectors**2, -1)

    def block(values: Array) -> Array:
        inputs = standardise(values, machine.centre, machine.scale)
        squares = jnp.sum(inputs**2, -1)[:, None] + lengths
        distance = jnp.maximum(squares - 2 * inputs @ machine.vectors.T, 0.0)
        return jnp.exp(-SVM_GAMMA * distance) @ machine.weights + machine.bias

    return by_blocks(block, values)
