"""Rules and classifier together: the geometric mean of their scores, everything that either says."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from semiqc_jax.benchmarks.selecting import random_evidence
from semiqc_jax.quality.features import features
from semiqc_jax.quality.learned import fit
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS
from semiqc_jax.rounds.trained_judge import judge_by
from semiqc_jax.settings import QualitySettings

N = 12
IDS = [f"h{n}" for n in range(N)]


@pytest.fixture(scope="module")
def evidence():
    """Hearts whose slices have areas at random, unlike any heart."""
    nothing = random_evidence(N)
    area = np.random.default_rng(0).uniform(100, 900, nothing.area_mm2.shape).astype(np.float32)
    return nothing._replace(area_mm2=area, slice_extent_mm=np.full(nothing.slice_extent_mm.shape, 8, np.float32))


@pytest.fixture(scope="module")
def classifier(evidence):
    """One that hopes for nothing."""
    values = np.asarray(features(evidence, CHECKS), np.float64)
    return fit(values, np.linspace(0.2, 0.5, N), 0.85, "a made-up cohort", CHECKS)


@pytest.fixture(scope="module")
def judges(classifier):
    return {name: judge_by(CHECKS, QualitySettings(name=name), classifier) for name in ("learned", "both")}


def test_the_settings_choose(judges, classifier):
    rules = judge_by(CHECKS, QualitySettings(name="rules"), None)
    assert [rules.name, *(judge.name for judge in judges.values())] == [
        "quality_rules",
        "quality_learned",
        "quality_both",
    ]
    assert (rules.learned_from, judges["both"].learned_from) == (None, "a made-up cohort")
    # A run that had no round to judge has no classifier either.
    assert judge_by(CHECKS, QualitySettings(name="both"), None).name == "quality_rules"


def test_both_is_the_geometric_mean_and_says_all(judges, evidence):
    by_rules, learned, both = assess_rules(evidence, CHECKS), *(j.assess(evidence, IDS) for j in judges.values())
    np.testing.assert_allclose(both.score, np.sqrt(by_rules.score * learned.score), rtol=1e-6)
    assert both.flags.shape == both.values.shape == (N, len(CHECKS.rules) + 1)
    row = jax.tree.map(lambda x: np.asarray(x)[0], both)
    said = judges["both"].reasons(row)
    assert said[-1].startswith("Expected Dice is 0.")
    assert said[-1].endswith("(learned from a made-up cohort)")
    assert len(said) == row.flags.sum() > 2


def test_either_that_cannot_measure_makes_both_the_worst(judges, evidence):
    area = np.array(evidence.area_mm2)
    area[5] = np.nan
    broken = evidence._replace(area_mm2=area)
    both = judges["both"].assess(broken, IDS)
    assert both.score[5] == 0
    assert both.flags[5, -1]
    assert np.isfinite(both.score).all()


def test_rules_can_be_switched_off_in_both(evidence, classifier):
    off = QualitySettings(name="both", rules_off="lv_edv,lv_length")
    less = judge_by(CHECKS, off, classifier).assess(evidence, IDS)
    assert less.flags.shape == (N, len(CHECKS.rules) - 1)
