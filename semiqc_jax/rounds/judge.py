"""The judge of a run: quality control by rules, or by a classifier that was fitted before the first round."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.limits import Limits
from semiqc_jax.quality.rules import AS_THEY_ARE, assess_rules, configure_rules, reasons
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence


@dataclass(frozen=True)
class Judge:
    """How a cohort's segmentations are judged, and on what that rests."""

    name: str  # quality_rules or quality_learned
    assess: Callable[[Evidence], Quality]
    reasons: Callable[[Quality], list[str]]  # sentences for one subject's row
    learned_from: str | None = None


def rules_judge(
    checks: Checks, use_confidence: bool, off: Collection[str] = (), limits: Limits = AS_THEY_ARE
) -> Judge:
    """A task's explicit rules without those that are `off`, with other `limits` for some; learned from nothing.

    Raises:
        ConfigError: `off` or `limits` names a rule that the task does not have, or no rule is left.
    """
    checks = configure_rules(checks, off, use_confidence, limits)
    assess = partial(assess_rules, checks=checks, use_confidence=use_confidence)
    return Judge("quality_rules", assess, partial(reasons, checks=checks))
