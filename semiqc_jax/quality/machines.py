"""The fitted part of a learned judge: examples -> the numbers of a machine -> a merit for every segmentation.

The merit is the expected Dice (`svm`, `regressor`) or the mean of the log-odds that the Dice exceeds each of several
values around the target (`network`): where few are good these teach more than the target alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import NDArray

from semiqc_jax.quality.checks import SOFTMAX, Checks
from semiqc_jax.quality.features import features
from semiqc_jax.quality.fitting import Params
from semiqc_jax.quality.folds import FOLDS, Folds, folds_of
from semiqc_jax.quality.profile_network import (
    UPDATES,
    Profiles,
    fit_profile_networks,
    profile_outputs,
    profiles,
)
from semiqc_jax.segmentation.evidence import Evidence

SVM, NETWORK, REGRESSOR = "svm", "network", "regressor"
KINDS = (SVM, NETWORK, REGRESSOR)
SVM_C, SVM_GAMMA, SVM_EPSILON = 1.0, 0.01, 0.02
STEPS = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05)  # from the target: the values that the network's outputs are about
CLIP = 4.0  # standardised features are cut here: no extrapolation


class Machine(NamedTuple):
    """The numbers of a support vector regression: F features, S support vectors."""

    columns: Int[Array, " F"]  # which of the task's features
    centre: Float[Array, " F"]
    scale: Float[Array, " F"]
    vectors: Float[Array, "S F"]
    weights: Float[Array, " S"]
    bias: Float[Array, ""]
    slope: Float[Array, ""]  # Platt scaling of the merit
    offset: Float[Array, ""]


class NetworkMachine(NamedTuple):
    """The numbers of an ensemble of `ProfileNetwork`."""

    columns: Int[Array, " F"]
    centre: Float[Array, " F"]
    scale: Float[Array, " F"]
    params: Params
    slope: Float[Array, ""]
    offset: Float[Array, ""]


AnyMachine = Machine | NetworkMachine


@dataclass(frozen=True, eq=False)
class Examples:
    """N segmentations whose quality is known."""

    values: Float[NDArray, "N F"]  # all `features` of the task
    dice: Float[NDArray, " N"]
    class_dice: Float[NDArray, "N C"] | None = None  # NaN where unknown
    profiles: Profiles | None = None  # what the networks need


def examples_of(
    evidence: Evidence,
    checks: Checks,
    dice: Float[NDArray, " N"],
    class_dice: Float[NDArray, "N C"],
    needs: Collection[str],
) -> Examples:
    """Examples for any kind of machine; `needs` says whether the softmax is seen."""
    seen = profiles(evidence, SOFTMAX in needs)
    return Examples(np.asarray(features(evidence, checks), np.float64), dice, class_dice, seen)


def standardise(
    values: Float[Array, "... F"], centre: Float[Array, " F"], scale: Float[Array, " F"]
) -> Float[Array, "... F"]:
    """arcsinh of the distance from the centre in scales: linear near it, logarithmic in the long tails."""
    return jnp.clip(jnp.arcsinh((values - centre) / scale), -CLIP, CLIP)


def _spread(values: Float[NDArray, "N F"]) -> tuple[NDArray, NDArray]:
    low, centre, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    scale = np.maximum(high - low, 0.1 * values.std(0))
    return centre, np.where(scale > 1e-6, scale, 1.0)


def fit_machine(
    kind: str,
    examples: Examples,
    rows: Bool[NDArray, " N"],
    checks: Checks,
    needs: Collection[str],
    target: float,
    updates: int = UPDATES,
) -> AnyMachine:
    """Fit one machine to some rows of the examples, without Platt scaling. scikit-learn is needed here alone.

    Args:
        kind: of `KINDS`; the networks need `profiles`, the regressor `class_dice`.
        needs: features measured on these (`checks.LABEL`, `checks.SOFTMAX`, `checks.FLIPS`) are used, where they vary.
        target: the Dice that counts as good, for `network`.
        updates: of the networks.
    """
    table, dice = examples.values, examples.dice[rows]
    columns = np.array([i for i, f in enumerate(checks.features) if f.needs in needs and np.ptp(table[:, i]) > 1e-6])
    centre, scale = _spread(table[rows][:, columns])
    one, zero = jnp.float32(1), jnp.float32(0)
    shared = (jnp.asarray(columns, jnp.int32), jnp.asarray(centre, jnp.float32), jnp.asarray(scale, jnp.float32))
    inputs = standardise(*map(jnp.asarray, (examples.values[:, columns], centre, scale)))
    if kind == SVM:
        from sklearn.svm import SVR

        svm = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON).fit(np.asarray(inputs, np.float64)[rows], dice)
        found = (svm.support_vectors_, svm.dual_coef_[0], svm.intercept_[0])
        vectors, weights, bias = (jnp.asarray(x, jnp.float32) for x in found)
        return Machine(*shared, vectors, weights, bias, one, zero)
    if examples.profiles is None or examples.class_dice is None:
        raise ValueError(f"a {kind} is fitted to profiles and the Dice of each class")
    exceeds = examples.dice[:, None] >= target + np.array(STEPS)
    goal = exceeds if kind == NETWORK else examples.class_dice
    known = (jnp.asarray(x, jnp.float32) for x in (inputs, goal, rows))
    params = fit_profile_networks(jax.random.key(0), examples.profiles, *known, kind == NETWORK, updates)
    return NetworkMachine(*shared, params, one, zero)


def expected_dice(values: Float[Array, "N F"], machine: Machine) -> Float[Array, " N"]:
    """The SVM's prediction from all `features`; not cut to [0, 1]."""
    inputs = standardise(values[:, machine.columns], machine.centre, machine.scale)
    square = jnp.sum((inputs[:, None] - machine.vectors) ** 2, -1)
    return jnp.exp(-SVM_GAMMA * square) @ machine.weights + machine.bias


