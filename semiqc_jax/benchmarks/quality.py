"""Quality control of a large cohort's curves: rules and a linear score, a support vector machine, the judge of curves.

The timed contests are over `compared` subjects, on which ours and the reference do the same. The notes hold what
ours takes for the whole cohort and a tenth of it, and how long the reference would take, extrapolated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.benchmarks.curve_cohort import CURVE_CHECKS, N_FRAMES, curve_cohort, scores_in_a_loop
from semiqc_jax.benchmarks.curve_loop import features_of_one
from semiqc_jax.quality.curve_chance import CurveJudge, chance_of_wrong_volumes, curve_feature_names
from semiqc_jax.quality.curve_judge import (
    SVM_C,
    SVM_EPSILON,
    SVM_GAMMA,
    CurveMachine,
    expected_severity,
    feature_matrix,
    fit_curve_machine,
    spread,
)
from semiqc_jax.quality.cycle_curves import cycle_curve_features
from semiqc_jax.quality.features import features
from semiqc_jax.quality.learned import standardise
from semiqc_jax.quality.machines import CLIP
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.segmentation.evidence import Evidence

SUBJECTS, COMPARED, TAUGHT, REPEATS = 100_000, 2_000, 500, 5
CURVES_TAUGHT = 4_000  # as many support vectors as a judge has that learned from real curves
Score = Callable[[Evidence], Array]
rule_score = partial(assess_rules, checks=CURVE_CHECKS, use_confidence=False)


@jax.jit
def rules_and_linear(evidence: Evidence, weights: Float[Array, " F"]) -> tuple[Array, Array]:
    """The rules' score, [N], and a logistic score of the same features, [N]; nothing is sorted."""
    values = features(evidence, CURVE_CHECKS)
    return rule_score(evidence).score, jax.nn.sigmoid(jnp.arcsinh(values) @ weights)


@jax.jit
def svm_score(evidence: Evidence, machine: CurveMachine) -> Float[Array, " N"]:
    """A support vector machine's score from curves."""
    return expected_severity(features(evidence, CURVE_CHECKS), machine)


def quality_rules(folder: Path, n_subjects: int = SUBJECTS, compared: int = COMPARED) -> Contest:
    """Rules and a linear score of curves, against the same as a loop over subjects. Writes nothing to `folder`."""
    weights = jnp.linspace(-0.1, 0.1, len(CURVE_CHECKS.features))
    return _contest(
        lambda evidence: rules_and_linear(evidence, weights)[0],
        scores_in_a_loop,
        "a NumPy loop over subjects",
        n_subjects,
        compared,
    )


def quality_svm(folder: Path, n_subjects: int = SUBJECTS, compared: int = COMPARED) -> Contest:
    """A support vector machine on features of curves, against scikit-learn's. Writes nothing to `folder`.

    Both start from the curves and compute the same features.
    """
    from sklearn.svm import SVR

    taught = np.asarray(features(curve_cohort(TAUGHT), CURVE_CHECKS))
    target = 2 + np.sin(np.arange(TAUGHT))  # nothing to learn: nearly every example becomes a support vector
    machine = fit_curve_machine(taught, target)
    centre, scale = (jnp.asarray(x, jnp.float32) for x in spread(taught))
    inputs = np.asarray(standardise(jnp.asarray(taught), centre, scale))
    svm = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON).fit(inputs, target)

    def theirs(evidence: Evidence) -> Any:
        return svm.predict(np.asarray(standardise(features(evidence, CURVE_CHECKS), centre, scale))).astype(np.float32)

    name = f"scikit-learn's SVR of {len(svm.support_)} vectors"
    return _contest(lambda evidence: svm_score(evidence, machine), theirs, name, n_subjects, compared)


def quality_curves(
    folder: Path, n_subjects: int = SUBJECTS, compared: int = COMPARED // 4, taught: int = CURVES_TAUGHT
) -> Contest:
    """The judge of LV curves, 106 features and a support vector machine, against NumPy features and scikit-learn's.

    Writes nothing to `folder`.
    """
    from sklearn.svm import SVR

    curves = np.asarray(curve_cohort(taught).area_mm2)[:, :, 0] / 100
    lv, myo = (jnp.asarray(curves[..., c]) for c in (0, 1))
    table = np.asarray(feature_matrix(cycle_curve_features(lv, myo, jnp.ones(lv.shape, bool))))
    target = 2 * np.sin(np.arange(taught))  # nothing to learn, as in `quality_svm`
    judge = CurveJudge(fit_curve_machine(table, target), jnp.float32(1), jnp.float32(0), "nothing")
    centre, scale = spread(table)
    inputs = np.asarray(standardise(*(jnp.asarray(x, jnp.float32) for x in (table, centre, scale))))
    svm = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON).fit(inputs, target)

    def theirs(evidence: Evidence) -> Any:
        curves = np.asarray(evidence.area_mm2)[:, :, 0] / 100
        found = [features_of_one(curve[:, 0], curve[:, 1]) for curve in curves]
        values = np.array([[one[name] for name in curve_feature_names()] for one in found])
        shown = np.clip(np.arcsinh((values - centre) / scale), -CLIP, CLIP)
        return (1 / (1 + np.exp(-svm.predict(shown)))).astype(np.float32)

    name = f"NumPy features in a loop and scikit-learn's SVR of {len(svm.support_)} vectors"
    return _contest(lambda evidence: chance_of_wrong_volumes(evidence, judge), theirs, name, n_subjects, compared)


def _contest(ours: Score, reference: Callable[[Evidence], Any], name: str, n_subjects: int, compared: int) -> Contest:
    cohort = curve_cohort(n_subjects)
    few = jax.tree.map(lambda x: x[:compared], cohort)
    tenth = jax.tree.map(lambda x: x[: n_subjects // 10], cohort)
    on_device = jax.device_put(few)
    reference(few)  # whatever it compiles
    start = time.perf_counter()
    reference(few)
    loop_s = time.perf_counter() - start
    notes = {
        "frames": N_FRAMES,
        "subjects": n_subjects,
        "ours_s": _seconds(ours, cohort),
        "ours_s_of_a_tenth": _seconds(ours, tenth),
        "reference_s_extrapolated": loop_s * n_subjects / compared,
        "reference_measured_on": compared,
    }
    return Contest(lambda: ours(on_device), lambda: reference(few), name, compared, "subjects", rtol=1e-3, notes=notes)


def _seconds(score: Score, cohort: Evidence) -> dict[str, float]:
    """Median and least seconds of a call over the whole cohort, after compilation."""
    on_device, taken = jax.device_put(cohort), []
    jax.block_until_ready(score(on_device))
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(score(on_device))
        taken.append(time.perf_counter() - start)
    return {"median": float(np.median(taken)), "least": min(taken)}
