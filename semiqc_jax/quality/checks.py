"""`Checks`: what quality control looks at in one task, as a table of features, their functions and rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Array, Float

from semiqc_jax.segmentation.evidence import Evidence

Scalars = dict[str, Float[Array, ""]]
LABEL, SOFTMAX, IMAGE = "label", "softmax", "image"  # what a feature is measured on
OWN = "this project"
UKBB = "UK Biobank pipeline (Bai 2018, ukbb_cardiac)"


@dataclass(frozen=True)
class Feature:
    """One number per subject. What `needs` a label alone can be learned from masks without an image."""

    name: str
    unit: str  # "" for a plain ratio
    source: str
    description: str
    needs: str = LABEL


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
    name, never NaN. Of the rules, `cycle_rules` say nothing where there is only one frame.
    """

    task: str
    features: tuple[Feature, ...]
    groups: tuple[Callable[[Evidence], Scalars], ...]
    rules: tuple[Rule, ...]
    cycle_rules: tuple[str, ...]

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
        """Whether a rule flags and counts: if it is on, and on the softmax only where confidence is used."""
        return rule.weight > 0 and (use_confidence or self.features[self.index[rule.name]].needs != SOFTMAX)
