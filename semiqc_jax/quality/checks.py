"""`Checks`: what quality control looks at in one task, as a table of features, their functions and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.segmentation.evidence import Evidence

Scalars = dict[str, Float[Array, ""]]
Condition = Callable[[Evidence], Bool[Array, ""]]  # of one subject, no leading N
LABEL, SOFTMAX, FLIPS, IMAGE = "label", "softmax", "flips", "image"  # what a feature is measured on
OF_THE_NETWORK = (SOFTMAX, FLIPS)  # rules on these count only where confidence is used
CINE_FRAMES, CYCLE_FRAMES = 4, 8  # fewer are no cine, fewer no whole cycle
OWN = "this project"
UKBB = "UK Biobank pipeline (Bai 2018, ukbb_cardiac)"


def two_frames(subject: Evidence) -> Bool[Array, ""]:
    """Whether there is more than one frame, so that a stroke volume can be measured."""
    return jnp.sum(jnp.asarray(subject.frame_mask)) > 1


def cine(subject: Evidence) -> Bool[Array, ""]:
    """Whether neighbouring frames are neighbours in time."""
    return jnp.sum(jnp.asarray(subject.frame_mask)) >= CINE_FRAMES


def whole_cycle(subject: Evidence) -> Bool[Array, ""]:
    """Whether the frames resolve ejection and filling."""
    return jnp.sum(jnp.asarray(subject.frame_mask)) >= CYCLE_FRAMES


@dataclass(frozen=True)
class Feature:
    """One number per subject. What `needs` a label alone can be learned from masks without an image.

    `when` says of which subjects it can be measured, by default of all; elsewhere it has a neutral value and its rule
    neither flags nor counts.
    """

    name: str
    unit: str  # "" for a plain ratio
    source: str
    description: str
    needs: str = LABEL
    when: Condition | None = None


@dataclass(frozen=True)
class Rule:
    """A feature (of the same name) has to lie within [low, high].

    `softness` is the distance from a limit, in the feature's unit, that makes a clear pass or failure;
    `weight` is the rule's share in the score; a rule of weight 0 is off until a limit is configured. The sentences
    take the feature as `{value}`, without its sign, or as `{signed}`.
    """

    name: str
    low: float | None
    high: float | None
    softness: float
    weight: float
    too_low: str = ""
    too_high: str = ""


def above(name: str, high: float, softness: float, weight: float, sentence: str) -> Rule:
    """A rule that fails above `high`."""
    return Rule(name, None, high, softness, weight, too_high=sentence)


def below(name: str, low: float, softness: float, weight: float, sentence: str) -> Rule:
    """A rule that fails below `low`."""
    return Rule(name, low, None, softness, weight, too_low=sentence)


@dataclass(frozen=True)
class Checks:
    """What is judged of one task. Static and hashable: a compiled function may depend on it.

    `groups` are functions of one subject's `Evidence` (no leading N) that together yield every feature by
    name, never NaN.
    """

    task: str
    features: tuple[Feature, ...]
    groups: tuple[Callable[[Evidence], Scalars], ...]
    rules: tuple[Rule, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """Feature name -> column of `features`."""
        return {feature.name: i for i, feature in enumerate(self.features)}

    @property
    def learnable(self) -> tuple[int, ...]:
        """The columns that a label volume alone decides."""
        return tuple(i for i, feature in enumerate(self.features) if feature.needs == LABEL)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules' names, in order."""
        return tuple(rule.name for rule in self.rules)

    def counts(self, rule: Rule, use_confidence: bool) -> bool:
        """Whether a rule flags and counts: if it is on, and on what the network says only where confidence is used."""
        return rule.weight > 0 and (use_confidence or self.features[self.index[rule.name]].needs not in OF_THE_NETWORK)
