"""A run's judge of volume curves: copied once, refused where it cannot judge, one check more beside any judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from curves_by_hand import constant_judge
from tiny_runs import tiny_cohort, tiny_config

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.files import write_json
from semiqc_jax.quality.score import Quality
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.rounds.curve_file import FILE, keep_curve_judge, kept_curve_judge, read_curve_judge, write_curve_judge
from semiqc_jax.rounds.judge import Judge, rules_judge, with_curves
from semiqc_jax.rounds.judging import judge_for
from semiqc_jax.rounds.loop import run
from semiqc_jax.rounds.new_scans import Scan
from semiqc_jax.rounds.scan_quality import judge_scans
from semiqc_jax.rounds.segment import Verdicts
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics
from semiqc_jax.settings import QualitySettings, load_settings

SAID = "The volume curve looks like one with a wrong EF or EDV (chance 75%)"
SHORT = "The volume curve was not judged: fewer than 8 frames"
PIXEL_MM, DZ_MM, SLICES = 3.0, 10.0, 6
measured = jax.jit(jax.vmap(lambda label: label_statistics(label, 3, PIXEL_MM)))


def scan(name: str, n_frames: int) -> Scan:
    """A beating cylinder in its wall, ten frames of which the first `n_frames` were scanned."""
    y, x = (np.mgrid[:32, :32] - 15.5) * PIXEL_MM
    radius = 24 - 8 * np.sin(np.pi * np.arange(10) / 10)[:, None, None] ** 2
    distance = np.hypot(y, x)
    label = np.where(distance < radius, 1, np.where(distance < radius + 9, 2, 0)).astype(np.int32)
    every = np.repeat(label, SLICES, 0)
    statistics = {k: np.asarray(v).reshape(10, SLICES, *v.shape[1:])[:n_frames] for k, v in measured(every).items()}
    return Scan(name, statistics, np.full(SLICES, DZ_MM, np.float32), np.zeros((n_frames, 3)), None, None)


def cohort_of(n_frames: int, task=SHORT_AXIS):
    """What a judge of curves looks at of a cohort: h0 to learn from, h1 for the test."""
    subjects = [SimpleNamespace(subject_id=name, n_frames=n_frames) for name in ("h0", "h1")]
    return SimpleNamespace(task=task, subjects=subjects, splits={"train": ["h0"], "test": ["h1"]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "curve_judge.npz"
    write_curve_judge(path, constant_judge(0.75, ("h1", "x")))
    return path


def test_a_run_keeps_its_judge_whatever_becomes_of_the_file(file: Path, tmp_path: Path) -> None:
    quality, folder = QualitySettings(curves=str(file)), tmp_path / "run"
    keep_curve_judge(quality, cohort_of(8), folder)
    first = (folder / FILE).read_bytes()
    write_curve_judge(file, constant_judge(0.1))
    keep_curve_judge(quality, cohort_of(8), folder)
    assert (folder / FILE).read_bytes() == first
    file.unlink()
    judge = kept_curve_judge(quality, folder)
    assert (judge.learned_from, judge.patients) == ("nothing at all", ("h1", "x"))
    assert kept_curve_judge(QualitySettings(), folder) is None
    keep_curve_judge(QualitySettings(), cohort_of(2), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_who_cannot_be_judged_is_said_before_anything_runs(file: Path, tmp_path: Path) -> None:
    quality, folder = QualitySettings(curves=str(file)), tmp_path / "run"
    with pytest.raises(ConfigError, match=r"from 8 frames on, and no subject has more than 7 .*leave it empty"):
        keep_curve_judge(quality, cohort_of(7), folder)
    with pytest.raises(DataError, match="for the task 'short_axis', not 'aorta'"):
        keep_curve_judge(quality, cohort_of(8, AORTA), folder)
    write_curve_judge(file, constant_judge(0.75, ("h0", "h1")))
    with pytest.raises(ConfigError, match="learned from 1 of the subjects that it is to judge, h0 first"):
        keep_curve_judge(quality, cohort_of(8), folder)
    assert not folder.exists()
    settings = load_settings(tiny_config("quality", quality={"curves": str(file)}))
    with pytest.raises(ConfigError, match="no subject has more than 3"):
        run(settings, tiny_cohort(), tmp_path / "tiny", lambda: None)


def test_files_that_cannot_be_read_are_named(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    (tmp_path / "half.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "other.npz", score=np.zeros(3))
    for name in ("half.npz", "text.npz", "missing.npz"):
        with pytest.raises(DataError, match="cannot be read") as error:
            read_curve_judge(tmp_path / name)
        assert name in error.value.where
    with pytest.raises(DataError, match="no judge of volume curves"):
        read_curve_judge(tmp_path / "other.npz")


def test_one_check_more_beside_any_judge() -> None:
    scans = [scan("cine", 10), scan("short", 7)]
    evidence = assemble_evidence([s.statistics for s in scans], [s.extent_mm for s in scans])
    masks = Quality(np.array([0.8, 0.6]), np.array([[True], [False]]), np.array([[3.0], [4.0]]))
    inner = Judge("quality_learned", lambda *_: masks, lambda row: ["a mask"] * int(row.flags.sum()), "masks")
    both = with_curves(inner, constant_judge(0.75))
    found = both.assess(evidence, ["cine", "short"])
    np.testing.assert_allclose(found.score, [0.8 * 0.25, 0.6], rtol=1e-6)
    assert np.asarray(found.flags).tolist() == [[True, True], [False, False]]
    np.testing.assert_allclose(found.values, [[3.0, 0.75], [4.0, np.nan]], rtol=1e-6)
    rows = [jax.tree.map(lambda x, n=n: np.asarray(x)[n], found) for n in range(2)]
    assert [both.reasons(row) for row in rows] == [["a mask", SAID], [SHORT]]
    assert (both.name, both.learned_from) == ("quality_learned+curves", "masks; curves: nothing at all")
    likely = with_curves(rules_judge(SHORT_AXIS_CHECKS, True), constant_judge(0.2))
    assert (likely.name, likely.learned_from) == ("quality_rules+curves", "curves: nothing at all")
    assert not np.asarray(likely.assess(evidence, ["cine", "short"]).flags)[:, -1].any()
    assert with_curves(inner, None) is inner


def test_volumes_that_are_no_numbers_score_nothing() -> None:
    one = scan("cine", 10)
    spoiled = replace(one, statistics={**one.statistics, "area_mm2": one.statistics["area_mm2"] * np.nan})
    empty = replace(one, statistics={**one.statistics, "area_mm2": one.statistics["area_mm2"] * 0})
    evidence = assemble_evidence([s.statistics for s in (spoiled, empty)], [one.extent_mm] * 2)
    judge = with_curves(rules_judge(SHORT_AXIS_CHECKS, True), constant_judge(0.25))
    found = judge.assess(evidence, ["spoiled", "empty"])
    assert np.asarray(found.flags)[:, -1].tolist() == [True, True]
    assert np.asarray(found.values)[:, -1].tolist() == [1.0, 1.0]
    assert np.asarray(found.score).tolist() == [0.0, 0.0]


def test_new_scans_are_judged_as_the_run_judged(file: Path, tmp_path: Path) -> None:
    scans = [scan("cine", 10), scan("short", 7), scan("still", 1)]
    quality = QualitySettings(curves=str(file))
    keep_curve_judge(quality, cohort_of(8), tmp_path)
    write_json(tmp_path / "config.json", {"quality": {"curves": str(file)}})
    kept = Verdicts.of(tmp_path, "ab", SHORT_AXIS)
    plain, judged = judge_scans(scans, SHORT_AXIS), judge_scans(scans, SHORT_AXIS, *kept)
    assert judged[0]["score"] == pytest.approx(0.25 * plain[0]["score"], rel=1e-5)
    assert [row["score"] for row in judged[1:]] == pytest.approx([row["score"] for row in plain[1:]])
    added = [set(b["reasons"].split("; ")) - set(a["reasons"].split("; ")) for a, b in zip(plain, judged)]
    assert added == [{SAID}, {SHORT}, {SHORT}]
    assert Verdicts.of(tmp_path / "nobody", "ab", SHORT_AXIS).curves is None


def test_a_run_takes_the_judge_of_its_settings(file: Path, tmp_path: Path) -> None:
    settings = load_settings({"quality": {"curves": str(file)}})
    assert judge_for(settings, cohort_of(8), tmp_path).name == "quality_rules+curves"
    assert (tmp_path / FILE).is_file()
    assert judge_for(load_settings({}), cohort_of(8), tmp_path).name == "quality_rules"
