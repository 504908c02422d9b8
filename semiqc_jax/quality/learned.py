"""A learned judge: features of a segmentation, or its profiles -> the Dice that it would have, and P(Dice >= target).

Three kinds. `svm`: a support vector regression on features, fitted by scikit-learn, evaluated in JAX. `network`: the
log-odds of a good segmentation by a small network on slice-area profiles and features. `regressor`: the same network
on the Dice of each class, whose mean is judged by. Platt scaling makes probabilities of each.

One that learned from masks broken on purpose saw no softmax: the network's confidence joins afterwards by a fixed
map. One that learned from networks' segmentations may have seen it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from semiqc_jax.anatomy import TASKS
from semiqc_jax.errors import DataError
from semiqc_jax.quality.checks import LABEL, SOFTMAX, Checks
from semiqc_jax.quality.features import features
from semiqc_jax.quality.machines import (
    KINDS,
    NETWORK,
    SVM,
    AnyMachine,
    Examples,
    Machine,
    NetworkMachine,
    cross_fitted,
    fit_machine,
    merits,
)
from semiqc_jax.quality.machines import standardise as standardise
from semiqc_jax.quality.profile_network import UPDATES, profiles
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence

CONFIDENCE_MIDDLE, CONFIDENCE_SOFTNESS = 0.88, 0.02  # sigmoid((confidence - middle) / softness)
PARAMS = "params/"  # what the names of a network's arrays begin with in a file


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted judge of one task and what it rests on."""

    checks: Checks  # those of its task: it looks at their features
    machine: AnyMachine
    target: float  # the Dice that counts as good
    learned_from: str  # whose masks; named wherever a score is shown
    kind: str = SVM
    subjects: tuple[str, ...] = ()  # ids of the real subjects that it learned from: it may judge none of them

    @property
    def needs(self) -> frozenset[str]:
        """What the features that it looks at are measured on."""
        return frozenset(self.checks.features[i].needs for i in np.asarray(self.machine.columns))

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
    """Fit a support vector machine to masks alone.

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
    examples = Examples(np.asarray(values, np.float64), np.asarray(dice, np.float64))
    groups = np.arange(len(examples.dice)) if groups is None else np.asarray(groups)
    return fit_classifier(SVM, examples, groups, target, learned_from, checks, (LABEL,))


def fit_classifier(
    kind: str,
    examples: Examples,
    groups: NDArray,
    target: float,
    learned_from: str,
    checks: Checks,
    needs: Collection[str],
    subjects: Collection[str] = (),
    updates: int = UPDATES,
) -> Classifier:
    """Fit a judge of any kind. Platt scaling is fitted to merits of subjects that the machine has not seen.

    Args:
        groups: [N] the subject of each example.
        needs: what may be looked at, of `checks.LABEL`, `checks.SOFTMAX` and `checks.FLIPS`.
        subjects: ids of the real subjects among these examples.
        updates: of the networks.

    Raises:
        ValueError: fewer than two subjects, or a network without profiles.
    """
    unseen = cross_fitted(kind, examples, groups, checks, needs, target, updates)
    middle, width = (0.0, 1.0) if kind == NETWORK else (target, 0.1)
    slope, offset = _platt(unseen, examples.dice >= target, middle, width)
    everything = np.ones(len(examples.dice), bool)
    machine = fit_machine(kind, examples, everything, checks, needs, target, updates)
    machine = machine._replace(slope=jnp.float32(slope), offset=jnp.float32(offset))
    return Classifier(checks, machine, float(target), learned_from, kind, tuple(sorted(subjects)))


def _platt(merit: NDArray, good: NDArray, middle: float, width: float) -> tuple[float, float]:
    """Slope and offset of P(good) = sigmoid(slope x merit + offset); it rises with the merit."""
    from sklearn.linear_model import LogisticRegression

    if good.all() or not good.any():  # nothing to fit: a step of half a width around the middle
        return 2 / width, -2 / width * middle
    model = LogisticRegression().fit((merit[:, None] - middle) / width, good)
    slope = max(float(model.coef_[0, 0]), 1e-3) / width
    return slope, float(model.intercept_[0]) - slope * middle


@partial(jax.jit, static_argnames=("checks", "kind", "softmax"))
def _assess(
    evidence: Evidence, machine: AnyMachine, trust: Float[Array, ""], checks: Checks, kind: str, softmax: bool
) -> Quality:
    values = features(evidence, checks)
    merit = merits(values, None if kind == SVM else profiles(evidence, softmax), machine)
    probability = jax.nn.sigmoid(machine.slope * merit + machine.offset)
    confidence = values[:, checks.index["confidence"]]
    confident = jax.nn.sigmoid((confidence - CONFIDENCE_MIDDLE) / CONFIDENCE_SOFTNESS)
    shown = probability if kind == NETWORK else merit
    return Quality(probability ** (1 - trust) * confident**trust, (probability < 0.5)[:, None], shown[:, None])


def assess_learned(evidence: Evidence, classifier: Classifier, use_confidence: bool = True) -> Quality:
    """Judge N subjects by the classifier; R = 1, the value is the expected Dice, of a `network` P(Dice >= target).

    The score is P(Dice >= target); with `use_confidence` its geometric mean with sigmoid((confidence - 0.88) / 0.02),
    unless the classifier itself sees the softmax.
    The flag says that P(Dice >= target) < 1/2, whatever the confidence.
    """
    sees = classifier.sees_softmax
    trust = jnp.float32(0.5 if use_confidence and not sees else 0.0)
    return _assess(evidence, classifier.machine, trust, classifier.checks, classifier.kind, sees)


def learned_reasons(row: Quality, classifier: Classifier) -> list[str]:
    """The sentence for a subject that failed. `row` is a `Quality` without N."""
    if not bool(np.asarray(row.flags)[0]):
        return []
    value = float(np.clip(np.asarray(row.values)[0], 0, 1))
    target, source = classifier.target, classifier.learned_from
    if classifier.kind == NETWORK:
        return [f"The chance of a Dice of {target:.2f} is {value:.0%} (learned from {source})"]
    return [f"Expected Dice is {value:.2f}, wanted {target:.2f} (learned from {source})"]


def to_arrays(classifier: Classifier) -> dict[str, NDArray]:
    """The classifier as plain arrays for `numpy.savez`; texts are unicode arrays, nothing needs pickle."""
    numbers = classifier.machine._asdict()
    checks = classifier.checks
    columns, params = numbers.pop("columns"), numbers.pop("params", {})
    texts = {
        "kind": np.array(classifier.kind),
        "subjects": np.array(classifier.subjects, np.str_),
        "features": np.array([checks.features[i].name for i in np.asarray(columns)]),
        "learned_from": np.array(classifier.learned_from),
        "task": np.array(checks.task),
        "classes": np.array(TASKS[checks.task].classes),
    }
    arrays = {name: np.asarray(x) for name, x in {**numbers, **_flat(params, PARAMS)}.items()}
    return {**arrays, **texts, "target": np.array(classifier.target)}


def _flat(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, x in tree.items():
        found |= _flat(x, f"{prefix}{name}/") if isinstance(x, Mapping) else {prefix + name: x}
    return found


def _nested(arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in (name for name in arrays if name.startswith(PARAMS)):
        *folders, name = path.removeprefix(PARAMS).split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = jnp.asarray(arrays[path])
    return tree


def from_arrays(
    arrays: Mapping[str, NDArray],
    checks: Checks,
    where: object = "classifier",
    mend: str = "delete the file: the judge is then fitted anew",
) -> Classifier:
    """The classifier that `to_arrays` took apart (an opened .npz will do). One without a task is of the short axis.

    Args:
        checks: those of the task that it is to judge.
        where: the file that an error names.
        mend: what an error advises.

    Raises:
        DataError: it is of an unknown kind, judges another task, or uses classes or features that this
            version does not have.
    """
    task = str(arrays["task"]) if "task" in arrays else "short_axis"
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
    kind = str(arrays["kind"]) if "kind" in arrays else SVM
    if kind not in KINDS:
        raise DataError(f"a judge of the unknown kind '{kind}'", where, f"kinds are {', '.join(KINDS)}")
    form: Any = Machine if kind == SVM else NetworkMachine
    numbers = {name: jnp.asarray(arrays[name]) for name in form._fields if name not in ("columns", "params")}
    params = {} if kind == SVM else {"params": _nested(arrays)}
    machine = form(columns=columns, **numbers, **params)
    subjects = tuple(map(str, arrays["subjects"])) if "subjects" in arrays else ()
    return Classifier(checks, machine, float(arrays["target"]), str(arrays["learned_from"]), kind, subjects)
