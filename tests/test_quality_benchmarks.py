"""Speed of quality control: the loop that ours is set against gives the same, and so do eight devices."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from jax.sharding import PartitionSpec

from semiqc_jax.benchmarks.contest import same
from semiqc_jax.benchmarks.curve_cohort import CURVE_CHECKS, ON_CURVES, curve_cohort, scores_in_a_loop
from semiqc_jax.benchmarks.quality import quality_curves, quality_rules, quality_svm, rule_score, rules_and_linear
from semiqc_jax.parallel import Devices


def test_rules_give_what_a_loop_gives(tmp_path: Path) -> None:
    contest = quality_rules(tmp_path, n_subjects=200, compared=60)
    scores = np.asarray(contest.ours())
    assert same(scores, contest.reference(), contest.rtol)
    assert (contest.items, len(scores)) == (60, 60)
    assert contest.notes["subjects"] == 200
    assert np.ptp(scores) > 0.05  # equal scores would compare nothing


def test_support_vectors_give_what_scikit_learn_gives(tmp_path: Path) -> None:
    contest = quality_svm(tmp_path, n_subjects=200, compared=60)
    assert same(np.asarray(contest.ours()), contest.reference(), contest.rtol)
    assert "vectors" in contest.reference_name


def test_the_judge_of_curves_gives_what_a_loop_and_scikit_learn_give(tmp_path: Path) -> None:
    contest = quality_curves(tmp_path, n_subjects=40, compared=40, taught=40)
    chances = np.asarray(contest.ours())
    assert same(chances, contest.reference(), contest.rtol)
    assert np.ptp(chances) > 0.01
    assert "loop" in contest.reference_name


def test_lost_frames_score_lower() -> None:
    cohort = curve_cohort(400)
    quality = rule_score(cohort)
    jumps = np.asarray(quality.flags)[:, CURVE_CHECKS.rule_names.index("volume_jump")]
    assert 0.03 < jumps.mean() < 0.2
    assert np.asarray(quality.score)[jumps].mean() < np.asarray(quality.score)[~jumps].mean()
    assert {*CURVE_CHECKS.rule_names} == {*ON_CURVES}


def test_nothing_is_sorted_and_every_subject_costs_the_same() -> None:
    weights = np.zeros(len(ON_CURVES), np.float32)
    lowered = {n: rules_and_linear.lower(curve_cohort(n), weights).compile() for n in (64, 640)}
    assert " sort(" not in lowered[64].as_text()
    flops = {n: compiled.cost_analysis()["flops"] for n, compiled in lowered.items()}
    assert flops[640] / flops[64] < 10.2


def test_eight_devices_give_what_one_gives() -> None:
    cohort, weights = curve_cohort(64), np.linspace(-0.1, 0.1, len(ON_CURVES)).astype(np.float32)
    devices = Devices.of()
    assert devices.count == 8
    one = rules_and_linear(cohort, weights)
    eight = rules_and_linear(devices.shard(cohort), weights)
    assert eight[0].sharding.spec == PartitionSpec("data")
    for a, b in zip(one, eight):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(one[0], scores_in_a_loop(cohort), rtol=1e-3)
    assert jax.tree.leaves(eight)[0].shape == (64,)
