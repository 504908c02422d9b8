"""The study of slices on made-up tables, whose best score is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.files import read_json
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.rounds.slice_judge import read_slice_regressor
from semiqc_jax.segmentation.assemble import BY_CLASS, assemble_evidence
from semiqc_jax.studies.slice_tables import read_slices
from semiqc_jax.studies.slices import study_slices

PATIENTS, FRAMES, SLICES = 10, 2, 6


def write_table(path: Path, seed: int, labelled: int, patients: int = PATIENTS) -> None:
    """A network whose slices are as good as their cavity is enclosed; confidence says half of it."""
    rng = np.random.default_rng(seed)
    lead = (patients, FRAMES, SLICES)
    dice, area = rng.uniform(0.2, 1, lead), rng.uniform(100, 900, (*lead, 3))
    area[0, 0, :2] = 0  # nothing predicted: once where something is drawn, once where nothing is
    by_class = np.repeat(dice[..., None], 3, -1)
    by_class[0, 0, :2] = np.array([[0.0], [np.nan]])
    flat = {
        "enclosure": dice,
        "confidence": np.clip(dice / 2 + rng.uniform(0.1, 0.5, lead), 0, 1),
        **dict.fromkeys(("contact", "attachment", "holes_mm2", "flip_variance"), 0 * dice),
        "flips": 4 + 0 * dice,
        "entropy": 1 - dice / 2,
        "uncertain_pixels": 9 + 0 * dice,
    }
    each = dict.fromkeys(BY_CLASS, np.ones_like(area)) | {"area_mm2": area, "centroid_mm": np.zeros((*area.shape, 2))}
    studies = [{k: np.asarray(v[n], np.float32) for k, v in (flat | each).items()} for n in range(patients)]
    evidence = assemble_evidence(studies, [np.full(SLICES, 10.0)] * patients)
    np.savez(
        path,
        **evidence._asdict(),
        slice_dice=by_class,
        dice=dice.mean((1, 2)),
        subject_id=np.array([f"p{n}" for n in range(patients)]),
        task="short_axis",
        run=path.stem.split("_")[0],
        labelled=labelled,
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks of one patient and one of three."""
    folder = tmp_path_factory.mktemp("tables")
    for k, labelled in enumerate((1, 1, 3)):
        write_table(folder / f"run{k}_step00010.npz", k, labelled)
    np.savez(folder / "cohort.npz", image=np.zeros(1))  # no network
    return folder


def test_slices_with_nothing_to_judge_are_left_out(tables: Path) -> None:
    table = read_slices(tables)
    assert len(table.dice) == 3 * (PATIENTS * FRAMES * SLICES - 2)
    assert table.n_missed == 3
    assert table.labelled == (1, 1, 3)
    assert [rows.sum() for rows in table.rows_of_networks] == [len(table.dice) / 3] * 3


def test_the_study_finds_the_best_score(tables: Path, tmp_path: Path) -> None:
    found = study_slices(tables, tmp_path)
    assert found["networks"] == {"all": 3, "1": 2, "3": 1}
    assert [*found["spearman"]][-3:] == ["learned", "learned, runs apart", "subject's true Dice"]
    value = {name: of["all"][0] for name, of in found["spearman"].items()}
    assert value["learned"] > value["learned, runs apart"] > 0.95 > 0.8 > value["confidence"] > value["subject"]
    assert value["learned"] - value["confidence"] == pytest.approx(found["learned_minus_confidence"]["all"][0])
    for of in found["spearman"].values():
        assert of["all"][1] <= of["all"][0] <= of["all"][2]
        assert of["all"][0] == pytest.approx((2 * of["1"][0] + of["3"][0]) / 3)
    half = {name: of["mean_dice"] for name, of in found["best_half"].items()}
    assert half["true Dice"] >= half["learned"] > half["confidence"] > half["place"]
    text = (tmp_path / "table.md").read_text()
    assert f"| learned | {value['learned']:.3f} [" in text
    assert "| score | all (3) | 1 labelled (2) | 3 labelled (1) |" in text
    assert read_json(tmp_path / "results.json")["slices"] == found["slices"]
    fitted = read_slice_regressor(tmp_path / "slice_regressor.npz", SHORT_AXIS_CHECKS)
    assert {*fitted.folds.of} == {f"p{n}" for n in range(PATIENTS)}
    assert fitted.learned_from == "3 networks' segmentations of 10 patients, 354 slices, cross-fitted by patient"


def test_nothing_is_learned_of_the_excluded(tables: Path, tmp_path: Path) -> None:
    found = study_slices(tables, tmp_path, exclude=["p0", "p7"])
    assert found["patients"] == PATIENTS - 2
    fitted = read_slice_regressor(tmp_path / "slice_regressor.npz", SHORT_AXIS_CHECKS)
    assert {*fitted.folds.of} == {f"p{n}" for n in range(PATIENTS)} - {"p0", "p7"}
    assert found["missed"] == 0  # those were p0's


def test_folders_without_tables_are_named(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match="no table"):
        study_slices(tmp_path, tmp_path / "out")
    write_table(tmp_path / "one_step00001.npz", 0, 1, patients=1)
    with pytest.raises(NothingUsableError, match="fewer than two patients"):
        study_slices(tmp_path, tmp_path / "out")
    (tmp_path / "two_step00001.npz").write_bytes(b"half a fi")
    with pytest.raises(DataError, match="two_step00001"):
        read_slices(tmp_path)
