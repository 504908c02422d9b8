"""The judge of a run: by rules, a classifier fitted before the first round, or both; and its check of volume curves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp

from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.curve_chance import WRONG, CurveJudge, chance_of_wrong_volumes, curve_reason
from semiqc_jax.quality.learned import Classifier, assess_learned, learned_reasons
from semiqc_jax.quality.limits import Limits
from semiqc_jax.quality.rules import AS_THEY_ARE, assess_rules, configure_rules, reasons
from semiqc_jax.quality.score import Quality
from semiqc_jax.segmentation.evidence import Evidence


@dataclass(frozen=True)
class Judge:
    """How a cohort's segmentations are judged, and on what that rests."""

    name: str  # quality_rules, quality_learned or quality_both; `+curves` where volume curves are judged too
    assess: Callable[[Evidence, Sequence[str]], Quality]  # of the named subjects
    reasons: Callable[[Quality], list[str]]  # sentences for one subject's row
    learned_from: str | None = None
    taught_by: frozenset[str] = frozenset()  # ids of the real subjects whose labels it learned from


def rules_judge(
    checks: Checks, use_confidence: bool, off: Collection[str] = (), limits: Limits = AS_THEY_ARE
) -> Judge:
    """A task's explicit rules without those that are `off`, with other `limits` for some; learned from nothing.

    Raises:
        ConfigError: `off` or `limits` names a rule that the task does not have, or no rule is left.
    """
    checks = configure_rules(checks, off, use_confidence, limits)
    assess = partial(assess_rules, checks=checks, use_confidence=use_confidence)
    return Judge("quality_rules", lambda evidence, _: assess(evidence), partial(reasons, checks=checks))


def learned_judge(classifier: Classifier, use_confidence: bool) -> Judge:
    """The judge that a classifier makes; none of the subjects that it learned from is judged by what it taught."""
    return Judge(
        "quality_learned",
        lambda evidence, subjects: assess_learned(evidence, classifier, subjects, use_confidence),
        lambda row: learned_reasons(row, classifier),
        classifier.learned_from,
        frozenset(classifier.folds.of),
    )


def both_judges(rules: Judge, learned: Judge) -> Judge:
    """Rules and classifier together: the geometric mean of their scores, the flags and the reasons of both."""

    def assess(evidence: Evidence, subjects: Sequence[str]) -> Quality:
        a, b = (one.assess(evidence, subjects) for one in (rules, learned))
        columns = (jnp.concatenate([x, y], 1) for x, y in ((a.flags, b.flags), (a.values, b.values)))
        return Quality(jnp.sqrt(a.score * b.score), *columns)

    def sentences(row: Quality) -> list[str]:
        first, last = (Quality(row.score, row.flags[at], row.values[at]) for at in (slice(-1), slice(-1, None)))
        return [*rules.reasons(first), *learned.reasons(last)]

    return Judge("quality_both", assess, sentences, learned.learned_from, learned.taught_by)


def with_curves(judge: Judge, curves: CurveJudge | None) -> Judge:
    """`judge` and one check more, its last: the chance that the LV's volumes are wrong; `judge` itself without one.

    The score is multiplied by the chance that they are right. Of subjects with fewer than 8 frames the curve says
    nothing: their score stays, the check's value is NaN, and a sentence says so.
    """
    if curves is None:
        return judge

    def assess(evidence: Evidence, subjects: Sequence[str]) -> Quality:
        of_masks, wrong = judge.assess(evidence, subjects), chance_of_wrong_volumes(evidence, curves)
        score = of_masks.score * (1 - jnp.nan_to_num(wrong))
        flags = jnp.concatenate([of_masks.flags, (wrong >= WRONG)[:, None]], -1)
        return Quality(score, flags, jnp.concatenate([of_masks.values, wrong[:, None]], -1))

    def sentences(row: Quality) -> list[str]:
        own = Quality(row.score, row.flags[:-1], row.values[:-1])
        return judge.reasons(own) + curve_reason(float(row.values[-1]))

    sources = [source for source in (judge.learned_from, f"curves: {curves.learned_from}") if source]
    return Judge(f"{judge.name}+curves", assess, sentences, "; ".join(sources), judge.taught_by)
