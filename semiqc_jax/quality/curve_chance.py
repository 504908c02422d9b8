"""The chance that the volumes behind an LV curve are wrong: a fitted judge of curves, as a file and as a check.

Wrong is an ejection fraction that is off by more than 10 points or an end-diastolic volume that is off by more than
20 %. The severity that a support vector machine expects of a curve becomes a chance by Platt scaling, which is fitted
to severities of patients that the machine had not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.errors import DataError
from semiqc_jax.quality.curve_features import volume_curves
from semiqc_jax.quality.curve_judge import (
    MIN_FRAMES,
    CurveMachine,
    expected_severity,
    feature_matrix,
    fit_curve_machine,
    unusable,
)
from semiqc_jax.quality.cycle_curves import cycle_curve_features
from semiqc_jax.quality.reliability import fit_platt
from semiqc_jax.quality.shape_features import LV, MYO
from semiqc_jax.segmentation.evidence import Evidence

FOLDS = 5
WRONG = 0.5  # a curve with this chance or more is flagged
NUMBERS = (*CurveMachine._fields, "slope", "offset")


@dataclass(frozen=True, eq=False)
class CurveJudge:
    """A fitted judge of LV curves and what it rests on."""

    machine: CurveMachine
    slope: Float[Array, ""]  # Platt scaling of the expected severity
    offset: Float[Array, ""]
    learned_from: str  # whose curves; named wherever its score is shown
    patients: tuple[str, ...] = ()  # ids of the real patients that it learned from: it may judge none of them


@dataclass(frozen=True, eq=False)
class CurveExamples:
    """N curves whose errors are known."""

    values: Float[NDArray, "N F"]  # of `cycle_curve_features`
    severity: Float[NDArray, " N"]  # of `severity_of`
    bad: Bool[NDArray, " N"]
    teaches: Bool[NDArray, " N"]  # the machine is fitted to these alone, Platt scaling to all
    patient: NDArray  # [N] whose curve it is, a number or a name


@cache
def curve_feature_names() -> tuple[str, ...]:
    """The features' names in the order of their columns."""
    one = jax.ShapeDtypeStruct((1, MIN_FRAMES), jnp.float32)
    mask = jax.ShapeDtypeStruct((1, MIN_FRAMES), jnp.bool_)
    return tuple(sorted(jax.eval_shape(cycle_curve_features, one, one, mask)))


def fit_curve_judge(examples: CurveExamples, learned_from: str, patients: Collection[str] = ()) -> CurveJudge:
    """Fit a judge. The severities that Platt scaling sees are of patients that the machine had not seen.

    Args:
        learned_from: whose curves these are, in words.
        patients: ids of the real patients among them.

    Raises:
        ValueError: curves that teach of fewer than two patients.
    """
    group = np.unique(examples.patient, return_inverse=True)[1]
    if len(np.unique(group[examples.teaches])) < 2:
        raise ValueError("a judge of curves is fitted to curves of at least two patients")
    taught = examples.teaches
    fold = _folds(group, taught)
    values = jnp.asarray(examples.values, jnp.float32)
    unseen = np.zeros(len(group))
    for held in (fold == k for k in np.unique(fold)):
        machine = fit_curve_machine(examples.values[taught & ~held], examples.severity[taught & ~held])
        unseen[held] = np.asarray(expected_severity(values, machine))[held]
    scale = fit_platt(expit(-unseen), ~examples.bad)  # P(right) = sigmoid(-slope x severity + offset)
    machine = fit_curve_machine(examples.values[taught], examples.severity[taught])
    numbers = (jnp.float32(scale.slope), jnp.float32(-scale.offset))
    return CurveJudge(machine, *numbers, learned_from, tuple(sorted(patients)))


def _folds(group: NDArray, taught: NDArray) -> NDArray:
    """A fold of each curve, the same for all of a patient; patients that teach are spread evenly."""
    first = np.random.default_rng(0).permutation(np.unique(group[taught]))
    order = np.concatenate([first, np.setdiff1d(group, first)])
    place = np.argsort(order)  # groups are numbered from 0, and each stands once in `order`
    return place[group] % min(FOLDS, len(first))


