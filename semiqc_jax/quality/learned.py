"""A learned judge: a support vector machine on downstream features, fitted by scikit-learn, evaluated in JAX.

It predicts the Dice that a segmentation would have, and from that the probability that the Dice reaches a
target (Platt scaling). It sees no softmax: it learns from masks broken on purpose, which have none. The
network's confidence joins afterwards by a fixed map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from semiqc_jax.anatomy import TASKS
from semiqc_jax.errors import DataError
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.features import features
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence

SVM_C, SVM_GAMMA, SVM_EPSILON = 1.0, 0.01, 0.02
FOLDS = 5
CLIP = 4.0  # standardised features are cut here: no extrapolation
CONFIDENCE_MIDDLE, CONFIDENCE_SOFTNESS = 0.88, 0.02  # sigmoid((confidence - middle) / softness)


class Machine(NamedTuple):
    """The numbers of a fitted classifier: F features, S support vectors."""

    columns: Int[Array, " F"]  # which of the task's features
    centre: Float[Array, " F"]
    scale: Float[Array, " F"]
    vectors: Float[Array, "S F"]
    weights: Float[Array, " S"]
    bias: Float[Array, ""]
    slope: Float[Array, ""]  # Platt scaling of the predicted Dice
    offset: Float[Array, ""]


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted judge of one task and what it rests on."""

    checks: Checks  # those of its task: it looks at their features
    machine: Machine
    target: float  # the Dice that counts as good
    learned_from: str  # whose masks; named wherever a score is shown


def standardise(
    values: Float[Array, "... F"], centre: Float[Array, " F"], scale: Float[Array, " F"]
) -> Float[Array, "... F"]:
    """arcsinh of the distance from the centre in scales: linear near it, logarithmic in the long tails."""
    return jnp.clip(jnp.arcsinh((values - centre) / scale), -CLIP, CLIP)


def fit(
    values: NDArray | Array,
    dice: NDArray | Array,
    target: float,
    learned_from: str,
    checks: Checks,
    groups: Sequence[int] | NDArray | None = None,
) -> Classifier:
    """Fit a judge. scikit-learn is needed here alone.

    Args:
        values: [N, F] of `features`, all columns; features that need a softmax or an image or never vary are left out.
        dice: [N] true Dice of the N segmentations.
        target: the Dice that counts as good.
        learned_from: whose masks these are, in words.
        checks: those of the task; `values` are their features.
        groups: [N] the subject that each came from, by default one each. Platt scaling is fitted to
            predictions for subjects that the machine has not seen.

    Raises:
        ValueError: fewer than two subjects.
    """
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.svm import SVR

    values, dice = np.asarray(values, np.float64), np.asarray(dice, np.float64)
    groups = np.arange(len(dice)) if groups is None else np.asarray(groups)
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise ValueError("a judge is fitted to segmentations of at least two subjects")
    columns = np.array([i for i in checks.learnable if np.ptp(values[:, i]) > 1e-6])
    low, centre, high = np.quantile(values[:, columns], [0.25, 0.5, 0.75], axis=0)
    spread = values[:, columns].std(0)
    scale = np.maximum(high - low, 0.1 * spread)
    inputs = np.asarray(standardise(*map(jnp.asarray, (values[:, columns], centre, scale))), np.float64)

    svm = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON)
    folds = GroupKFold(min(FOLDS, n_groups))
    unseen = cross_val_predict(svm, inputs, dice, cv=folds, groups=groups)
    slope, offset = _platt(unseen, dice >= target, target)
    svm.fit(inputs, dice)
    numbers = (centre, scale, svm.support_vectors_, svm.dual_coef_[0], svm.intercept_[0], slope, offset)
    machine = Machine(jnp.asarray(columns, jnp.int32), *(jnp.asarray(x, jnp.float32) for x in numbers))
    return Classifier(checks, machine, float(target), learned_from)


def _platt(predicted: NDArray, good: NDArray, target: float) -> tuple[float, float]:
    """Slope and offset of P(good) = sigmoid(slope x predicted + offset); it rises with the prediction."""
    from sklearn.linear_model import LogisticRegression

    if good.all() or not good.any():  # nothing to fit: a step of 0.05 around the target
        return 20.0, -20.0 * target
    width = 0.1
    model = LogisticRegression().fit((predicted[:, None] - target) / width, good)
    slope = max(float(model.coef_[0, 0]), 1e-3) / width
    return slope, float(model.intercept_[0]) - slope * target


