"""Explicit rules of physiology and geometry, each with a limit, a switch and a sentence for the report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.features import FEATURE_INDEX, FEATURES, features
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence

MARGIN_LIMIT = 6.0  # no single rule may say more than this many softnesses


@dataclass(frozen=True)
class Rule:
    """A feature (of the same name) has to lie within [low, high].

    `softness` is the distance from a limit, in the feature's unit, that makes a clear pass or failure;
    `weight` is the rule's share in the score. The sentences take the feature as `{value}`, without its sign,
    or as `{signed}`.
    """

    name: str
    low: float | None
    high: float | None
    softness: float
    weight: float
    too_low: str = ""
    too_high: str = ""


def _above(name: str, high: float, softness: float, weight: float, sentence: str) -> Rule:
    return Rule(name, None, high, softness, weight, too_high=sentence)


def _below(name: str, low: float, softness: float, weight: float, sentence: str) -> Rule:
    return Rule(name, low, None, softness, weight, too_low=sentence)


_within = Rule

# The limits leave room for disease: they are wider than healthy ranges, and masks of diseased hearts drawn by
# experts pass nearly all. The stroke-volume rule does not hold with valve disease or shunts: switch it off
# (config.quality.rules_off).
RULES: tuple[Rule, ...] = (
    _above("profile_roughness", 0.4, 0.1, 4, "Areas jump from slice to slice (roughness {value:.2f})"),
    _below("confidence", 0.88, 0.02, 6, "The network is unsure (mean confidence {value:.2f})"),
    _above("missing", 0.004, 0.002, 1, "A structure is missing in {value:.1%} of frames and structures"),
    _above("profile_gaps", 0.01, 0.005, 1, "{value:.0%} of the slices within a structure are empty"),
    _below("lv_length", 45, 8, 0.5, "LV and myocardium are found over {value:.0f} mm only"),
    _above("rv_alone", 0.1, 0.03, 0.5, "{value:.0%} of the RV lies on slices without LV and myocardium"),
    _above("fragments", 0.03, 0.01, 1, "{value:.0%} of the area lies in separate fragments"),
    _above("lv_irregularity", 1.5, 0.06, 0.5, "The LV's border is irregular ({value:.2f}, a disc has 1.27)"),
    _above("open_cavity", 0.1, 0.03, 1, "{value:.0%} of the LV's border does not meet myocardium"),
    _above("lv_rv_contact", 0.02, 0.01, 0.5, "{value:.0%} of the LV's border meets the RV"),
    _above("off_centre", 9, 1.5, 0.5, "LV and myocardium are centred {value:.0f} mm apart"),
    _above("centroid_kink", 6, 1, 1, "Centroids jump by {value:.0f} mm between neighbouring slices"),
    _within(
        "stroke_volume_mismatch", -60, 60, 15, 0.5,
        "RV stroke volume is {value:.0f} % smaller than LV stroke volume",
        "RV stroke volume exceeds LV stroke volume by {value:.0f} %",
    ),
    _within(
        "rv_lv_ratio", 0.35, 2.8, 0.1, 0.5,
        "RV end-diastolic volume is only {value:.2f} times the LV's",
        "RV end-diastolic volume is {value:.1f} times the LV's",
    ),
    _within("lv_edv", 40, 450, 10, 0.5, "LV EDV is only {value:.0f} ml", "LV EDV is {value:.0f} ml"),
    _within("rv_edv", 40, 450, 10, 0.5, "RV EDV is only {value:.0f} ml", "RV EDV is {value:.0f} ml"),
    _within("lv_mass", 30, 350, 8, 0.5, "LV mass is only {value:.0f} g", "LV mass is {value:.0f} g"),
    _within("lv_ef", 7, 85, 3, 0.5, "LVEF is only {value:.0f} %", "LVEF is {value:.0f} %"),
    _within("rv_ef", 10, 85, 5, 0.5, "RVEF is only {signed:.0f} %", "RVEF is {value:.0f} %"),
    _within(
        "mass_to_volume", 0.35, 2.6, 0.1, 0.5,
        "LV mass is only {value:.2f} g per ml of end-diastolic volume",
        "LV mass is {value:.1f} g per ml of end-diastolic volume",
    ),
    _above("mass_change", 40, 8, 0.5, "Myocardial volume changes by {value:.0f} % over the cycle"),
    _above("paradoxical_motion", 8, 2, 0.5, "LV area grows in systole on some slices (by {value:.0f} %)"),
    _above("curve_excess", 0.5, 0.12, 1, "Volumes rise and fall repeatedly ({value:.0%} excess travel)"),
    _above("volume_jump", 8, 1.5, 1, "Volume jumps between frames ({value:.1f} times range / frames)"),
    _above("slice_excess", 0.8, 0.2, 1, "Slice areas rise and fall repeatedly ({value:.0%} excess travel)"),
)  # fmt: skip

CYCLE_RULES = ("lv_ef", "rv_ef")  # say nothing where there is only one frame


def configure_rules(off: Collection[str] = (), use_confidence: bool = True) -> tuple[Rule, ...]:
    """`RULES` without those that are switched off.

    Raises:
        ConfigError: names every unknown rule, or says that none is left that counts.
    """
    names = [rule.name for rule in RULES]
    unknown = sorted({*off} - {*names})
    if unknown:
        raise ConfigError(f"no rule {', '.join(unknown)}", "quality rules", f"rules are {', '.join(names)}")
    rules = tuple(rule for rule in RULES if rule.name not in off)
    if not any(_counts(rule, use_confidence) for rule in rules):
        raise ConfigError("no rule is left to judge by", "quality rules", "leave at least one on")
    return rules


def _counts(rule: Rule, use_confidence: bool) -> bool:
    return use_confidence or FEATURES[FEATURE_INDEX[rule.name]].downstream


def margins(values: Float[Array, "... R"], rules: tuple[Rule, ...]) -> Float[Array, "... R"]:
    """How many softnesses each value lies inside (> 0) or outside (< 0) its limits, cut at `MARGIN_LIMIT`."""
    low = jnp.array([-jnp.inf if rule.low is None else rule.low for rule in rules])
    high = jnp.array([jnp.inf if rule.high is None else rule.high for rule in rules])
    softness = jnp.array([rule.softness for rule in rules])
    return jnp.clip(jnp.minimum(values - low, high - values) / softness, -MARGIN_LIMIT, MARGIN_LIMIT)


@partial(jax.jit, static_argnames=("rules", "use_confidence"))
def assess_rules(evidence: Evidence, rules: tuple[Rule, ...] = RULES, use_confidence: bool = True) -> Quality:
    """Judge N subjects by rules; R = len(rules), in their order.

    The score is the weighted geometric mean of the rules' soft passes, sigmoid(margin): near 1 where all lie
    well inside their limits. Without `use_confidence` rules on the softmax neither flag nor count.
    """
    values = features(evidence)[:, jnp.array([FEATURE_INDEX[rule.name] for rule in rules])]
    counts = jnp.array([_counts(rule, use_confidence) for rule in rules])
    weight = jnp.array([rule.weight for rule in rules]) * counts
    margin = margins(values, rules)
    score = jnp.exp(jax.nn.log_sigmoid(margin) @ weight / weight.sum())
    return Quality(score, (margin < 0) & counts, values)


def reasons(row: Quality, rules: tuple[Rule, ...] = RULES) -> list[str]:
    """The sentences of the rules that one subject failed, heaviest first. `row` is a `Quality` without N."""
    failed = sorted(np.flatnonzero(np.asarray(row.flags)), key=lambda r: -rules[r].weight)
    sentences = []
    for r in failed:
        value, rule = float(row.values[r]), rules[r]
        template = rule.too_low if rule.low is not None and value < rule.low else rule.too_high
        sentences.append((template or f"{rule.name} is {{value:.3g}}").format(value=abs(value), signed=value))
    return sentences
