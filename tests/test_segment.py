"""Segmenting new scans: every file checked against the label volumes, resuming, bad and missing input."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_runs import launch

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.benchmarks.weights import random_variables
from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.errors import EXIT_NOTHING_USABLE, EXIT_USAGE, NothingUsableError
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.rounds.segment import segment_scans

AFFINE = np.array([[0, -1.5, 0, 3], [2.0, 0, 0, -7], [0, 0, 8, 5], [0, 0, 0, 1]])
COUNTS = {"scans": 3, "new": 3, "quarantined": 2}


def save_checkpoint(run: Path, step: int) -> None:
    """An untrained network whose weights depend on the step."""
    spec = NetworkSpec("unet", n_classes=3, base=2, depth=2, norm="batch", dropout=0.0)
    variables = random_variables(build_network(spec), 16)
    variables["params"]["Conv_1"]["bias"] += np.arange(4, dtype=np.float32) * step * 0.1
    info = {"round": 1, "task": "short_axis", "grid": [16, 3.0], "flip_average": False}
    with Checkpoints(run / "checkpoints") as checkpoints:
        checkpoints.save(step, variables, spec, {"nothing": np.zeros(1)}, **info)


def save_image(path: Path, frames: int) -> None:
    """Random patches (x, y, z[, t]) on a rotated grid, 0.2 s a frame."""
    shape = (20, 24, 5, frames) if frames else (20, 24, 5)
    data = np.random.default_rng(frames).integers(0, 1000, shape).astype(np.int16)
    image = nib.Nifti1Image(data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    if frames:
        image.header["pixdim"][4] = 0.2
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder, 1)
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cine with a label that no reader would take, a cine in a subfolder, one volume, and two bad files."""
    folder = tmp_path_factory.mktemp("scans")
    save_image(folder / "cine.nii.gz", 6)
    save_image(folder / "deeper" / "two <b>.nii", 2)
    save_image(folder / "volume.nii.gz", 0)
    save_image(folder / "volume.nii", 0)
    (folder / "broken.nii.gz").write_bytes(b"no image")
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), 99, np.uint8), AFFINE), folder / "cine_gt.nii.gz")
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, scans: Path, run: Path) -> Path:
    folder = tmp_path_factory.mktemp("out")
    assert segment_scans(scans, folder, run) == COUNTS
    return folder


def test_segmentations_lie_on_the_grid_of_their_input(out: Path, scans: Path) -> None:
    for name, source in (("cine", "cine.nii.gz"), ("two_b_", "deeper/two <b>.nii"), ("volume", "volume.nii")):
        label, image = nib.load(out / f"{name}_seg.nii.gz"), nib.load(scans / source)
        assert label.shape == image.shape
        np.testing.assert_array_equal(label.affine, AFFINE)
        np.testing.assert_allclose(label.header.get_zooms()[:3], image.header.get_zooms()[:3])
        assert label.get_data_dtype() == np.uint8
        assert set(np.unique(label.dataobj)) <= {0, 1, 2, 3}
        assert len(np.unique(label.dataobj)) > 1  # an empty volume would make the tests below empty


def test_curves_and_indices_are_those_of_the_label_files(out: Path) -> None:
    curves, indices = rows(out / "curves.csv"), rows(out / "indices.csv")
    assert ",".join(curves[0]) == "subject_id,frame,time_s,lv_ml,myo_ml,rv_ml"
    assert tuple(indices[0]) == ("subject_id", *SHORT_AXIS.indices)
    label = np.asarray(nib.load(out / "cine_seg.nii.gz").dataobj)
    volumes = np.stack([(label == code).sum((0, 1, 2)) for code in (1, 2, 3)], -1) * 1.5 * 2 * 8 / 1000
    cine = [row for row in curves if row["subject_id"] == "cine"]
    found = [[float(row[name]) for name in ("lv_ml", "myo_ml", "rv_ml")] for row in cine]
    np.testing.assert_allclose(found, volumes, rtol=1e-5)
    np.testing.assert_allclose([float(row["time_s"]) for row in cine], 0.2 * np.arange(6), rtol=1e-5)
    two = np.asarray(nib.load(out / "two_b__seg.nii.gz").dataobj)
    lv = (two == 1).sum((0, 1, 2)) * 1.5 * 2 * 8 / 1000
    row = next(row for row in indices if row["subject_id"] == "two_b_")
    assert float(row["lvedv_ml"]) == pytest.approx(lv.max(), rel=1e-5)
    assert float(row["lvef_pct"]) == pytest.approx(100 * (1 - lv.min() / lv.max()), rel=1e-4)


