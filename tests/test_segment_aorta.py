"""Segmenting aortic planes and other layouts than NIfTI: curves in mm^2, the page's words, the quarantine."""

from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_runs import launch

from semiqc_jax.anatomy import AORTA
from semiqc_jax.benchmarks.weights import random_variables
from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.rounds.segment import segment_scans

PIXEL_MM2 = 2.0 * 1.5


def save_checkpoint(run: Path) -> Path:
    """An untrained aortic network."""
    spec = NetworkSpec("unet", n_classes=2, base=2, depth=2, norm="batch", dropout=0.0)
    variables = random_variables(build_network(spec), 16)
    variables["params"]["Conv_1"]["bias"] += np.arange(3, dtype=np.float32) * 0.1
    info = {"round": 1, "task": AORTA.name, "grid": [16, 3.0], "flip_average": False}
    with Checkpoints(run / "checkpoints") as checkpoints:
        checkpoints.save(1, variables, spec, {"nothing": np.zeros(1)}, **info)
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An aortic cine of 30 frames, a single frame, and a stack of slices, segmented by an aortic network."""
    folder = tmp_path_factory.mktemp("aorta")
    rng = np.random.default_rng(0)
    (folder / "scans").mkdir()
    for name, shape in (("cine", (20, 24, 1, 30)), ("still", (20, 24, 1)), ("stack", (20, 24, 4, 6))):
        image = nib.Nifti1Image(rng.integers(0, 1000, shape).astype(np.int16), np.diag([1.5, 2.0, 6.0, 1.0]))
        nib.save(image, folder / "scans" / f"{name}.nii.gz")
    run = save_checkpoint(folder / "run")
    counts = segment_scans(folder / "scans", folder / "out", run)
    assert counts == {"scans": 2, "new": 2, "quarantined": 1}
    return folder / "out"


def test_areas_and_indices_are_those_of_the_label_file(out: Path) -> None:
    curves, indices = rows(out / "curves.csv"), rows(out / "indices.csv")
    assert ",".join(curves[0]) == "subject_id,frame,time_s,aao_mm2,dao_mm2"
    assert tuple(indices[0]) == ("subject_id", *AORTA.indices)
    label = np.asarray(nib.load(out / "cine_seg.nii.gz").dataobj)
    areas = np.stack([(label == code).sum((0, 1, 2)) for code in (1, 2)], -1) * PIXEL_MM2
    assert areas.any()  # an empty segmentation would make this test empty
    cine = [[float(row[name]) for name in AORTA.curve_names] for row in curves if row["subject_id"] == "cine"]
    np.testing.assert_allclose(cine, areas)
    by_id = {row["subject_id"]: row for row in indices}
    for column, vessel in enumerate(AORTA.classes):
        for name, value in (("max", areas[:, column].max()), ("min", areas[:, column].min())):
            assert float(by_id["cine"][f"{vessel}_{name}_mm2"]) == pytest.approx(value, rel=1e-5)
    assert {by_id["cine"][f"{vessel}_distensibility_1e3_per_mmhg"] for vessel in AORTA.classes} == {""}
    assert {by_id["still"][name] for name in AORTA.indices} == {""}


def test_a_stack_is_no_plane(out: Path) -> None:
    (left_out,) = rows(out / "quarantine.csv")
    assert (left_out["subject_id"], left_out["stage"]) == ("stack", "check")
    assert "4 slices" in left_out["reason"]


def test_the_page_speaks_of_areas_and_says_what_is_missing(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    for words in ("Areas are the predicted ones", "largest area (mm²)", "needs the central pulse pressure"):
        assert words in page, words
    assert "Volumes" not in page
    assert page.count("<img") == 2


def test_any_layout_that_has_a_reader_is_taken(out: Path, tmp_path: Path) -> None:
    ours = tmp_path / "out"
    source, run = "subjects=1,frames=30,size=48", out.parent / "run"
    flags = ("--dataset=phantom", f"--input={source}", f"--output={ours}", f"--run={run}")
    done = launch("segment.py", *flags)
    assert (done.code, done.out.split(";")[0]) == (0, f"{ours}: scans 1, new 1, quarantined 0"), done.err
    (indices,) = rows(ours / "indices.csv")
    largest, smallest = (float(indices[name]) for name in ("aao_max_mm2", "aao_min_mm2"))
    assert largest > smallest > 0
    strain, distensibility = (float(indices[name]) for name in AORTA.indices[2:4])
    assert strain == pytest.approx(100 * (largest / smallest - 1), rel=1e-4)
    assert 20 < 10 * strain / distensibility < 120  # a phantom comes with its pulse pressure
    assert "needs the central pulse pressure" not in (ours / "report.html").read_text(encoding="utf-8")
    assert "scans 1, new 0" in launch("segment.py", *flags).out