def merits(values: Float[Array, "N F"], seen: Profiles | None, machine: AnyMachine) -> Float[Array, " N"]:
    """The machine's merit of N segmentations from all `features` and, for the networks, their profiles.

    NaN where anything that the machine looks at is not a finite number.
    """
    looked_at = values[:, machine.columns]
    known = jnp.isfinite(looked_at).all(-1)
    if isinstance(machine, Machine):
        return jnp.where(known, expected_dice(values, machine), jnp.nan)
    if seen is None:
        raise ValueError("a network judges profiles")
    known &= jnp.isfinite(seen.rows).all((1, 2, 3))
    inputs = standardise(looked_at, machine.centre, machine.scale)
    return jnp.where(known, profile_outputs(machine.params, seen, inputs).mean(-1), jnp.nan)


_merits = jax.jit(merits)


def stacked(machines: Sequence[AnyMachine]) -> AnyMachine:
    """Several machines of one kind and the same features as one, each array with a leading axis.

    Support vector machines are filled up to the largest by vectors that weigh nothing.
    """
    largest = max((one.weights.size for one in machines if isinstance(one, Machine)), default=0)
    return jax.tree.map(lambda *x: jnp.stack(x), *(_filled(one, largest) for one in machines))


def _filled(machine: AnyMachine, vectors: int) -> AnyMachine:
    if not isinstance(machine, Machine):
        return machine
    more = vectors - machine.weights.size
    return machine._replace(
        vectors=jnp.pad(machine.vectors, ((0, more), (0, 0))), weights=jnp.pad(machine.weights, (0, more))
    )


def merits_by(
    values: Float[Array, "N F"], seen: Profiles | None, machines: AnyMachine, which: Int[Array, " N"]
) -> Float[Array, " N"]:
    """The merit of each segmentation by the machine that `which` names among the `stacked`."""
    each = jax.lax.map(lambda machine: merits(values, seen, machine), machines)
    return jnp.take_along_axis(each, which[None], 0)[0]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """K machines, each fitted without a K-th of the subjects, and what they make of those that they did not see."""

    machines: list[AnyMachine]
    folds: Folds
    merit: Float[NDArray, " N"]  # of each example, by the machine that saw no example of its subject


def cross_fit(
    kind: str,
    examples: Examples,
    subjects: Sequence[str] | NDArray,
    checks: Checks,
    needs: Collection[str],
    target: float,
    updates: int = UPDATES,
    folds: int = FOLDS,
) -> CrossFit:
    """Fit a machine for every fold of the subjects.

    Args:
        subjects: whose each example is.
        folds: into how many the subjects are dealt, at most.

    Raises:
        ValueError: fewer than two subjects.
    """
    dealt, fold = folds_of(subjects, folds)
    machines, merit = [], np.zeros(len(fold))
    values = jnp.asarray(examples.values, jnp.float32)
    for held in (fold == k for k in range(dealt.count)):
        machines.append(fit_machine(kind, examples, ~held, checks, needs, target, updates))
        merit[held] = np.asarray(_merits(values, examples.profiles, machines[-1]))[held]
    return CrossFit(machines, dealt, merit)