@jax.jit
def _chance(
    lv_ml: Array, myo_ml: Array, frame_mask: Array, machine: CurveMachine, slope: Array, offset: Array
) -> Float[Array, " N"]:
    values = feature_matrix(cycle_curve_features(lv_ml, myo_ml, frame_mask))
    chance = jax.nn.sigmoid(slope * expected_severity(values, machine) + offset)
    judged = jnp.where(unusable(lv_ml, myo_ml, frame_mask), 1.0, chance)
    return jnp.where(frame_mask.sum(-1) < MIN_FRAMES, jnp.nan, judged)


def chance_of_curves(
    lv_ml: ArrayLike | Array, myo_ml: ArrayLike | Array, frame_mask: ArrayLike | Array, judge: CurveJudge
) -> Float[Array, " N"]:
    """P(EF off by more than 10 points or EDV by more than 20 %) of N pairs of curves [N, T] in ml.

    NaN where there are fewer than 8 frames: there is no cycle to judge. 1 where a value is not finite or the EDV lies
    outside 1-1000 ml. Padded frames come last.
    """
    curves = (jnp.asarray(lv_ml), jnp.asarray(myo_ml), jnp.asarray(frame_mask))
    if curves[0].shape[1] < MIN_FRAMES:
        return jnp.full(curves[0].shape[0], jnp.nan)
    return _chance(*curves, judge.machine, judge.slope, judge.offset)


def chance_of_wrong_volumes(evidence: Evidence, judge: CurveJudge) -> Float[Array, " N"]:
    """`chance_of_curves` of the volumes that N segmentations of the short axis show on the network's grid."""
    curves = jax.vmap(volume_curves)(jax.tree.map(jnp.asarray, evidence))
    return chance_of_curves(curves[..., LV], curves[..., MYO], evidence.frame_mask, judge)


def curve_reason(chance: float) -> list[str]:
    """The sentence for a chance of `chance_of_curves`: none where it is small."""
    if np.isnan(chance):
        return [f"The volume curve was not judged: fewer than {MIN_FRAMES} frames"]
    if chance < WRONG:
        return []
    return [f"The volume curve looks like one with a wrong EF or EDV (chance {chance:.0%})"]


def curve_judge_arrays(judge: CurveJudge) -> dict[str, NDArray]:
    """The judge as plain arrays for `numpy.savez`; texts are unicode arrays, nothing needs pickle."""
    numbers = {**judge.machine._asdict(), "slope": judge.slope, "offset": judge.offset}
    return {
        **{name: np.asarray(x) for name, x in numbers.items()},
        "curve_features": np.array(curve_feature_names()),
        "learned_from": np.array(judge.learned_from),
        "patients": np.array(judge.patients, np.str_),
        "task": np.array(SHORT_AXIS.name),
    }


def curve_judge_from(arrays: Mapping[str, NDArray], task: str, where: object, mend: str) -> CurveJudge:
    """The judge that `curve_judge_arrays` took apart (an opened .npz will do).

    Args:
        task: what it is to judge.
        where: the file that an error names.
        mend: what an error advises.

    Raises:
        DataError: it is no judge of curves, judges another task, looks at other features than this version's, or
            its numbers do not fit together.
    """
    if not {*NUMBERS, "curve_features", "learned_from", "patients", "task"} <= {*arrays}:
        raise DataError("this is no judge of volume curves", where, mend)
    if str(arrays["task"]) != task:
        raise DataError(f"the judge of curves is for the task '{arrays['task']}', not '{task}'", where, mend)
    if tuple(map(str, arrays["curve_features"])) != curve_feature_names():
        raise DataError("the judge of curves looks at other features than this version", where, mend)
    numbers = {name: jnp.asarray(arrays[name]) for name in NUMBERS}
    n_features, n_vectors = len(curve_feature_names()), len(np.atleast_1d(arrays["weights"]))
    sizes: dict[str, tuple[int, ...]] = dict.fromkeys(NUMBERS, ())
    sizes |= {"centre": (n_features,), "scale": (n_features,), "weights": (n_vectors,)}
    sizes["vectors"] = (n_vectors, n_features)
    if any(x.shape != sizes[name] or not bool(jnp.isfinite(x).all()) for name, x in numbers.items()):
        raise DataError("the numbers of the judge of curves are damaged", where, mend)
    machine = CurveMachine(**{name: numbers[name] for name in CurveMachine._fields})
    patients = tuple(map(str, arrays["patients"]))
    return CurveJudge(machine, numbers["slope"], numbers["offset"], str(arrays["learned_from"]), patients)
