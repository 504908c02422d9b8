"""Explicit rules of physiology and geometry, each with a limit, a switch and a sentence for the report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.checks import Checks, Rule
from semiqc_jax.quality.features import features, measured
from semiqc_jax.quality.limits import Limits, with_limits
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence

AS_THEY_ARE: Limits = MappingProxyType({})
MARGIN_LIMIT = 6.0  # no single rule may say more than this many softnesses


def configure_rules(
    checks: Checks, off: Collection[str] = (), use_confidence: bool = True, limits: Limits = AS_THEY_ARE
) -> Checks:
    """`checks` without the rules that are switched off, and with other limits for some.

    Raises:
        ConfigError: names every unknown rule, or says that none is left that counts.
    """
    names, where = checks.rule_names, f"quality rules of {checks.task}"
    unknown = sorted({*off, *limits} - {*names})
    if unknown:
        raise ConfigError(f"no rule {', '.join(unknown)}", where, f"rules are {', '.join(names)}")
    if both := sorted({*off} & {*limits}):
        raise ConfigError(f"limits for {', '.join(both)}, which is off", where, "switch it on or give none")
    rules = with_limits(tuple(rule for rule in checks.rules if rule.name not in off), limits)
    if not any(checks.counts(rule, use_confidence) for rule in rules):
        raise ConfigError("no rule is left to judge by", where, "leave at least one on")
    return replace(checks, rules=rules)


def margins(values: Float[Array, "... R"], rules: tuple[Rule, ...]) -> Float[Array, "... R"]:
    """How many softnesses each value lies inside (> 0) or outside (< 0) its limits, cut at `MARGIN_LIMIT`.

    A value that is NaN lies as far outside as can be: what cannot be measured passes no rule.
    """
    low = jnp.array([-jnp.inf if rule.low is None else rule.low for rule in rules])
    high = jnp.array([jnp.inf if rule.high is None else rule.high for rule in rules])
    softness = jnp.array([rule.softness for rule in rules])
    inside = jnp.where(jnp.isnan(values), -jnp.inf, jnp.minimum(values - low, high - values))
    return jnp.clip(inside / softness, -MARGIN_LIMIT, MARGIN_LIMIT)


@partial(jax.jit, static_argnames=("checks", "use_confidence"))
def assess_rules(evidence: Evidence, checks: Checks, use_confidence: bool = True) -> Quality:
    """Judge N subjects by rules; R = len(checks.rules), in their order.

    The score is the weighted geometric mean of the rules' soft passes, sigmoid(margin): near 1 where all lie
    well inside their limits. Without `use_confidence` rules on what the network says neither flag nor count, nor does
    a rule whose feature cannot be measured of a subject; one of whom nothing can be measured has a score of 0.
    """
    rules = checks.rules
    values = features(evidence, checks)[:, jnp.array([checks.index[rule.name] for rule in rules])]
    counts = jnp.array([checks.counts(rule, use_confidence) for rule in rules])
    counts = counts & jax.vmap(partial(measured, checks=checks))(evidence)  # [N, R]
    weight = jnp.array([rule.weight for rule in rules]) * counts
    margin, total = margins(values, rules), weight.sum(-1)
    mean = jnp.sum(jax.nn.log_sigmoid(margin) * weight, -1) / jnp.where(total > 0, total, 1.0)
    return Quality(jnp.where(total > 0, jnp.exp(mean), 0.0), (margin < 0) & counts, values)


def reasons(row: Quality, checks: Checks) -> list[str]:
    """The sentences of the rules that one subject failed, heaviest first. `row` is a `Quality` without N."""
    rules = checks.rules
    failed = sorted(np.flatnonzero(np.asarray(row.flags)), key=lambda r: -rules[r].weight)
    sentences = []
    for r in failed:
        value, rule = float(row.values[r]), rules[r]
        if np.isnan(value):
            sentences.append(f"{rule.name} cannot be measured")
            continue
        template = rule.too_low if rule.low is not None and value < rule.low else rule.too_high
        sentences.append((template or f"{rule.name} is {{value:.3g}}").format(value=abs(value), signed=value))
    return sentences
