"""The judge of a run: quality control by rules, or by a classifier that was fitted before the first round."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from semiqc_jax.quality.rules import assess_rules, configure_rules, reasons
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence


@dataclass(frozen=True)
class Judge:
    """How a cohort's segmentations are judged, and on what that rests."""

    name: str  # quality_rules or quality_learned
    assess: Callable[[Evidence], Quality]
    reasons: Callable[[Quality], list[str]]  # sentences for one subject's row
    learned_from: str | None = None


def rules_judge(use_confidence: bool, off: Collection[str] = ()) -> Judge:
    """Explicit rules without those that are `off`; learned from nothing."""
    rules = configure_rules(off, use_confidence)
    assess = partial(assess_rules, rules=rules, use_confidence=use_confidence)
    return Judge("quality_rules", assess, partial(reasons, rules=rules))
