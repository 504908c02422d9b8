"""Scores -> weights: which subjects, frames and slices of the pool the next round trains on.

Two independent choices: the selector says how good a segmentation is taken to be (`subject_scores`), the
policy how many of the best enter and how much they count (`apply_policy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from semiqc_jax.errors import ConfigError
from semiqc_jax.segmentation.evidence import Evidence

SELECTORS = ("none", "all", "random", "confidence", "quality", "oracle")
POLICIES = ("top_fraction", "threshold", "budget", "soft")
SOFT_WIDTH = 0.1  # of the soft policy, in ranks from 0 to 1
CHOSEN = 0.5  # a subject with this weight or more counts as chosen


class Selection(NamedTuple):
    """What enters the pseudo-labelled stream, and how much it counts."""

    weight: Float[Array, "N T Z"]  # 0 = left out; a choice of subjects is broadcast
    score: Float[Array, " N"]  # what the subjects were ranked by; 0 where all are taken or left alike


@dataclass(frozen=True)
class Policy:
    """How scores become weights.

    `top_fraction`: the best round(fraction x N) subjects, at least one; ties go to the earlier subject.
    `threshold`: every subject with score >= threshold. `budget`: the best `budget` subjects.
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


def mean_confidence(evidence: Evidence) -> Float[Array, " N"]:
    """Mean largest softmax over all pixels that are not clearly background; 0 where there are none."""
    mask = jnp.asarray(evidence.frame_mask)[:, :, None] & jnp.asarray(evidence.slice_mask)[:, None]
    pixels = evidence.uncertain_pixels * mask
    total = pixels.sum((1, 2))
    return jnp.where(total > 0, (evidence.confidence * pixels).sum((1, 2)) / jnp.maximum(total, 1.0), 0.0)


def subject_scores(
    selector: str,
    evidence: Evidence,
    quality_score: Float[Array, " N"] | None = None,
    truth_dice: Float[Array, " N"] | None = None,
    key: PRNGKeyArray | None = None,
) -> Float[Array, " N"]:
    """A score per subject, larger is better.

    Args:
        selector: one of `SELECTORS`.
        evidence: of the N subjects.
        quality_score: `Quality.score`, for `quality`.
        truth_dice: the true Dice, for `oracle` alone.
        key: for `random`.

    Raises:
        ConfigError: unknown selector.
        ValueError: what the selector needs was not given.
    """
    needed = {"quality": quality_score, "oracle": truth_dice, "random": key}
    if selector not in SELECTORS:
        raise ConfigError(f"no selector '{selector}'", "selection", f"selectors are {', '.join(SELECTORS)}")
    given = needed.get(selector, evidence)
    if given is None:
        raise ValueError(f"the selector '{selector}' needs an input that was not given")
    n = evidence.frame_mask.shape[0]
    if selector == "random" and key is not None:
        return jax.random.uniform(key, (n,))
    if selector == "confidence":
        return mean_confidence(evidence)
    return jnp.asarray(given) if selector in needed else jnp.zeros(n)


def ranks(score: Float[Array, " N"], valid: Bool[Array, " N"]) -> Float[Array, " N"]:
    """Rank of each subject from 0, the best; ties in subject order; NaN after all numbers, not valid last."""
    score = jnp.where(jnp.isnan(score), -jnp.inf, score)
    order = jnp.lexsort((jnp.arange(score.shape[0]), -score, ~valid))
    return jnp.zeros(score.shape[0], jnp.int32).at[order].set(jnp.arange(score.shape[0], dtype=jnp.int32))


@partial(jax.jit, static_argnames="policy")
def apply_policy(score: Float[Array, " N"], valid: Bool[Array, " N"], policy: Policy) -> Float[Array, " N"]:
    """Weight in [0, 1] of each subject; 0 where not valid. A NaN score is the worst."""
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
    quality_score: Float[Array, " N"] | None = None,
    truth_dice: Float[Array, " N"] | None = None,
    key: PRNGKeyArray | None = None,
) -> Selection:
    """Choose among N subjects; `subject_scores` says what each selector needs.

    `all` and `none` take or leave every subject whatever the policy.
    """
    valid = jnp.asarray(evidence.frame_mask).any(1)
    score = subject_scores(selector, evidence, quality_score, truth_dice, key)
    if selector in ("all", "none"):
        weight = valid.astype(jnp.float32) * (selector == "all")
    else:
        weight = apply_policy(score, valid, policy)
    return Selection(broadcast_weight(weight, evidence), score)


@jax.jit
def broadcast_weight(weight: Float[Array, " N"], evidence: Evidence) -> Float[Array, "N T Z"]:
    """A subject's weight on each frame and slice that it has."""
    mask = jnp.asarray(evidence.frame_mask)[:, :, None] & jnp.asarray(evidence.slice_mask)[:, None]
    return weight[:, None, None] * mask
