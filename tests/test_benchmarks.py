"""Benchmarks: calls in turn, ratios by hand with a clock of our own, and no timing of things that differ."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semiqc_jax.benchmarks.building import building
from semiqc_jax.benchmarks.contest import Contest, Spread, alternate, hold, same
from semiqc_jax.benchmarks.inference import inference
from semiqc_jax.benchmarks.machine import machine, versions
from semiqc_jax.benchmarks.reading import reading, reading_192, reading_cines
from semiqc_jax.benchmarks.registry import BENCHMARKS, report, run_benchmarks, table
from semiqc_jax.benchmarks.selecting import selecting
from semiqc_jax.benchmarks.training import train_step
from semiqc_jax.errors import ConfigError, UserError


class Workshop:
    """A clock that only calls move: each call of a function takes the next of its durations."""

    def __init__(self) -> None:
        self.now, self.called = 0.0, ""

    def function(self, name: str, durations: list[float], result: object = 1.0) -> Callable[[], object]:
        left = iter(durations)

        def call() -> object:
            self.called += name
            self.now += next(left)
            return result

        return call

    def contest(self, ours: list[float], reference: list[float], result: object = 1.0) -> Contest:
        """A contest whose calls before timing (one to compare, one to warm up) take 100 s each."""
        a = self.function("A", [100.0, 100.0, *ours])
        b = self.function("B", [100.0, 100.0, *reference], result)
        return Contest(a, b, "a loop", items=12, unit="slices")

    def clock(self) -> float:
        return self.now


def test_calls_alternate_after_one_untimed_call_of_each() -> None:
    shop = Workshop()
    contest = Contest(shop.function("A", [9, 1, 2, 3]), shop.function("B", [9, 4, 5, 6]), "", 1, "")
    assert alternate(contest, 3, shop.clock) == ([1, 2, 3], [4, 5, 6])
    assert shop.called == "AB" + "ABABAB"


def test_ratio_medians_and_spread_by_hand() -> None:
    shop = Workshop()
    outcome = hold("x", shop.contest([1, 2, 3, 4, 5], [2, 8, 9, 4, 20]), 5, shop.clock)
    assert outcome.ours_s == Spread(median=3, q1=2, q3=4, n=5)
    assert outcome.reference_s == Spread(median=8, q1=4, q3=9, n=5)
    assert outcome.ratio == Spread(median=3, q1=2, q3=4, n=5)  # of 2, 4, 3, 1, 4: pair by pair
    assert (outcome.ours_per_s, outcome.reference_per_s) == (12 / 3, 12 / 8)
    assert outcome.ours_s.iqr == 2


def test_different_results_are_not_timed() -> None:
    shop = Workshop()
    with pytest.raises(UserError, match="different results") as caught:
        hold("x", shop.contest([1], [1], result=1.5), 1, shop.clock)
    assert "benchmark x, reference a loop" in str(caught.value)
    assert shop.called == "AB"


def test_same_looks_at_structure_shape_and_values() -> None:
    a = {"x": np.array([1.0, np.nan]), "y": [np.int32(3)]}
    assert same(a, {"x": np.array([1.0, np.nan]), "y": [3]}, 0)
    assert not same(a, {"x": np.array([1.0, np.nan])}, 0)
    assert not same(np.ones(3), np.ones((3, 1)), 0)
    assert not same(1.0, 1.01, 1e-3)
    assert same(1.0, 1.01, 0.1)


def test_registry_runs_what_is_asked_for_and_reports_it(tmp_path: Path) -> None:
    ran: list[str] = []

    def prepare(name: str) -> Callable[[Path], Contest]:
        def make(folder: Path) -> Contest:
            assert folder.is_dir()
            ran.append(name)
            return Contest(lambda: np.ones(2), lambda: np.ones(2), "itself", 2, "things")

        return make

    toys = {name: prepare(name) for name in ("one", "two")}
    outcomes = dict(run_benchmarks(["two"], tmp_path / "a", 3, toys))
    assert ran == ["two"]
    assert list(dict(run_benchmarks([], tmp_path / "b", 3, toys))) == ["one", "two"]
    with pytest.raises(ConfigError, match=r"no such benchmark: three \(--only\): choose of one, two"):
        list(run_benchmarks(["one", "three"], tmp_path / "c", 3, toys))
    written = json.loads(json.dumps(report(outcomes)))
    assert written["results"]["two"]["ratio"].keys() == {"median", "q1", "q3", "n"}
    assert written["results"]["two"]["unit"] == "things"
    assert table(outcomes).row_count == 1


def test_machine_and_versions_are_named() -> None:
    assert machine()["cores"] >= 1  # type: ignore[operator]
    assert "8 x" in str(machine()["devices"])
    assert {"python", "jax", "numpy", "semiqc_jax"} <= versions().keys()


def test_selection_gives_what_a_loop_gives(tmp_path: Path) -> None:
    contest = selecting(tmp_path, n_subjects=50)
    weight = np.asarray(contest.ours())
    assert same(weight, contest.reference(), contest.rtol)
    assert 0 < (weight.max((1, 2)) > 0).sum() < 50
    assert contest.items == 50


def test_both_stored_forms_give_the_same_slices(tmp_path: Path) -> None:
    contest = reading(tmp_path, n_subjects=3)
    slices = contest.ours()
    assert len(slices) == contest.items == 3 * 4 * 8
    assert same(slices, contest.reference(), 0)


def test_cold_and_warm_reads_give_the_same(tmp_path: Path) -> None:
    for name, prepare in (("random", reading_192), ("whole", reading_cines)):
        contest = prepare(tmp_path / name, n_subjects=2, shape=(2, 3, 32, 32))
        assert contest.ours() == contest.reference() > 0
        assert contest.items == 2 * 2 * 3


def test_building_notes_time_and_memory(tmp_path: Path) -> None:
    contest = building(tmp_path, n_subjects=3, workers=0, shape=(2, 3, 32, 32))
    assert contest.ours() == contest.reference() > 0
    assert len(contest.notes["stream_mb"]) == 11
    assert contest.notes["build_parent_mb"]["largest"] >= contest.notes["build_parent_mb"]["before"] > 10
    outcome = hold("building", contest, 3)
    assert outcome.notes == contest.notes
    assert all(mb > 10 for mb in outcome.memory_mb)


def test_usual_layers_compute_the_same_loss(tmp_path: Path) -> None:
    contest = train_step(tmp_path, batch=4, size=16, base=2, depth=2)
    loss = contest.ours()
    assert same(loss, contest.reference(), 1e-5)
    assert np.isfinite(loss)
    assert contest.items == 4


def test_batches_give_what_single_slices_give(tmp_path: Path) -> None:
    contest = inference(tmp_path, n_subjects=2, base=2)
    counts = contest.ours()
    assert same(counts, contest.reference(), contest.rtol)
    assert contest.items == 2 * 4 * 8
    assert all(len(np.flatnonzero(c)) > 1 for c in counts)  # an empty prediction would compare nothing


def test_benchmarks_are_registered() -> None:
    reads = {"reading", "reading_192", "reading_cines", "building"}
    quality = {"quality_rules", "quality_svm", "quality_curves"}
    assert BENCHMARKS.keys() == {"train_step", "inference", "selection", *quality, *reads}
