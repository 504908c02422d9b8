"""Scores -> weights: which subjects, frames and slices of the pool the next round trains on.

Three independent choices: the unit says what is chosen among (subjects, frames or slices), the selector how good a
segmentation is taken to be (`unit_scores`), the policy how many of the best enter and how much they count
(`apply_policy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.groups import scores_within_groups
from semiqc_jax.segmentation.evidence import Evidence

SELECTORS = ("none", "all", "random", "confidence", "quality", "oracle")
UNITS = ("subject", "frame", "slice")
POLICIES = ("top_fraction", "threshold", "budget", "soft")
SOFT_WIDTH = 0.1  # of the soft policy, in ranks from 0 to 1
CHOSEN = 0.5  # a unit with this weight or more counts as chosen


class Selection(NamedTuple):
    """What enters the pseudo-labelled stream, and how much it counts."""

    weight: Float[Array, "N T Z"]  # 0 = left out; a choice of subjects or frames is broadcast
    score: Float[Array, ...]  # what the units were ranked by, [N], [N, T] or [N, T, Z]; 0 where all are alike


@dataclass(frozen=True)
class Policy:
    """How the scores of N units become weights.

    `top_fraction`: the best round(fraction x N) units, at least one; ties go to the earlier unit.
    `threshold`: every unit with score >= threshold. `budget`: the best `budget` units.
    `soft`: all, weighted by a logistic in the rank that passes 1/2 where `top_fraction` would cut.
    """

    name: str = "top_fraction"
    fraction: float = 0.5
    threshold: float = 0.5
    budget: int = 1

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise ConfigError(f"no policy '{self.name}'", "selection", f"policies are {', '.join(POLICIES)}")
        if not 0 < self.fraction <= 1 or self.budget < 1:
            what = f"fraction {self.fraction}, budget {self.budget}"
            raise ConfigError(what, "selection", "give 0 < fraction <= 1 and budget >= 1")


def existing(evidence: Evidence, unit: str = "slice") -> Bool[Array, ...]:
    """Which units exist, [N], [N, T] or [N, T, Z].

    Raises:
        ConfigError: unknown unit.
    """
    if unit not in UNITS:
        raise ConfigError(f"cannot select by '{unit}'", "selection", f"units are {', '.join(UNITS)}")
    frames = jnp.asarray(evidence.frame_mask)
    if unit == "subject":
        return frames.any(1)
    return frames if unit == "frame" else frames[:, :, None] & jnp.asarray(evidence.slice_mask)[:, None]


def mean_confidence(evidence: Evidence, unit: str = "subject") -> Float[Array, ...]:
    """Mean largest softmax over a unit's pixels that are not clearly background; 0 where there are none."""
    within = {"subject": (1, 2), "frame": (2,), "slice": ()}[unit]
    pixels = evidence.uncertain_pixels * existing(evidence)
    total = pixels.sum(within)
    return jnp.where(total > 0, (evidence.confidence * pixels).sum(within) / jnp.maximum(total, 1.0), 0.0)


def unit_scores(
    selector: str,
    evidence: Evidence,
    quality_score: Float[Array, ...] | None = None,
    truth_dice: Float[Array, ...] | None = None,
    key: PRNGKeyArray | None = None,
    unit: str = "subject",
) -> Float[Array, ...]:
    """A score per unit, larger is better: [N], [N, T] or [N, T, Z].

    A slice on which nothing is predicted, and for `oracle` nothing is drawn either, says nothing of its own: it takes
    the score of its neighbours, so that empty slices enter with the heart beside them, neither for free nor never.

    Args:
        selector: one of `SELECTORS`.
        evidence: of the N subjects.
        quality_score: of each unit, for `quality`; NaN where there is nothing to judge.
        truth_dice: the true Dice of each unit, for `oracle` alone; NaN where there is nothing to find.
        key: for `random`.
        unit: one of `UNITS`.

    Raises:
        ConfigError: unknown selector or unit.
        ValueError: what the selector needs was not given, or not unit by unit.
    """
    needed = {"quality": quality_score, "oracle": truth_dice, "random": key}
    if selector not in SELECTORS:
        raise ConfigError(f"no selector '{selector}'", "selection", f"selectors are {', '.join(SELECTORS)}")
    given = needed.get(selector, evidence)
    if given is None:
        raise ValueError(f"the selector '{selector}' needs an input that was not given")
    shape = existing(evidence, unit).shape
    if selector == "random" and key is not None:
        return jax.random.uniform(key, shape)
    if selector in ("all", "none"):
        return jnp.zeros(shape)
    score = mean_confidence(evidence, unit) if selector == "confidence" else jnp.asarray(given)
    if score.shape != shape:
        raise ValueError(f"the selector '{selector}' needs a score for each {unit}, {shape}, not {score.shape}")
    if unit != "slice":
        return score
    empty = ~(jnp.asarray(evidence.area_mm2) > 0).any(-1) if selector == "confidence" else jnp.isnan(score)
    return from_neighbours(score, existing(evidence) & ~empty)


