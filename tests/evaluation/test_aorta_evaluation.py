"""An aortic cine (one plane, six frames) through rows, indices, files, pictures, report and comparison."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.errors import ConfigError
from semiqc_jax.evaluation.cases import Case, case_rows, subject_indices
from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.evaluate import write_evaluation
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.overlays import GalleryItem, case_picture, gallery_figure, gallery_views, overlay_figure
from semiqc_jax.evaluation.report import write_report
from semiqc_jax.evaluation.summary_table import print_summary

AAO_ROWS = (10, 11, 12, 14, 13, 11)  # of 10 pixels of 2 x 1.5 mm: 30 mm^2 a row
DAO_ROWS = (6, 6, 7, 8, 9, 7)
HEADER = {"dataset": "planes", "split": "test", "checkpoint": {"step": 40, "round": 1, "sha256": "0f"}}
SubjectOf = Callable[..., Subject]


def plane(subject_of: SubjectOf, name: str = "a", less: int = 0, pressure: float | None = 50.0) -> Case:
    """The prediction lacks `less` rows of the ascending aorta in every frame."""
    label = np.zeros((6, 1, 32, 32), np.uint8)
    predicted = label.copy()
    for t, (aao, dao) in enumerate(zip(AAO_ROWS, DAO_ROWS)):
        for volume, rows in ((label, aao), (predicted, aao - less)):
            volume[t, 0, 2 : 2 + rows, 3:13] = 1
            volume[t, 0, 18 : 18 + dao, 18:28] = 2
    extra = None if pressure is None else {"pulse_pressure_mmhg": pressure}
    image = np.random.default_rng(0).integers(0, 256, label.shape).astype(np.uint8)
    return Case(subject_of(name, label.shape, extra=extra), image, predicted, label, np.ones((6, 1, 2), bool))


def test_rows_and_indices_by_hand(subject_of: SubjectOf) -> None:
    case = plane(subject_of, less=2)
    rows = {(row.frame, row.class_name): row for row in case_rows(case, AORTA)}
    assert len(rows) == 12
    assert {frame for (frame, _), row in rows.items() if row.phase == "ed"} == {0}  # the smallest ascending aorta
    assert {frame for (frame, _), row in rows.items() if row.phase == "es"} == {3}
    first = rows[0, "aao"]
    assert (first.measured, first.reference) == (240, 300)
    assert first.dice == pytest.approx(2 * 8 / 18)
    assert first.hd95_mm == pytest.approx(4)  # two rows of 2 mm
    found = subject_indices(case, AORTA)
    np.testing.assert_allclose(list(found.truth.values()), [420, 300, 40, 8, 270, 180, 50, 10])
    np.testing.assert_allclose(list(found.reference.values())[:4], [360, 240, 50, 10])
    assert found.reference == found.predicted


def test_reference_areas_are_read_where_the_truth_is_extreme(subject_of: SubjectOf) -> None:
    case = plane(subject_of)
    predicted = np.roll(case.predicted, 1, 0)
    found = subject_indices(replace(case, predicted=predicted), AORTA)
    assert (found.predicted["aao_max_mm2"], found.predicted["aao_min_mm2"]) == (420, 300)
    assert (found.reference["aao_max_mm2"], found.reference["aao_min_mm2"]) == (360, 330)  # frames 3 and 0
    assert (found.reference["dao_max_mm2"], found.reference["dao_min_mm2"]) == (240, 210)  # frames 4 and 0


def test_a_truth_on_some_frames_is_read_there(subject_of: SubjectOf) -> None:
    case = plane(subject_of, less=1)
    labelled = case.labelled.copy()
    labelled[[1, 2, 3, 4], :, 0] = False
    labelled[1:, :, 1] = False
    found = subject_indices(replace(case, labelled=labelled), AORTA)
    np.testing.assert_allclose(list(found.truth.values())[:3], [330, 300, 10])
    assert found.reference["aao_max_mm2"] == 300
    assert all(np.isnan(found.truth[name]) and np.isnan(found.reference[name]) for name in AORTA.indices[4:])
    rows = case_rows(replace(case, labelled=labelled), AORTA)
    assert {row.frame: row.phase for row in rows if row.class_name == "aao"} == {0: "ed", 5: "es"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, subject_of: SubjectOf) -> Path:
    """A finished, evaluated run without any pulse pressure."""
    folder = tmp_path_factory.mktemp("runs") / "supervised"
    cases = [plane(subject_of, f"p{less}", less, None) for less in range(3)]
    write_evaluation(folder / "evaluation" / "test", cases, HEADER, AORTA)
    config = {"method": "supervised", "labelled": 3, "seed": 1, "model": {"name": "unet"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "status.json").write_text(json.dumps({"state": "complete", "round": 1, "step": 40}))
    (folder / "splits.json").write_text(json.dumps({"test": ["p0", "p1", "p2"]}))
    return folder


def test_metrics_and_tables(run: Path) -> None:
    evaluation = run / "evaluation" / "test"
    metrics = json.loads((evaluation / "metrics.json").read_text())
    assert metrics["task"] == "aorta"
    assert set(metrics["dice"]["ed"]) == {"aao", "dao", "mean"}
    for source in ("reference", "predicted"):
        found = metrics["indices"][source]
        assert tuple(found) == AORTA.indices
        assert found["aao_max_mm2"]["bias"] == pytest.approx(-30)  # none, one and two rows
        assert found["aao_distensibility_1e3_per_mmhg"]["n"] == 0
    with (evaluation / "per_case.csv").open(newline="") as handle:
        row = next(csv.DictReader(handle))
    assert list(row)[8:] == ["volume_ml", "reference_ml", "area_mm2", "reference_mm2"]
    assert [row[name] for name in list(row)[8:]] == ["", "", "300", "300"]
    with (evaluation / "indices.csv").open(newline="") as handle:
        assert tuple(next(csv.reader(handle))) == ("subject_id", *AORTA.indices, "source", "phase_source")
    pictures = ("dice", "bland_altman", "curves", "overlay_best", "overlay_median", "overlay_worst")
    assert all((evaluation / f"{name}.png").is_file() for name in pictures)


def test_the_report_speaks_of_areas(run: Path) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    error = "Ascending aorta, largest area error (mm²)"
    for words in (error, "Area curves", "smallest area", "at the reference extremes"):
        assert words in text, words
    assert "that needs the central pulse pressure" in text
    assert "end-diastole" not in text
    assert "(ml)" not in text


def test_runs_of_one_task_are_compared(
    run: Path, tmp_path: Path, case_of: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    shutil.copytree(run, runs / "one")
    found = compare_runs(runs, out)
    assert found.rows[0]["dice_aao"] < found.rows[0]["dice_dao"] == 1
    assert found.rows[0]["aao_max_mae_mm2"] == pytest.approx(30)
    assert found.rows[0]["no_hd95"] == 0
    header = (out / "table.csv").read_text().splitlines()[0]
    assert "dice_aao,dice_dao,hd95_mm,no_hd95,aao_max_mae_mm2,aao_strain_mae_pct" in header
    assert json.loads((out / "table.json").read_text())["task"] == "aorta"
    assert "AAo strain %" in (out / "table.md").read_text()
    print_summary(found)
    assert "DAo max mm²" in capsys.readouterr().out

    shutil.copytree(run, runs / "heart")
    write_evaluation(runs / "heart" / "evaluation" / "test", [case_of("p0")], HEADER, SHORT_AXIS)
    with pytest.raises(ConfigError, match=r"different tasks \(aorta: one; short_axis: heart\)"):
        compare_runs(runs, out)


def test_a_gallery_of_a_plane_shows_the_cycle(subject_of: SubjectOf) -> None:
    assert gallery_views(AORTA, 100, 1, 90) == [(90, 0), (10, 0), (30, 0), (50, 0), (70, 0)]
    assert gallery_views(AORTA, 3, 1, 1) == [(1, 0), (2, 0), (0, 0)]
    assert gallery_views(SHORT_AXIS, 9, 3, 4) == [(4, 0), (4, 1), (4, 2)]
    case = plane(subject_of)
    picture = case_picture(case, AORTA)
    assert (picture.frames, picture.slices, picture.image.shape[:2]) == ((0, 3), (0,), (2, 1))
    figure = overlay_figure(picture, AORTA, "one")
    assert [axes.get_ylabel() for axes in figure.axes] == ["smallest area (frame 1)", "largest area (frame 4)"]
    views = tuple(np.transpose(gallery_views(AORTA, 6, 1, 3)))
    item = GalleryItem("a", case.image[views], case.label[views], "score 0.9")
    figure = gallery_figure([item], AORTA, "accepted")
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 5
    assert figure_png(figure).startswith(b"\x89PNG")
