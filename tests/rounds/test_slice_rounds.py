"""Rounds that choose by frame or slice: what is chosen, what is written, and that the truth stays hidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_runs import POOL, tiny_cohort, tiny_config

from semiqc_jax.datasets.cohort import read_truth
from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.files import number, read_csv, read_json
from semiqc_jax.pipeline import Segmentation
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.quality.slice_features import slice_feature_names
from semiqc_jax.quality.slice_ridge import fit_slices, slice_regressor_arrays
from semiqc_jax.rounds import pool as pool_module
from semiqc_jax.rounds.evaluate import slices_in_sight
from semiqc_jax.rounds.judge import rules_judge
from semiqc_jax.rounds.judging import check_judges
from semiqc_jax.rounds.pool import Pool, choose, pool_evidence, true_dice
from semiqc_jax.rounds.slices_file import SLICE_COLUMNS
from semiqc_jax.segmentation.assemble import BY_CLASS, MEASURED
from semiqc_jax.settings import load_settings

ERASED = {("h2", 0, 1), ("h3", 1, 2), ("h4", 0, 0), ("h4", 0, 1), ("h4", 1, 3)}  # (subject, frame, slice)
CHECKPOINT = {"step": 8, "sha256": "ab"}


def segmented(cohort, subject: int) -> Segmentation:
    """The truth without the erased slices, with random statistics."""
    name, label = cohort.subjects[subject].subject_id, read_truth(cohort, subject)[0].copy()
    for t, z in [(t, z) for who, t, z in ERASED if who == name]:
        label[t, z] = 0
    rng, lead = np.random.default_rng(subject), label.shape[:2]
    ones = np.ones((*lead, 3), np.float32)
    statistics = {
        **dict.fromkeys(MEASURED, ones[..., 0]),
        **dict.fromkeys(BY_CLASS, ones),
        "area_mm2": rng.uniform(100, 900, ones.shape) * (label > 0).any((2, 3))[..., None],
        "centroid_mm": np.zeros((*lead, 3, 2), np.float32),
        "confidence": rng.uniform(0.6, 1, lead),
    }
    return Segmentation(name, label, {key: np.asarray(x, np.float32) for key, x in statistics.items()})


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Four subjects of four slices, two with a third frame that nobody drew; segmented, not yet judged."""
    cohort = tiny_cohort()
    subjects = tuple(cohort.index(i) for i in POOL)
    pool = Pool(cohort, subjects, tmp_path / "001")
    pool.store.write(0, [segmented(cohort, i) for i in subjects], CHECKPOINT)
    return pool


def chosen(pool: Pool, selector: str, unit: str = "slice", **changes: object) -> dict[tuple[str, int, int], dict]:
    """Choose; the rows of `slices.csv` by (subject, frame, slice)."""
    settings = load_settings(tiny_config(selector, select_by=unit, **changes))
    choose(pool, settings, 1, rules_judge(SHORT_AXIS_CHECKS, True), CHECKPOINT)
    rows = read_csv(pool.folder / "slices.csv")
    return {(row["subject_id"], int(row["frame"]), int(row["slice"])): row for row in rows}


def taken(rows) -> set[tuple[str, int, int]]:
    return {place for place, row in rows.items() if row["selected"] == "1"}


def test_the_truth_of_a_slice_is_its_own(pool):
    by_slice = true_dice(pool, "slice")
    erased = {(POOL[n], t, z) for n, t, z in np.argwhere(by_slice == 0).tolist()}
    assert erased == ERASED
    assert (by_slice[:, :2][by_slice[:, :2] > 0] == 1).all()
    assert np.isnan(by_slice[:, 2]).all()  # not drawn, or not there
    by_frame = true_dice(pool, "frame")
    assert by_frame.shape == (4, 3)
    assert by_frame[3, :2].tolist() == [1, 1]
    assert 0 < by_frame[POOL.index("h4"), 0] < by_frame[0, 0] < 1
    np.testing.assert_allclose(true_dice(pool), by_frame[:, :2].mean(1), atol=0.05)


def test_oracle_leaves_out_what_is_wrong(pool):
    rows = chosen(pool, "oracle", policy="threshold", threshold=0.5)
    drawn = {place for place in rows if place[1] < 2}
    assert taken(rows) == drawn - ERASED
    assert {row["selector_score"] for row in rows.values()} == {""}
    weight = pool.weight()
    assert {(POOL[n], t, z) for n, t, z in np.argwhere(weight > 0).tolist()} == taken(rows)


def test_what_is_written(pool):
    rows = chosen(pool, "quality")
    assert len(rows) == 4 * (2 + 3 + 2 + 3)
    assert set(next(iter(rows.values()))) == {*SLICE_COLUMNS}
    assert len(taken(rows)) == 20
    for place, row in rows.items():
        assert (row["score"] == "") == (place in ERASED)
        assert number(row["selector_score"]) == number(row["score"]) or place in ERASED
    ranked = {place: number(row["selector_score"]) for place, row in rows.items()}
    assert min(ranked[p] for p in taken(rows)) >= max(ranked[p] for p in rows if p not in taken(rows))
    shares = {row["subject_id"]: number(row["share"]) for row in read_csv(pool.folder / "quality.csv")}
    for name in POOL:
        mine = [p for p in rows if p[0] == name]
        assert shares[name] == pytest.approx(len(taken(rows) & {*mine}) / len(mine))
    manifest = read_json(pool.manifest)
    assert (manifest["select_by"], manifest["slice_judge"], manifest["slices_learned_from"]) == (
        "slice",
        "slice_rules",
        None,
    )
    assert (manifest["n_slices"], manifest["n_slices_selected"]) == (40, 20)
    assert manifest["subjects"] == [name for name in POOL if shares[name] >= 0.5]


