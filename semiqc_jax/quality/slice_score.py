"""A score per slice without training: soft rules on the features of slices, weighted by hand."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.anatomy import TASKS
from semiqc_jax.quality.checks import Checks, Rule, above, below
from semiqc_jax.quality.rules import margins
from semiqc_jax.quality.slice_features import predicted_slices, slice_agreement, slice_feature_names, slice_features
from semiqc_jax.segmentation.evidence import Evidence

# Small sections near the ends have the lowest Dice, hence the rules on what a slice shares of the structure's largest
# area and on its neighbours. Limits and weights were set by hand on networks of the 3-label setting and their pools,
# published test patients apart.
SOFTMAX_RULES = (
    below("confidence", 0.88, 0.03, 3, "The network is unsure"),
    below("subject_score", 0.0, 1.0, 1, "The subject fails its rules, of which one is on the softmax"),
)
FLIP_RULE = below("flip_agreement", 0.7, 0.08, 6, "Predictions for the mirrored slice disagree")
SHORT_AXIS_RULES = (below("enclosure", 0.9, 0.05, 1, "The cavity is not enclosed"),)


def _class_rules(name: str) -> tuple[Rule, ...]:
    return (
        below(f"{name}_present", 0.5, 0.25, 1, f"The {name} is missing"),
        below(f"{name}_share", 0.4, 0.2, 1, f"The {name} is small here"),
        below(f"{name}_smaller_neighbour", 0.2, 0.1, 1, f"The {name} ends here"),
        Rule(f"{name}_bend", -0.2, 0.2, 0.05, 0.5, f"The {name} dips", f"The {name} bulges"),
        above(f"{name}_fragments", 0.05, 0.02, 0.5, f"The {name} lies in pieces"),
    )


def slice_rules(checks: Checks, use_confidence: bool = True) -> tuple[Rule, ...]:
    """The rules on slices of a task; each names a feature of `slice_features`, or `slice_agreement`."""
    rules = [rule for name in TASKS[checks.task].classes for rule in _class_rules(name)]
    of_task = SHORT_AXIS_RULES if checks.task == "short_axis" else ()
    return (*((*SOFTMAX_RULES, FLIP_RULE) if use_confidence else ()), *of_task, *rules)


def slice_rule_scores(evidence: Evidence, checks: Checks, use_confidence: bool = True) -> Float[Array, "N T Z"]:
    """Weighted geometric mean of the rules' soft passes, in [0, 1]; NaN where nothing is predicted.

    The rule on mirrored predictions counts where there are some.
    """
    agreement, mirrored = slice_agreement(evidence)
    values = jnp.concatenate([slice_features(evidence, checks), agreement[..., None]], -1)
    score = _soft_passes(values, mirrored, checks, use_confidence)
    return jnp.where(predicted_slices(evidence), score, jnp.nan)


@partial(jax.jit, static_argnames=("checks", "use_confidence"))
def _soft_passes(
    values: Float[Array, "N T Z F+1"], mirrored: Bool[Array, "N T Z"], checks: Checks, use_confidence: bool
) -> Float[Array, "N T Z"]:
    rules, names = slice_rules(checks, use_confidence), (*slice_feature_names(checks), FLIP_RULE.name)
    measured = values[..., jnp.array([names.index(rule.name) for rule in rules])]
    everywhere = jnp.array([rule is not FLIP_RULE for rule in rules])
    weight = jnp.array([rule.weight for rule in rules]) * (everywhere | mirrored[..., None])
    return jnp.exp(jnp.sum(jax.nn.log_sigmoid(margins(measured, rules)) * weight, -1) / weight.sum(-1))


def frame_scores(scores: Float[Array, "N T Z"]) -> Float[Array, "N T"]:
    """A frame's score: the mean over its slices that have one; NaN where none has."""
    there: Bool[Array, "N T Z"] = ~jnp.isnan(scores)
    count = there.sum(-1)
    mean = jnp.where(there, scores, 0.0).sum(-1) / jnp.maximum(count, 1)
    return jnp.where(count > 0, mean, jnp.nan)
