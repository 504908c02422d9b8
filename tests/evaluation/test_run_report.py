"""The page of a run: made at any stage, whole in one file, nothing in it can run."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.evaluate import write_evaluation
from semiqc_jax.evaluation.report import show, write_report

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_an_empty_folder_gives_a_page(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert "not started" in page.words
    assert "No evaluation yet" in page.words
    assert "img" not in page.tags


@pytest.fixture
def run(tmp_path: Path, case_of: Callable[..., Case]) -> Path:
    folder = tmp_path / "run"
    (folder / "rounds" / "001").mkdir(parents=True)
    config = {"method": "semiqcseg", "labelled": 3, "seed": 7, "note": HOSTILE, "model": {"name": "unet"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "status.json").write_text(json.dumps({"state": "preempted", "round": 1, "step": 20}))
    lines = [{"step": s, "round": s // 10, "loss": 1 / (s + 1), "dice_lv": s / 20} for s in range(20)]
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + '\n{"step": 2')
    with (folder / "rounds" / "001" / "quality.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        columns = ["subject_id", "score", "verdict", "calibration", "selected", "weight", "reasons"]
        writer.writerow([*columns, "selector_score", "group"])
        writer.writerow([HOSTILE, 0.9, "accept", "none", 1, 1, "", 0.3, "HCM"])
        writer.writerow(["p2", 0.1, "reject", "none", 0, 0, "RV & LV differ", 0.2, "DCM"])
        writer.writerow(["p3", 0.2, "review", "none", 1, 1, "", 0.775, "DCM"])
    (folder / "rounds" / "001" / "manifest.json").write_text(
        json.dumps({"round": 1, "n_pool": 2, "n_selected": 1})
    )
    write_evaluation(
        folder / "evaluation" / "test",
        [case_of(HOSTILE, 1, group="<b>"), case_of("good")],
        {"dataset": "boxes", "split": "test", "checkpoint": {"step": 20, "round": 1, "sha256": "0f"}},
        SHORT_AXIS,
    )
    groups = {"DCM": {"n": 41, "accepted": 17, "good": 23}}
    selection = {"rounds": [{"round": 1, "precision_accepted": 0.625, "accepted_by_group": groups}]}
    (folder / "evaluation" / "selection.json").write_text(json.dumps(selection))
    return folder


def test_everything_a_run_left_is_shown(run: Path) -> None:
    page = page_of(run)
    for text in ("preempted", "Round 001", "RV & LV differ", "0.625", "LV ejection fraction", "model.name"):
        assert text in page.words, text
    assert page.tags.count("img") == 2 + 3 + 1  # two plots, three overlays, the training curves


def test_choices_are_shown_by_group_and_in_the_selectors_order(run: Path) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    rows = re.findall(r"<tr><td>(DCM|p\d|&lt;script.*?)</td>(.*?)</tr>", text.split("Round 001: what")[1], re.DOTALL)
    cells = {name: re.findall(r"<td>(.*?)</td>", rest) for name, rest in rows}
    assert list(cells) == ["DCM", "p3", "&lt;script&gt;alert(1)&lt;/script&gt;", "p2"]
    assert cells["DCM"] == ["41", "17", "23"]
    assert cells["p3"][:3] == ["DCM", "0.775", "0.200"]
    assert "No limits are calibrated" in text


def test_a_round_of_older_files_has_no_empty_columns(run: Path) -> None:
    path = run / "rounds" / "001" / "quality.csv"
    path.write_text("subject_id,score,selected\np2,0.1,1\np3,0.2,1\n")
    (run / "evaluation" / "selection.json").unlink()
    text = write_report(run).read_text(encoding="utf-8")
    assert "ranked by" not in text
    assert "By disease group" not in text
    assert "No limits are calibrated" not in text
    assert text.index("<td>p3</td>") < text.index("<td>p2</td>")


def test_hostile_text_is_text_and_the_page_stands_alone(run: Path) -> None:
    page = page_of(run)
    assert "script" not in page.tags
    assert page.words.count(HOSTILE) >= 3  # the subject in two tables and the setting
    assert "<b>" in page.words
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)


def test_numbers_for_people() -> None:
    assert [show(v) for v in (None, float("nan"), "", 3, 0.12345, "0.5", "quality")] == [
        *("–", "–", "–", "3", "0.123", "0.500", "quality")
    ]
