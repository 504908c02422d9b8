"""The verdict on new scans by the rules of their task, and evidence that an older version left."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.errors import DataError
from semiqc_jax.quality.features import features
from semiqc_jax.quality.learned import assess_learned, fit
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.new_scans import Output, Scan
from semiqc_jax.rounds.scan_quality import judge_scans, run_classifier
from semiqc_jax.rounds.trained_judge import write_classifier
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics
from semiqc_jax.settings import QualitySettings

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


def test_a_learned_judge_judges_cycles_and_rules_the_rest(tmp_path: Path):
    checks = checks_of(AORTA.name)
    scans = [scan("cine", 6), scan("still", 1), scan("small", 6, radius=3.0)]
    cycles = assemble_evidence([s.statistics for s in scans[::2]], [s.extent_mm for s in scans[::2]])
    seen = np.repeat(np.asarray(features(cycles, checks)), 20, 0)
    seen += np.random.default_rng(0).normal(0, 0.01, seen.shape) * np.abs(seen)
    dice = np.repeat([0.95, 0.4], 20) + np.linspace(0, 0.01, 40)
    classifier = fit(seen, dice, 0.85, "two discs", checks, np.arange(40) % 8)
    rows = judge_scans(scans, AORTA, classifier=classifier)
    by_rules = judge_scans(scans, AORTA)
    assert rows[0]["score"] > 0.5 > rows[2]["score"]
    expected = assess_learned(cycles, classifier, ["cine", "small"]).score
    np.testing.assert_allclose([rows[0]["score"], rows[2]["score"]], expected, rtol=1e-5)
    assert rows[1] == pytest.approx(by_rules[1], nan_ok=True)

    assert run_classifier(tmp_path, QualitySettings(name="learned"), AORTA) is None  # no round was judged
    write_classifier(tmp_path / "quality" / "classifier.npz", classifier)
    assert run_classifier(tmp_path, QualitySettings(name="rules"), AORTA) is None
    assert run_classifier(tmp_path, QualitySettings(name="learned"), AORTA).learned_from == "two discs"
    with pytest.raises(DataError, match="aorta"):
        run_classifier(tmp_path, QualitySettings(name="learned"), SHORT_AXIS)


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