def expected_dice(values: Float[Array, "N F"], machine: Machine) -> Float[Array, " N"]:
    """The machine's prediction from all `features`; not cut to [0, 1]."""
    inputs = standardise(values[:, machine.columns], machine.centre, machine.scale)
    square = jnp.sum((inputs[:, None] - machine.vectors) ** 2, -1)
    return jnp.exp(-SVM_GAMMA * square) @ machine.weights + machine.bias


@partial(jax.jit, static_argnames="checks")
def _assess(evidence: Evidence, machine: Machine, trust: Float[Array, ""], checks: Checks) -> Quality:
    values = features(evidence, checks)
    dice = expected_dice(values, machine)
    probability = jax.nn.sigmoid(machine.slope * dice + machine.offset)
    confidence = values[:, checks.index["confidence"]]
    confident = jax.nn.sigmoid((confidence - CONFIDENCE_MIDDLE) / CONFIDENCE_SOFTNESS)
    return Quality(probability ** (1 - trust) * confident**trust, (probability < 0.5)[:, None], dice[:, None])


def assess_learned(evidence: Evidence, classifier: Classifier, use_confidence: bool = True) -> Quality:
    """Judge N subjects by the classifier; R = 1, the value is the expected Dice.

    The score is P(Dice >= target); with `use_confidence` its geometric mean with
    sigmoid((confidence - 0.88) / 0.02).
    The flag says that P(Dice >= target) < 1/2, whatever the confidence.
    """
    trust = jnp.float32(0.5 if use_confidence else 0.0)
    return _assess(evidence, classifier.machine, trust, classifier.checks)


def learned_reasons(row: Quality, classifier: Classifier) -> list[str]:
    """The sentence for a subject that failed. `row` is a `Quality` without N."""
    if not bool(np.asarray(row.flags)[0]):
        return []
    dice = float(np.clip(np.asarray(row.values)[0], 0, 1))
    source = classifier.learned_from
    return [f"Expected Dice is {dice:.2f}, wanted {classifier.target:.2f} (learned from {source})"]


def to_arrays(classifier: Classifier) -> dict[str, NDArray]:
    """The classifier as plain arrays for `numpy.savez`; texts are unicode arrays, nothing needs pickle."""
    arrays = {name: np.asarray(x) for name, x in classifier.machine._asdict().items()}
    checks = classifier.checks
    texts = {
        "features": np.array([checks.features[i].name for i in arrays.pop("columns")]),
        "learned_from": np.array(classifier.learned_from),
        "task": np.array(checks.task),
        "classes": np.array(TASKS[checks.task].classes),
    }
    return {**arrays, **texts, "target": np.array(classifier.target)}


def from_arrays(arrays: Mapping[str, NDArray], checks: Checks, where: object = "classifier") -> Classifier:
    """The classifier that `to_arrays` took apart (an opened .npz will do). One without a task is of the short axis.

    Args:
        checks: those of the task that it is to judge.
        where: the file that an error names.

    Raises:
        DataError: it judges another task, or uses classes or features that this version does not have.
    """
    task = str(arrays["task"]) if "task" in arrays else "short_axis"
    mend = "delete the file: the judge is then fitted anew"
    if task != checks.task:
        raise DataError(f"the judge is for the task '{task}', not '{checks.task}'", where, mend)
    classes = TASKS[task].classes
    stored = tuple(str(name) for name in arrays["classes"]) if "classes" in arrays else classes
    if stored != classes:
        raise DataError(f"the judge knows the classes {', '.join(stored)}, not {', '.join(classes)}", where, mend)
    names = [str(name) for name in arrays["features"]]
    unknown = sorted({*names} - {*checks.index})
    if unknown:
        raise DataError(f"the judge uses unknown features {', '.join(unknown)}", where, mend)
    columns = jnp.array([checks.index[name] for name in names], jnp.int32)
    numbers = {name: jnp.asarray(arrays[name]) for name in Machine._fields if name != "columns"}
    return Classifier(checks, Machine(columns, **numbers), float(arrays["target"]), str(arrays["learned_from"]))
