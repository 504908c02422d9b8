"""A learned judge: features of a segmentation, or its profiles -> the Dice that it would have, and P(Dice >= target).

Three kinds. `svm`: a support vector regression on features, fitted by scikit-learn, evaluated in JAX. `network`: the
log-odds of a good segmentation by a small network on slice-area profiles and features. `regressor`: the same network
on the Dice of each class, whose mean is judged by. Platt scaling makes probabilities of each.

One that learned from masks broken on purpose saw no softmax: the network's confidence joins afterwards by a fixed
map. One that learned from networks' segmentations of real subjects may have seen it, and is cross-fitted
(`quality.folds`): none of these subjects is judged by a machine that learned from it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from semiqc_jax.quality.checks import LABEL, SOFTMAX, Checks
from semiqc_jax.quality.features import features
from semiqc_jax.quality.folds import FOLDS, Folds
from semiqc_jax.quality.machines import (
    NETWORK,
    SVM,
    AnyMachine,
    CrossFit,
    Examples,
    cross_fit,
    fit_machine,
    merits_by,
    stacked,
)
from semiqc_jax.quality.machines import standardise as standardise
from semiqc_jax.quality.profile_network import UPDATES, profiles
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence

CONFIDENCE_MIDDLE, CONFIDENCE_SOFTNESS = 0.88, 0.02  # sigmoid((confidence - middle) / softness)


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted judge of one task and what it rests on."""

    checks: Checks  # those of its task: it looks at their features
    machines: AnyMachine  # `stacked`; the last one learned from all
    target: float  # the Dice that counts as good
    learned_from: str  # whose masks; named wherever a score is shown
    kind: str = SVM
    folds: Folds = field(default_factory=Folds)  # of the real subjects that it learned from

    @property
    def columns(self) -> list[int]:
        """Which of the task's features it looks at."""
        return np.asarray(self.machines.columns)[0].tolist()

    @property
    def needs(self) -> frozenset[str]:
        """What the features that it looks at are measured on."""
        return frozenset(self.checks.features[i].needs for i in self.columns)

    @property
    def sees_softmax(self) -> bool:
        """Whether the network's confidence is among what it looks at."""
        return SOFTMAX in self.needs


def fit(
    values: NDArray | Array,
    dice: NDArray | Array,
    target: float,
    learned_from: str,
    checks: Checks,
    groups: Sequence[int] | NDArray | None = None,
) -> Classifier:
    """Fit a support vector machine to masks of subjects that nobody will ask it to judge: phantoms.

    Args:
        values: [N, F] of `features`, all columns; features that need a softmax or an image or never vary are left out.
        dice: [N] true Dice of the N segmentations.
        target: the Dice that counts as good.
        learned_from: whose masks these are, in words.
        checks: those of the task; `values` are their features.
        groups: [N] the subject that each came from, by default one each.

    Raises:
        ValueError: fewer than two subjects.
    """
    examples, needs = Examples(np.asarray(values, np.float64), np.asarray(dice, np.float64)), (LABEL,)
    groups = np.arange(len(examples.dice)) if groups is None else np.asarray(groups)
    crossed = cross_fit(SVM, examples, groups, checks, needs, target)
    machine = _fitted_to_all(SVM, examples, crossed, checks, needs, target, UPDATES)
    return Classifier(checks, stacked([machine]), float(target), learned_from)


def fit_classifier(
    kind: str,
    examples: Examples,
    subjects: Sequence[str] | NDArray,
    target: float,
    learned_from: str,
    checks: Checks,
    needs: Collection[str],
    updates: int = UPDATES,
    folds: int = FOLDS,
) -> Classifier:
    """Fit a cross-fitted judge of any kind to segmentations of real subjects.

    Args:
        subjects: [N] ids: whose each example is.
        target: the Dice that counts as good.
        learned_from: whose segmentations these are, in words; the folds are added.
        needs: what may be looked at, of `checks.LABEL`, `checks.SOFTMAX` and `checks.FLIPS`.
        updates: of the networks.
        folds: of the subjects; K is as many, or as there are subjects.

    Raises:
        ValueError: fewer than two subjects, or a network without profiles.
    """
    crossed = cross_fit(kind, examples, subjects, checks, needs, target, updates, folds)
    last = _fitted_to_all(kind, examples, crossed, checks, needs, target, updates)
    scaled = [one._replace(slope=last.slope, offset=last.offset) for one in crossed.machines]
    source = f"{learned_from}, cross-fitted in {crossed.folds.count} folds by subject ({kind})"
    return Classifier(checks, stacked([*scaled, last]), float(target), source, kind, crossed.folds)


