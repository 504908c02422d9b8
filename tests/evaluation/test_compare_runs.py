"""Comparison of runs: refusals, labels, pairing, tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.evaluate import write_evaluation

HEADER = {"dataset": "boxes", "split": "test", "checkpoint": {"step": 9, "round": 1, "sha256": "0f"}}
# columns by which each subject's boxes are shifted in an evaluation
SHIFTS = {"bad": (2, 3, 1), "fair": (1, 2, 1), "good": (1, 0, 0)}


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory: pytest.TempPathFactory, case_of: Callable[..., Case]) -> Path:
    """Three evaluations, measured once; runs copy their files."""
    folder = tmp_path_factory.mktemp("evaluations")
    for name, shifts in SHIFTS.items():
        write_evaluation(folder / name, [case_of(f"p{i}", s) for i, s in enumerate(shifts)], HEADER)
    return folder


def add_run(
    root: Path, evaluations: Path, method: str, quality: str, state: str = "complete", **config: Any
) -> Path:
    known = {"method": method, "labelled": 3, "labelled_draw": "published", "seed": 1}
    known |= {"augmentation": "strong", "model": {"name": "unet"}, "preset": "cpu", **config}
    run = root / f"{method}_{'_'.join(str(v) for v in config.values() if not isinstance(v, dict))}{quality}"
    (run / "evaluation" / "test").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(known))
    (run / "status.json").write_text(json.dumps({"state": state, "round": 1, "step": 40}))
    for file in ("metrics.json", "per_case.csv"):
        (run / "evaluation" / "test" / file).write_bytes((evaluations / quality / file).read_bytes())
    if method != "supervised":
        record = {
            "rounds": [{"round": 1, "precision_accepted": 0.5}, {"round": 2, "precision_accepted": 0.75}]
        }
        (run / "evaluation" / "selection.json").write_text(json.dumps(record))
    return run


def dice_of(evaluations: Path, quality: str) -> dict[str, float]:
    """Mean Dice by subject, from the table itself."""
    with (evaluations / quality / "per_case.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    ids = sorted({row["subject_id"] for row in rows})
    values = {i: [float(row["dice"]) for row in rows if row["subject_id"] == i] for i in ids}
    return {i: sum(v) / len(v) for i, v in values.items()}


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
    assert "| semiqcseg | 3 | 1 |" in text
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
        "supervised, no augmentation, unet",
        "supervised, strong augmentation, unet",
        "supervised, strong augmentation, fcn",
        "semiqcseg, strong augmentation, fcn",
    }
    ours = next(line for line in found.summary if line["method"] == "semiqcseg")
    assert ours["difference"] == pytest.approx(0)  # paired with the FCN, not with the U-Net


def test_two_runs_of_one_setting_keep_their_folders(tmp_path: Path, evaluations: Path) -> None:
    first = add_run(tmp_path, evaluations, "oracle", "good")
    second = add_run(tmp_path, evaluations, "oracle", "fair")
    found = compare_runs(tmp_path, tmp_path / "out")
    assert {r["arm"] for r in found.rows} == {f"oracle [{first.name}]", f"oracle [{second.name}]"}
