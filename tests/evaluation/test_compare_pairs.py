"""Every arm against every other: pairing, tables, and the names of arms whose recipe holds files."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest
from evaluated_runs import add_run, dice_of

from semiqc_jax.evaluation.compare import compare_runs


def test_every_arm_against_every_other(tmp_path: Path, evaluations: Path) -> None:
    for draw in ("4", "5"):
        add_run(tmp_path, evaluations, "random", "fair", labelled_draw=draw)
        add_run(tmp_path, evaluations, "semiqcseg", "good", labelled_draw=draw)
    add_run(tmp_path, evaluations, "oracle", "good", labelled_draw="5")
    add_run(tmp_path, evaluations, "supervised", "bad", labelled_draw="6")  # nothing to be paired with
    found = compare_runs(tmp_path, tmp_path / "out")
    fair, good = (dice_of(evaluations, name) for name in ("fair", "good"))
    pairs = {(pair["arm"], pair["other"]): pair for pair in found.pairs}
    assert {*pairs} == {*itertools.permutations(("random", "semiqcseg", "oracle"), 2)}
    ours, theirs = pairs["semiqcseg", "random"], pairs["random", "semiqcseg"]
    assert ours["difference"] == pytest.approx(sum(good[i] - fair[i] for i in fair) / 3, abs=1e-5)
    assert ours["difference"] == pytest.approx(-theirs["difference"])
    assert (ours["n_paired_runs"], pairs["oracle", "random"]["n_paired_runs"]) == (2, 1)
    assert pairs["oracle", "semiqcseg"]["difference"] == pairs["oracle", "semiqcseg"]["low"] == 0
    assert ours["low"] < ours["difference"] < ours["high"]
    text = (tmp_path / "out" / "table.md").read_text()
    assert "| above | random | semiqcseg | oracle |" in text
    with (tmp_path / "out" / "pairs.csv").open(newline="") as handle:
        assert len(list(csv.DictReader(handle))) == len(found.pairs) == 6


def test_files_of_a_recipe_are_named_without_their_folders(tmp_path: Path, evaluations: Path) -> None:
    quality = {"name": "learned", "classifier": "somewhere/else/judge.npz"}
    add_run(tmp_path, evaluations, "semiqcseg", "good", quality=quality)
    add_run(tmp_path, evaluations, "semiqcseg", "fair", quality={"name": "rules"})
    arms = {line["arm"] for line in compare_runs(tmp_path, tmp_path / "out").summary}
    assert arms == {"semiqcseg (learned, classifier judge.npz)", "semiqcseg (rules, classifier none)"}