def test_frames_are_chosen_whole(pool):
    frames = {place[:2] for place in taken(chosen(pool, "quality", "frame"))}
    assert len(frames) == 5
    assert (np.ptp(pool.weight()[:, :, :4], axis=2) == 0).all()


@pytest.mark.parametrize("selector", ["quality", "confidence", "random", "all", "none"])
@pytest.mark.parametrize("unit", ["frame", "slice"])
def test_nobody_but_oracle_asks_for_the_truth(pool, selector, unit, monkeypatch):
    def asked(*_):
        raise PermissionError

    monkeypatch.setattr(pool_module, "read_truth", asked)
    chosen(pool, selector, unit)
    with pytest.raises(PermissionError):
        chosen(pool, "oracle", unit)


def test_subjects_are_chosen_as_ever(pool):
    settings = load_settings(tiny_config("quality"))
    choose(pool, settings, 1, rules_judge(SHORT_AXIS_CHECKS, True), CHECKPOINT)
    assert not (pool.folder / "slices.csv").exists()
    rows = read_csv(pool.folder / "quality.csv")
    best = np.argsort([-number(row["score"]) for row in rows])[:2]
    assert {n for n in range(4) if rows[n]["selected"] == "1"} == {*best}
    assert [number(row["share"]) for row in rows] == [number(row["weight"]) for row in rows]
    assert read_json(pool.manifest)["slice_judge"] is None


def regressor_file(pool: Pool, path: Path) -> Path:
    """A regressor that has learned to like what lies in the middle of the stack."""
    names = slice_feature_names(SHORT_AXIS_CHECKS)
    values = np.random.default_rng(0).normal(1, 1, (300, len(names)))
    dice = np.clip(0.3 + 0.3 * values[:, names.index("end_of_stack")], 0, 1)
    fitted = fit_slices(values, dice, [f"h{i % 5}" for i in range(300)], "made up", SHORT_AXIS_CHECKS)
    np.savez(path, **slice_regressor_arrays(fitted))
    return path


def test_a_regressor_of_a_file_judges(pool, tmp_path):
    path = regressor_file(pool, tmp_path / "slice_regressor.npz")
    rules = {p: row["score"] for p, row in chosen(pool, "quality").items()}
    rows = chosen(pool, "quality", quality={"slice_regressor": str(path)})
    assert {p: row["score"] for p, row in rows.items()} != rules
    assert all(0 <= number(row["score"]) <= 1 for p, row in rows.items() if p not in ERASED)
    manifest = read_json(pool.manifest)
    assert (manifest["slice_judge"], manifest["slices_learned_from"]) == ("slice_learned", "made up")
    assert manifest["labels"]["judge"] == 5  # h0 to h4 of the cohort taught it
    assert pool_evidence(pool).area_mm2.shape == (4, 3, 4, 3)


def test_a_regressor_that_learned_from_test_subjects_is_refused(pool, tmp_path):
    path = regressor_file(pool, tmp_path / "slice_regressor.npz")
    settings = load_settings(tiny_config("quality", select_by="slice", quality={"slice_regressor": str(path)}))
    check_judges(settings, pool.cohort, tmp_path)
    pool.cohort.splits = {**pool.cohort.splits, "test": ["h3", "h7"]}
    with pytest.raises(ConfigError, match=r"learned from 1 of the test subjects, h3 first \(config.quality.slice_"):
        check_judges(settings, pool.cohort, tmp_path)


def test_a_file_that_is_no_regressor_is_a_data_error(pool, tmp_path):
    for content in (b"", b"nonsense"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.npz"):
            chosen(pool, "quality", quality={"slice_regressor": str(tmp_path / "bad.npz")})
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(DataError, match="cannot be read"):
        chosen(pool, "quality", quality={"slice_regressor": str(tmp_path / "array.npy")})


def test_settings_that_contradict_each_other():
    with pytest.raises(ConfigError, match=r"config\.select_by.*one of subject, frame, slice"):
        load_settings(tiny_config("quality", select_by="slices"))
    for wrong in ({"select_by": "subject"}, {"select_by": "slice", "quality": {"use_confidence": False}}):
        quality = {"slice_regressor": "r.npz", **wrong.pop("quality", {})}
        with pytest.raises(ConfigError, match="slice_regressor"):
            load_settings(tiny_config("quality", **wrong, quality=quality))


def test_the_look_back_at_slices(pool):
    chosen(pool, "oracle", policy="threshold", threshold=0.5)
    found = slices_in_sight(pool)
    drawn = 4 * 2 * 4
    assert (found["n"], found["n_selected"], found["mean_dice_selected"]) == (drawn, drawn - len(ERASED), 1)
    assert found["mean_dice"] == pytest.approx(1 - len(ERASED) / drawn)
    settings = load_settings(tiny_config("quality"))
    (pool.folder / "slices.csv").unlink()
    choose(pool, settings, 1, rules_judge(SHORT_AXIS_CHECKS, True), CHECKPOINT)
    assert slices_in_sight(pool) is None
