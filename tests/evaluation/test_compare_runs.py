"""Comparison of runs: refusals, labels, pairing, tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluated_runs import HEADER, add_run, dice_of

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.evaluate import write_evaluation


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError):
        compare_runs(tmp_path, tmp_path / "out")


def test_unfinished_runs_are_refused_by_name(tmp_path: Path, evaluations: Path) -> None:
    add_run(tmp_path, evaluations, "supervised", "bad")
    late = add_run(tmp_path, evaluations, "oracle", "good", state="running")
    with pytest.raises(DataError, match=rf"{late.name} \(running\)"):
        compare_runs(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unevaluated_and_foreign_runs_are_refused(tmp_path: Path, evaluations: Path) -> None:
    add_run(tmp_path, evaluations, "supervised", "bad")
    run = add_run(tmp_path, evaluations, "oracle", "good")
    path = run / "evaluation" / "test" / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps({**metrics, "dataset": "others"}))
    with pytest.raises(DataError, match="boxes, others"):
        compare_runs(tmp_path, tmp_path / "out")
    path.unlink()
    with pytest.raises(DataError, match=run.name):
        compare_runs(tmp_path, tmp_path / "out")


def test_evaluations_of_something_else_are_refused(tmp_path: Path, evaluations: Path) -> None:
    run = add_run(tmp_path, evaluations, "oracle", "good")
    path = run / "evaluation" / "test" / "metrics.json"
    metrics = json.loads(path.read_text())
    path.write_text(json.dumps({**metrics, "checkpoint": {"step": 10, "round": 0}}))
    with pytest.raises(DataError, match=r"of step 10, the run ended at step 40 \(.*oracle.*without --checkpoint"):
        compare_runs(tmp_path, tmp_path / "out")
    path.write_text(json.dumps(metrics))
    (run / "splits.json").write_text(json.dumps({"test": ["p0", "p2"]}))
    with pytest.raises(DataError, match=r"1 subjects? .*not in the run's test split \(p1"):
        compare_runs(tmp_path, tmp_path / "out")


def test_runs_of_other_test_subjects_are_refused(tmp_path: Path, evaluations: Path) -> None:
    first = add_run(tmp_path, evaluations, "oracle", "good")
    second = add_run(tmp_path, evaluations, "random", "good")
    path = second / "evaluation" / "test" / "per_case.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("p2")))
    with pytest.raises(DataError, match=f"other test subjects than {first.name}: {second.name}"):
        compare_runs(tmp_path, tmp_path / "out")


def test_tables(tmp_path: Path, evaluations: Path) -> None:
    add_run(tmp_path, evaluations, "semiqcseg", "good")
    add_run(tmp_path, evaluations, "semiqcseg", "fair", labelled_draw="4")
    add_run(tmp_path, evaluations, "supervised", "bad")
    add_run(tmp_path, evaluations, "supervised", "bad", labelled=7)
    found = compare_runs(tmp_path, tmp_path / "out")
    assert [(r["method"], r["labelled"], r["draw"]) for r in found.rows] == [
        ("supervised", "3", "published"),
        ("semiqcseg", "3", "4"),
        ("semiqcseg", "3", "published"),
        ("supervised", "7", "published"),
    ]
    bad, fair, good = (dice_of(evaluations, name) for name in ("bad", "fair", "good"))
    ours = found.summary[1]
    assert (ours["arm"], ours["n_runs"], ours["n_draws"], ours["n_seeds"]) == ("semiqcseg", 2, 2, 1)
    assert ours["dice_mean"] == pytest.approx((sum(good.values()) + sum(fair.values())) / 6, abs=1e-5)
    # only the published draw has a supervised run to be paired with
    assert ours["n_paired_runs"] == 1
    assert ours["difference"] == pytest.approx(sum(good[i] - bad[i] for i in bad) / 3, abs=1e-5)
    gains = [good[i] - bad[i] for i in bad]
    assert min(gains) - 1e-5 <= ours["difference_low"] <= ours["difference"] <= ours["difference_high"]
    assert ours["precision_accepted"] == 0.75  # the last round's
    assert found.summary[0]["precision_accepted"] != found.summary[0]["precision_accepted"]  # undefined
    assert found.rows[2]["updates"] == 40


def test_files(tmp_path: Path, evaluations: Path) -> None:
    add_run(tmp_path, evaluations, "supervised", "bad")
    add_run(tmp_path, evaluations, "semiqcseg", "good")
    out = tmp_path / "out"
    found = compare_runs(tmp_path, out)
    with (out / "table.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert float(rows[1]["dice_mean"]) == pytest.approx(found.rows[1]["dice_mean"], abs=1e-5)
    assert rows[0]["precision_accepted"] == ""
    table = json.loads((out / "table.json").read_text())
    assert (len(table["rows"]), len(table["summary"])) == (2, 2)
    assert table["rows"][0]["precision_accepted"] is None
    text = (out / "table.md").read_text()
    assert "| semiqcseg | 3 | 1 | 1 |" in text
    widths = {line.count("|") for line in text.split("## Runs")[1].splitlines() if line}
    assert len(widths) == 1
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert (out / "dice_by_method.png").is_file()
    assert (out / "difference.png").is_file()
    assert len(compare_runs(tmp_path, out).rows) == 2  # the output is no run


def test_arms_are_told_apart(tmp_path: Path, evaluations: Path) -> None:
    add_run(tmp_path, evaluations, "supervised", "bad", augmentation="none")
    add_run(tmp_path, evaluations, "supervised", "fair")
    add_run(tmp_path, evaluations, "supervised", "good", model={"name": "fcn"})
    add_run(tmp_path, evaluations, "semiqcseg", "good", model={"name": "fcn"})
    found = compare_runs(tmp_path, tmp_path / "out")
    assert {line["arm"] for line in found.summary} == {
        "supervised, unet, no augmentation",
        "supervised, unet, strong augmentation",
        "supervised, fcn",
        "semiqcseg, fcn",
    }
    ours = next(line for line in found.summary if line["method"] == "semiqcseg")
    assert ours["difference"] == pytest.approx(0)  # paired with the FCN, not with the U-Net


def test_two_runs_of_one_setting_keep_their_folders(tmp_path: Path, evaluations: Path) -> None:
    first = add_run(tmp_path, evaluations, "oracle", "good")
    second = add_run(tmp_path, evaluations, "oracle", "fair")
    found = compare_runs(tmp_path, tmp_path / "out")
    assert {r["arm"] for r in found.rows} == {f"oracle [{first.name}]", f"oracle [{second.name}]"}


def test_recipes_are_told_apart_within_a_method(tmp_path: Path, evaluations: Path) -> None:
    rules = {"name": "rules", "use_confidence": True}
    add_run(tmp_path, evaluations, "semiqcseg", "good", quality=rules, fraction=0.5)
    add_run(tmp_path, evaluations, "semiqcseg", "fair", quality=rules, fraction=0.25)
    add_run(tmp_path, evaluations, "semiqcseg", "bad", quality={**rules, "use_confidence": False}, fraction=0.5)
    add_run(tmp_path, evaluations, "semiqcseg", "bad", quality={**rules, "name": "learned"}, fraction=0.5)
    add_run(tmp_path, evaluations, "random", "bad", quality=rules, fraction=0.5, inference_batch=8)
    add_run(tmp_path, evaluations, "random", "bad", quality=rules, fraction=0.5, seed=2)
    add_run(tmp_path, evaluations, "random", "bad", quality=rules, fraction=0.25, labelled=7)
    found = compare_runs(tmp_path, tmp_path / "out")
    assert sorted((line["arm"], line["n_runs"]) for line in found.summary) == [
        ("random", 1),  # 7 labelled subjects: the fraction tells nothing apart
        ("random", 2),
        ("semiqcseg (fraction 0.25, rules, use confidence on)", 1),
        ("semiqcseg (fraction 0.5, learned, use confidence on)", 1),
        ("semiqcseg (fraction 0.5, rules, use confidence off)", 1),
        ("semiqcseg (fraction 0.5, rules, use confidence on)", 1),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"select_by": ("subject", "slice")}, ("select by subject", "select by slice")),
        ({"cross_fit": (False, True)}, ("cross fit off", "cross fit on")),
    ],
    ids=str,
)
def test_a_run_of_an_older_version_is_one_with_the_defaults(
    tmp_path: Path, evaluations: Path, change: dict[str, Any], words: tuple[str, str]
) -> None:
    ((name, (default, other)),) = change.items()
    add_run(tmp_path, evaluations, "supervised", "bad")
    add_run(tmp_path, evaluations, "semiqcseg", "good")  # its file knows nothing of the setting
    add_run(tmp_path, evaluations, "semiqcseg", "good", seed=2, **{name: default})
    add_run(tmp_path, evaluations, "semiqcseg", "fair", **{name: other})
    found = compare_runs(tmp_path, tmp_path / "out")
    assert {line["arm"]: (line["n_runs"], line["n_paired_runs"]) for line in found.summary} == {
        "supervised": (1, 0),
        f"semiqcseg ({words[0]})": (2, 1),
        f"semiqcseg ({words[1]})": (1, 1),
    }


def test_a_network_with_its_own_schedule_needs_no_more_words(tmp_path: Path, evaluations: Path) -> None:
    for name, updates in (("unet", 1200), ("fcn", 800)):
        for method in ("supervised", "semiqcseg"):
            add_run(tmp_path, evaluations, method, "good", model={"name": name}, updates=updates)
    found = compare_runs(tmp_path, tmp_path / "out")
    assert [line["arm"] for line in found.summary] == [
        *("supervised, fcn", "supervised, unet", "semiqcseg, fcn", "semiqcseg, unet")
    ]
    assert [line["n_paired_runs"] for line in found.summary] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "other",
    [
        *({"updates": 5}, {"rounds": 3}, {"round_updates": 5}, {"batch_size": 5}, {"grid": {"size": 5}}),
        *({"model": {"name": "unet", "base": 5}}, {"augmentation": "none"}, {"seed": 5}),
    ],
    ids=str,
)
def test_a_baseline_of_another_recipe_is_none(
    tmp_path: Path, evaluations: Path, other: dict[str, Any]
) -> None:
    recipe: dict[str, Any] = {"updates": 4, "rounds": 2, "round_updates": 4, "batch_size": 4}
    recipe |= {"grid": {"size": 4}, "model": {"name": "unet", "base": 4}}
    add_run(tmp_path, evaluations, "supervised", "bad", **recipe, fraction=1.0, quality={"name": "rules"})
    add_run(tmp_path, evaluations, "semiqcseg", "good", **recipe, fraction=0.5, quality={"name": "learned"})
    add_run(tmp_path, evaluations, "random", "good", **{**recipe, **other})
    pairs = {line["method"]: line["n_paired_runs"] for line in compare_runs(tmp_path, tmp_path / "out").summary}
    assert pairs == {"supervised": 0, "semiqcseg": 1, "random": 0}


def test_structures_without_a_distance_are_counted(tmp_path: Path, case_of: Callable[..., Case]) -> None:
    case = case_of("p0", 1)
    missed, partly = case.predicted.copy(), case.labelled.copy()
    missed[0][missed[0] == 1] = 0  # no LV at ED: no distance, and that counts
    missed[:, :, :, 17:] = 0  # no RV either ...
    partly[:, 0, 2] = False  # ... but the RV is not drawn on every slice: nothing to measure
    for name, predicted in (("one", case.predicted), ("two", missed)):
        measured = replace(case, predicted=predicted, labelled=partly)
        write_evaluation(tmp_path / "evaluations" / name, [measured], HEADER, SHORT_AXIS)
    runs = tmp_path / "runs"
    runs.mkdir()
    add_run(runs, tmp_path / "evaluations", "supervised", "one")
    add_run(runs, tmp_path / "evaluations", "oracle", "two")
    found = compare_runs(runs, tmp_path / "out")
    assert [row["no_hd95"] for row in found.rows] == [0, 1]
    page = (tmp_path / "out" / "report.html").read_text()
    hd95 = found.summary[1]["hd95_mm"]
    assert f'<td class="best">{hd95:.1f}</td>' not in page  # no best HD95 where one lost structures
    cell = json.loads((runs / "oracle_1two/evaluation/test/metrics.json").read_text())["hd95_mm"]["all"]
    assert (cell["lv"]["n"], cell["lv"]["n_undefined"]) == (1, 1)
    assert (cell["rv"]["n"], cell["rv"]["n_undefined"]) == (0, 0)


def test_intervals_know_that_draws_differ(tmp_path: Path, evaluations: Path) -> None:
    for name, qualities in (("one", ("fair",)), ("three", ("good", "bad", "bad"))):
        root = tmp_path / name
        root.mkdir()
        for draw, quality in enumerate(qualities):
            add_run(root, evaluations, "random", quality, labelled_draw=str(draw))
    one, three = (compare_runs(tmp_path / n, tmp_path / "out").summary[0] for n in ("one", "three"))
    assert (one["n_draws"], three["n_draws"]) == (1, 3)
    good, bad = (dice_of(evaluations, name) for name in ("good", "bad"))
    # all draws the good one, all patients the best; and the reverse
    assert three["dice_low"] < sum(bad.values()) / 3 < sum(good.values()) / 3 < three["dice_high"]
    fair = dice_of(evaluations, "fair").values()
    assert min(fair) - 1e-5 <= one["dice_low"] <= one["dice_high"] <= max(fair) + 1e-5
