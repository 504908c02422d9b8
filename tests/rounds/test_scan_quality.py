"""The verdict on new scans by the rules of their task, and evidence that an older version left."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.rounds.new_scans import Output, Scan
from semiqc_jax.rounds.scan_quality import judge_scans
from semiqc_jax.segmentation.slice_statistics import label_statistics

PIXEL_MM = 2.0
measured = jax.jit(jax.vmap(lambda label: label_statistics(label, 2, PIXEL_MM)))


def scan(name: str, n_frames: int, radius: float = 8.0) -> Scan:
    """Two discs that pulsate; the ascending one has `radius` pixels at its smallest."""
    y, x = np.mgrid[:48, :48]
    label = np.zeros((6, 48, 48), np.int32)
    for t in range(6):
        wide = 1 + 0.1 * np.sin(np.pi * t / 6)
        label[t][np.hypot(y - 12.3, x - 14.6) < radius * wide] = 1
        label[t][np.hypot(y - 35.2, x - 33.1) < 6.5 * wide] = 2
    statistics = {name: np.asarray(value)[:n_frames, None] for name, value in measured(label).items()}
    return Scan(name, statistics, np.full(1, 6.0, np.float32), np.zeros((n_frames, 2)), None, None)


def test_rows_in_the_order_of_the_scans():
    rows = judge_scans([scan("cine", 6), scan("still", 1), scan("small", 6, radius=3.0)], AORTA)
    assert [row["subject_id"] for row in rows] == ["cine", "still", "small"]
    assert [row["reasons"] for row in rows[:2]] == ["", ""]  # one frame cannot pulsate and is not asked to
    assert "ascending aorta is only" in rows[2]["reasons"]
    assert rows[2]["score"] < min(rows[0]["score"], rows[1]["score"])
    assert {row["verdict"] for row in rows} == {"review"}
    assert judge_scans([], SHORT_AXIS) == []


@pytest.mark.parametrize("missing", ["", "intensity_max", "curves"])
def test_evidence_of_an_older_version_is_made_anew(tmp_path: Path, missing: str):
    output, found = Output(tmp_path, "ab"), Found("cine", "cine.nii.gz", lambda: None)
    one = scan("cine", 6)
    kept = {"extent_mm": one.extent_mm, "curves": one.curves, "time_s": np.zeros(0), "pulse_pressure_mmhg": np.nan}
    source = {"path": "cine.nii.gz", "files": None, "checkpoint": "ab"}
    arrays = {**kept, **one.statistics, "source": np.array(json.dumps(source))}
    arrays.pop(missing, None)
    output.label_path("cine").touch()
    (tmp_path / "evidence").mkdir()
    np.savez(tmp_path / "evidence" / "cine.npz", **arrays)
    again = output.read(found)
    if missing:
        assert again is None
    else:
        assert set(again.statistics) == set(one.statistics)