def _fitted_to_all(
    kind: str,
    examples: Examples,
    crossed: CrossFit,
    checks: Checks,
    needs: Collection[str],
    target: float,
    updates: int,
) -> AnyMachine:
    """The machine of all examples, with the Platt scaling of merits of subjects that their machine had not seen.

    All machines share that scaling, two numbers: the order of subjects is that of unseen merits alone.
    """
    slope, offset = merit_scale(kind, crossed.merit, examples.dice, target)
    everything = np.ones(len(examples.dice), bool)
    machine = fit_machine(kind, examples, everything, checks, needs, target, updates)
    return machine._replace(slope=jnp.float32(slope), offset=jnp.float32(offset))


def merit_scale(
    kind: str, merit: Float[NDArray, " N"], dice: Float[NDArray, " N"], target: float
) -> tuple[float, float]:
    """Slope and offset of P(Dice >= target) = sigmoid(slope x merit + offset); it rises with the merit."""
    from sklearn.linear_model import LogisticRegression

    good, middle, width = dice >= target, *((0.0, 1.0) if kind == NETWORK else (target, 0.1))
    if good.all() or not good.any():  # nothing to fit: a step of half a width around the middle
        return 2 / width, -2 / width * middle
    model = LogisticRegression().fit((merit[:, None] - middle) / width, good)
    slope = max(float(model.coef_[0, 0]), 1e-3) / width
    return slope, float(model.intercept_[0]) - slope * middle


@partial(jax.jit, static_argnames=("checks", "kind", "softmax"))
def _assess(
    evidence: Evidence,
    machines: AnyMachine,
    which: Int[Array, " N"],
    trust: Float[Array, ""],
    checks: Checks,
    kind: str,
    softmax: bool,
) -> Quality:
    values = features(evidence, checks)
    merit = merits_by(values, None if kind == SVM else profiles(evidence, softmax), machines, which)
    probability = jax.nn.sigmoid(machines.slope[0] * merit + machines.offset[0])
    confidence = values[:, checks.index["confidence"]]
    confident = jax.nn.sigmoid((confidence - CONFIDENCE_MIDDLE) / CONFIDENCE_SOFTNESS)
    score = probability ** (1 - trust) * jnp.where(trust > 0, confident, 1.0) ** trust
    shown = jnp.where(jnp.isnan(score), jnp.nan, probability if kind == NETWORK else merit)
    return Quality(jnp.nan_to_num(score), (jnp.isnan(shown) | (probability < 0.5))[:, None], shown[:, None])


def assess_learned(
    evidence: Evidence, classifier: Classifier, subjects: Sequence[str], use_confidence: bool = True
) -> Quality:
    """Judge N subjects by the classifier; R = 1, the value is the expected Dice, of a `network` P(Dice >= target).

    Each is judged by a machine that did not learn from it. The score is P(Dice >= target); with `use_confidence` its
    geometric mean with sigmoid((confidence - 0.88) / 0.02), unless the classifier itself sees the softmax.
    The flag says that P(Dice >= target) < 1/2, whatever the confidence, or that something cannot be measured, which
    scores 0.

    Args:
        subjects: ids of the N; one that it did not learn from may have any.
    """
    sees = classifier.sees_softmax
    trust = jnp.float32(0.5 if use_confidence and not sees else 0.0)
    # Only the machines that are asked for are evaluated: for strangers that is one.
    models = classifier.folds.models(subjects)
    used = np.unique(models) if len(models) else np.array([classifier.folds.count])
    machines = jax.tree.map(lambda x: x[used], classifier.machines)
    which = jnp.asarray(np.searchsorted(used, models), jnp.int32)
    return _assess(evidence, machines, which, trust, classifier.checks, classifier.kind, sees)


def learned_reasons(row: Quality, classifier: Classifier) -> list[str]:
    """The sentence for a subject that failed. `row` is a `Quality` without N."""
    if not bool(np.asarray(row.flags)[0]):
        return []
    value = float(np.clip(np.asarray(row.values)[0], 0, 1))
    target, source = classifier.target, classifier.learned_from
    if np.isnan(value):
        return [f"What is judged by cannot be measured (learned from {source})"]
    if classifier.kind == NETWORK:
        return [f"The chance of a Dice of {target:.2f} is {value:.0%} (learned from {source})"]
    return [f"Expected Dice is {value:.2f}, wanted {target:.2f} (learned from {source})"]
