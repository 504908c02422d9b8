"""What a round writes: who counts as selected, what was ranked by, and when its manifest holds."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import POOL, tiny_cohort, tiny_config

from semiqc_jax.datasets.cohort import read_truth
from semiqc_jax.files import number, read_csv, read_json
from semiqc_jax.pipeline import Segmentation
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.rounds.judge import rules_judge
from semiqc_jax.rounds.pool import Pool, choose
from semiqc_jax.rounds.segmenting import Part, segment_pool
from semiqc_jax.segmentation.assemble import BY_CLASS, MEASURED
from semiqc_jax.settings import load_settings

CHECKPOINT = {"step": 8, "sha256": "ab"}
CONFIDENCE = (0.7, 0.9, 0.8, 0.6)


def segmented(cohort, subject: int, confidence: float) -> Segmentation:
    """The truth as a prediction, with statistics that say little."""
    label, _ = read_truth(cohort, subject)
    lead = label.shape[:2]
    ones = np.ones((*lead, 3), np.float32)
    statistics = {
        **dict.fromkeys(MEASURED, ones[..., 0]),
        **dict.fromkeys(BY_CLASS, ones),
        "area_mm2": ones * np.random.default_rng(subject).uniform(100, 900, 3).astype(np.float32),
        "centroid_mm": np.zeros((*lead, 3, 2), np.float32),
        "confidence": ones[..., 0] * np.float32(confidence),
    }
    return Segmentation(cohort.subjects[subject].subject_id, label, statistics)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Four subjects, segmented and not yet judged."""
    cohort = tiny_cohort()
    subjects = tuple(cohort.index(i) for i in POOL)
    pool = Pool(cohort, subjects, tmp_path / "001")
    pool.store.write(0, [segmented(cohort, i, c) for i, c in zip(subjects, CONFIDENCE)], CHECKPOINT)
    return pool


def chosen(pool: Pool, selector: str, **changes: object) -> list[dict[str, str]]:
    """Choose; the rows of `quality.csv`."""
    choose(pool, load_settings(tiny_config(selector, **changes)), 1, rules_judge(SHORT_AXIS_CHECKS, True), CHECKPOINT)
    return read_csv(pool.folder / "quality.csv")


@pytest.mark.parametrize("selector", ["quality", "confidence", "random"])
def test_what_was_ranked_by_is_written(pool, selector):
    rows = chosen(pool, selector)
    ranked = [number(row["selector_score"]) for row in rows]
    assert len(set(ranked)) == 4
    assert {n for n in range(4) if rows[n]["selected"] == "1"} == set(np.argsort(ranked)[2:])
    if selector != "random":
        assert ranked == [number(row["score" if selector == "quality" else "confidence"]) for row in rows]
    assert [row["group"] for row in rows] == ["NOR", "DCM", "NOR", "DCM"]


@pytest.mark.parametrize("selector", ["all", "none", "oracle"])
def test_the_truth_and_empty_ranks_stay_out(pool, selector):
    assert [row["selector_score"] for row in chosen(pool, selector)] == [""] * 4


def test_soft_weights_count_as_selected_from_a_half(pool):
    rows = chosen(pool, "confidence", policy="soft")
    assert all(0 < number(row["weight"]) < 1 for row in rows)
    assert [row["selected"] for row in rows] == ["0", "1", "1", "0"]
    manifest = read_json(pool.manifest)
    assert (manifest["n_selected"], manifest["subjects"]) == (2, POOL[1:3])
    assert (pool.weight().max((1, 2)) > 0).all()


def test_a_round_that_is_redone_has_no_manifest_meanwhile(pool):
    chosen(pool, "quality")
    assert pool.is_whole
    pool.store.shard_path(0).unlink()
    assert not pool.is_whole
    killed = Part(pool.subjects, CHECKPOINT, lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        segment_pool(pool, [killed], lambda: None)
    assert not pool.is_complete


def test_weights_are_whole_or_as_they_were(pool, monkeypatch):
    chosen(pool, "quality")
    before, replace = pool.weight(), os.replace

    def die_at_weights(source: str, target: Path) -> None:
        if Path(target).name == "weights.npz":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("os.replace", die_at_weights)
    with pytest.raises(KeyboardInterrupt):
        chosen(pool, "all")
    np.testing.assert_array_equal(pool.weight(), before)


def test_one_store_a_pool(pool):
    assert pool.store is pool.store