def from_neighbours(score: Float[Array, "N T Z"], telling: Bool[Array, "N T Z"]) -> Float[Array, "N T Z"]:
    """The score of each slice that is `telling`, elsewhere that of the nearest such slice of the frame.

    Where two are equally near, the lower; NaN in frames without any.
    """
    n = score.shape[-1]
    at = jnp.broadcast_to(jnp.arange(n), telling.shape)
    before = jax.lax.cummax(jnp.where(telling, at, -n), axis=2)
    after = jax.lax.cummin(jnp.where(telling, at, 2 * n), axis=2, reverse=True)
    lower, upper = (jnp.take_along_axis(score, jnp.clip(x, 0, n - 1), -1) for x in (before, after))
    down, up = at - before, after - at
    nearest = jnp.where(down < up, lower, jnp.where(up < down, upper, jnp.minimum(lower, upper)))
    return jnp.where(telling.any(-1, keepdims=True), nearest, jnp.nan)


def ranks(score: Float[Array, " N"], valid: Bool[Array, " N"]) -> Float[Array, " N"]:
    """Rank of each unit from 0, the best; ties in their order; NaN after all numbers, not valid last."""
    score = jnp.where(jnp.isnan(score), -jnp.inf, score)
    order = jnp.lexsort((jnp.arange(score.shape[0]), -score, ~valid))
    return jnp.zeros(score.shape[0], jnp.int32).at[order].set(jnp.arange(score.shape[0], dtype=jnp.int32))


@partial(jax.jit, static_argnames="policy")
def apply_policy(score: Float[Array, " N"], valid: Bool[Array, " N"], policy: Policy) -> Float[Array, " N"]:
    """Weight in [0, 1] of each unit; 0 where not valid. A NaN score is the worst."""
    n, rank = valid.sum(), ranks(score, valid)
    if policy.name == "threshold":
        return jnp.where(valid & (score >= policy.threshold), 1.0, 0.0)
    if policy.name == "budget":
        return jnp.where(valid & (rank < policy.budget), 1.0, 0.0)
    if policy.name == "soft":
        quantile = (rank + 0.5) / jnp.maximum(n, 1)
        return jnp.where(valid, jax.nn.sigmoid((policy.fraction - quantile) / SOFT_WIDTH), 0.0)
    kept = jnp.maximum(jnp.floor(policy.fraction * n + 0.5), 1)
    return jnp.where(valid & (rank < kept), 1.0, 0.0)


def select(
    selector: str,
    policy: Policy,
    evidence: Evidence,
    quality_score: Float[Array, ...] | None = None,
    truth_dice: Float[Array, ...] | None = None,
    key: PRNGKeyArray | None = None,
    unit: str = "subject",
    group: Int[Array, " N"] | None = None,
) -> Selection:
    """Choose among the subjects, frames or slices of N subjects; `unit_scores` says what each selector needs.

    `all` and `none` take or leave every unit whatever the policy. With the `group` of each subject, numbers from 0 to
    N - 1, the policy goes by `scores_within_groups`: it takes as large a share of each group as of the others.
    """
    valid = existing(evidence, unit)
    score = unit_scores(selector, evidence, quality_score, truth_dice, key, unit)
    if selector in ("all", "none"):
        weight = valid.astype(jnp.float32) * (selector == "all")
    else:
        ranked = score.ravel()
        if group is not None:
            of_unit = jnp.broadcast_to(jnp.asarray(group).reshape(-1, *[1] * (valid.ndim - 1)), valid.shape)
            ranked = scores_within_groups(ranked, valid.ravel(), of_unit.ravel())
        weight = apply_policy(ranked, valid.ravel(), policy).reshape(valid.shape)
    return Selection(broadcast_weight(weight, evidence), score)


@jax.jit
def broadcast_weight(weight: Float[Array, ...], evidence: Evidence) -> Float[Array, "N T Z"]:
    """A unit's weight on each frame and slice that it has."""
    mask = existing(evidence)
    return weight.reshape(weight.shape + (1,) * (mask.ndim - weight.ndim)) * mask