def test_no_verdict_is_above_review(out: Path) -> None:
    quality = rows(out / "quality.csv")
    assert ",".join(quality[0]) == "subject_id,score,verdict,calibration,selected,weight,reasons,probability"
    assert [row["subject_id"] for row in quality] == ["cine", "two_b_", "volume"]
    assert {(row["verdict"], row["calibration"], row["selected"]) for row in quality} == {("review", "none", "")}
    assert all(0 <= float(row["score"]) <= 1 and row["reasons"] for row in quality)


def test_a_single_volume_has_no_end_systole(out: Path) -> None:
    volume = rows(out / "indices.csv")[-1]
    assert volume["lvedv_ml"] != ""
    assert {volume[name] for name in ("lvesv_ml", "lvsv_ml", "lvef_pct", "rvesv_ml", "rvef_pct")} == {""}
    assert "EF is" not in rows(out / "quality.csv")[-1]["reasons"]
    assert rows(out / "curves.csv")[-1]["time_s"] == ""


def test_bad_input_is_listed_and_the_page_stands_alone(out: Path) -> None:
    left_out = {row["subject_id"]: row for row in rows(out / "quarantine.csv")}
    assert left_out.keys() == {"broken", "volume"}
    assert "cannot be read as NIfTI" in left_out["broken"]["reason"]
    assert left_out["volume"]["path"].endswith("volume.nii.gz")
    assert left_out["volume"]["mend"] == "keep one of them"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 2 == page.count("<img")
    assert all(text in page for text in ("two_b_", "cannot be read as NIfTI", "2 left out"))


def test_what_is_done_is_kept_and_only_what_changed_is_done_again(
    out: Path, scans: Path, run: Path, tmp_path: Path
) -> None:
    ours, source, model = tmp_path / "out", tmp_path / "scans", tmp_path / "run"
    shutil.copytree(scans, source)
    shutil.copytree(run, model)
    assert segment_scans(source, ours, model) == COUNTS
    before, labels = results(ours), {p: p.stat().st_mtime_ns for p in ours.glob("*_seg.nii.gz")}
    (ours / "curves.csv").unlink()
    assert segment_scans(source, ours, model)["new"] == 0
    assert results(ours) == before
    assert {p: p.stat().st_mtime_ns for p in labels} == labels

    (ours / "cine_seg.nii.gz").unlink()
    evidence = ours / "evidence" / "volume.npz"
    evidence.write_bytes(evidence.read_bytes()[:99])
    assert segment_scans(source, ours, model)["new"] == 2
    os.utime(source / "deeper" / "two <b>.nii", ns=(1, 1))
    assert segment_scans(source, ours, model)["new"] == 1
    assert results(ours) == before
    save_checkpoint(model, 2)
    assert segment_scans(source, ours, model)["new"] == 3
    assert results(ours)["curves.csv"] != before["curves.csv"]


def test_nothing_usable(tmp_path: Path, run: Path) -> None:
    with pytest.raises(NothingUsableError, match="no NIfTI image"):
        segment_scans(tmp_path, tmp_path / "out", run)
    (tmp_path / "broken.nii").write_bytes(b"")
    with pytest.raises(NothingUsableError, match="none of 1 scans is usable: cannot be read") as caught:
        segment_scans(tmp_path, tmp_path / "out", run)
    assert caught.value.exit_code == EXIT_NOTHING_USABLE
    assert [row["subject_id"] for row in rows(tmp_path / "out" / "quarantine.csv")] == ["broken"]


def test_the_command_wants_a_run(scans: Path, tmp_path: Path) -> None:
    ours = tmp_path / "out"
    done = launch("segment.py", f"--input={scans}", f"--output={ours}")
    assert done.code == EXIT_USAGE
    assert done.err == "error: no model (--run): name the folder of a trained run; none comes with the code\n"
    assert not ours.exists()


def test_the_command_says_what_it_did(scans: Path, run: Path, tmp_path: Path) -> None:
    ours = tmp_path / "out"
    done = launch("segment.py", f"--input={scans / 'cine.nii.gz'}", f"--output={ours}", f"--run={run}")
    assert (done.code, done.out) == (0, f"{ours}: scans 1, new 1, quarantined 0; report: {ours / 'report.html'}\n")
    assert {path.name for path in ours.iterdir() if not path.name.startswith(".")} == {
        *("cine_seg.nii.gz", "indices.csv", "curves.csv", "quality.csv", "quarantine.csv", "report.html", "evidence"),
    }
