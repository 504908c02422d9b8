"""The folder of an evaluation: keys of the contract, counts, tables, pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.errors import ConfigError, NothingUsableError
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.evaluate import write_evaluation
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.overlays import GalleryItem, crop_box, gallery_figure, spread_slices

HEADER = {"dataset": "boxes", "split": "test", "checkpoint": {"step": 3, "round": 1, "sha256": "0f"}}


def cases(case_of: Callable[..., Case]) -> list[Case]:
    wrong = case_of("wrong", 2, group="B")
    empty = wrong.predicted.copy()
    empty[empty == 3] = 0
    return [case_of("good", 0, group="$A"), replace(wrong, predicted=empty), case_of("fair", 1, group="B")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, case_of: Callable[..., Case]) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    write_evaluation(folder, iter(cases(case_of)), HEADER, SHORT_AXIS)
    return folder


def test_metrics_are_the_contract(written: Path) -> None:
    metrics = json.loads((written / "metrics.json").read_text())
    assert {key: metrics[key] for key in HEADER} == HEADER
    assert (metrics["schema"], metrics["protocol"], metrics["n_subjects"]) == (1, "native", 3)
    for measure in ("dice", "hd95_mm", "assd_mm"):
        assert set(metrics[measure]) == {"all", "ed", "es"}
        for by_class in metrics[measure].values():
            assert set(by_class) == {"lv", "myo", "rv", "mean"}
            assert all(set(cell) == {"mean", "sd", "n", "n_undefined"} for cell in by_class.values())
    assert set(metrics["indices"]) == {"reference", "predicted"}
    assert set(metrics["indices"]["predicted"]) == set(SHORT_AXIS.indices)
    assert set(metrics["indices"]["reference"]["lvm_g"]) == {
        *("n", "bias", "loa_low", "loa_high", "mae", "pearson_r")
    }


def test_numbers_by_hand(written: Path) -> None:
    metrics = json.loads((written / "metrics.json").read_text())
    lv = [1, 6 / 8, 7 / 8]
    assert metrics["dice"]["ed"]["lv"]["mean"] == pytest.approx(np.mean(lv))
    assert metrics["dice"]["ed"]["lv"]["sd"] == pytest.approx(np.std(lv, ddof=1))
    rv = metrics["hd95_mm"]["es"]["rv"]  # the empty prediction: Dice 0, no distance
    assert (rv["n"], rv["n_undefined"]) == (2, 1)
    assert metrics["dice"]["es"]["rv"]["mean"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert metrics["dice"]["all"]["rv"]["n"] == 6
    right_ventricle = metrics["indices"]["reference"]["rvedv_ml"]
    assert right_ventricle["bias"] == pytest.approx(-36 * 4 * 0.03 / 3)
    assert metrics["indices"]["reference"]["rvef_pct"]["n"] == 2  # an empty ventricle has none


def test_tables(written: Path) -> None:
    with (written / "per_case.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert (
        ",".join(rows[0]) == "subject_id,group,frame,phase,class,dice,hd95_mm,assd_mm,volume_ml,reference_ml"
    )
    assert len(rows) == 3 * 2 * 3
    gone = next(r for r in rows if (r["subject_id"], r["phase"], r["class"]) == ("wrong", "ed", "rv"))
    assert (float(gone["dice"]), gone["hd95_mm"], float(gone["volume_ml"])) == (0, "", 0)
    with (written / "indices.csv").open(newline="") as handle:
        indices = list(csv.DictReader(handle))
    assert [(r["source"], r["phase_source"]) for r in indices[:3]] == [
        ("truth", "reference"),
        ("prediction", "predicted"),
        ("prediction", "reference"),
    ]
    assert tuple(indices[0])[:10] == ("subject_id", *SHORT_AXIS.indices)


def test_pictures_are_there(written: Path) -> None:
    for name in ("dice", "bland_altman", "overlay_best", "overlay_median", "overlay_worst"):
        assert (written / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not [path for path in written.iterdir() if path.name.startswith(".")]


def test_voxel_distances_are_named_so(tmp_path: Path, case_of: Callable[..., Case]) -> None:
    metrics = write_evaluation(tmp_path, [case_of("a", 2)], {**HEADER, "protocol": "ssl4mis"}, SHORT_AXIS)
    assert "hd95_mm" not in metrics
    assert metrics["hd95_voxel"]["es"]["lv"]["mean"] == pytest.approx(2)
    assert "hd95_voxel" in (tmp_path / "per_case.csv").read_text().splitlines()[0]


def test_nothing_to_measure(tmp_path: Path, case_of: Callable[..., Case]) -> None:
    bare = replace(case_of(), labelled=np.zeros((2, 4, 3), bool))
    with pytest.raises(NothingUsableError):
        write_evaluation(tmp_path, [bare], HEADER, SHORT_AXIS)
    with pytest.raises(ConfigError, match="native"):
        write_evaluation(tmp_path, [case_of()], {**HEADER, "protocol": "mm"}, SHORT_AXIS)
    assert list(tmp_path.iterdir()) == []


def test_crops_and_slices() -> None:
    mask = np.zeros((6, 20, 30), bool)
    mask[1:5, 8:12, 10:20] = True
    assert crop_box(mask, (2, 3)) == (slice(6, 14), slice(7, 23))
    assert crop_box(np.zeros((2, 4, 5), bool), (1, 1)) == (slice(0, 4), slice(0, 5))
    np.testing.assert_array_equal(spread_slices(mask, 4), [1, 2, 3, 4])
    np.testing.assert_array_equal(spread_slices(mask, 1), [3])
    np.testing.assert_array_equal(spread_slices(mask[:3], 4), [1, 2])  # none twice


def test_gallery_grows_with_its_subjects(case_of: Callable[..., Case]) -> None:
    case = case_of()
    item = GalleryItem("$x_{", case.image[0], case.label[0], "score 0.9")
    one, two = (gallery_figure([item] * n, SHORT_AXIS, "accepted") for n in (1, 2))
    assert two.get_size_inches()[1] > one.get_size_inches()[1]
    assert figure_png(two).startswith(b"\x89PNG")
    assert figure_png(gallery_figure([], SHORT_AXIS, "rejected")).startswith(b"\x89PNG")
