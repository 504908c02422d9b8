"""Tables of networks' errors: what they hold, what is left out, and agreement with other networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import LABELLED, POOL, STAGE_ENDS, tiny_cohort

from semiqc_jax.errors import ConfigError, DataError, NothingUsableError
from semiqc_jax.evaluation.overlap import dice
from semiqc_jax.quality.learned import assess_learned
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.rounds import judging
from semiqc_jax.rounds.trained_judge import read_classifier
from semiqc_jax.settings import load_settings
from semiqc_jax.studies import judge_methods, judges, networks, train_quality
from semiqc_jax.studies.excluding import excluded_subjects
from semiqc_jax.studies.judge_report import markdown
from semiqc_jax.studies.network_tables import mask_agreement, read_grid_cohort, read_tables


@pytest.fixture(scope="module")
def tables(finished_runs, tmp_path_factory):
    """The folder of tables of one tiny run."""
    base = tmp_path_factory.mktemp("tables")
    (base / "runs").mkdir()
    (base / "runs" / "small").symlink_to(finished_runs("none"))
    (base / "runs" / "unfinished").mkdir()
    (base / "runs" / "unfinished" / "status.json").write_text('{"state": "running"}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "open_cohort", lambda _: tiny_cohort())
        made = networks.study_networks(base / "runs", Path("data"), base / "out")
        stamps = [path.stat().st_mtime_ns for path in made]
        patch.setattr(networks, "_measure", None)  # a second time nothing is measured
        assert networks.study_networks(base / "runs", Path("data"), base / "out") == made
        assert [path.stat().st_mtime_ns for path in made] == stamps
        with pytest.raises(NothingUsableError, match="no finished run"):
            networks.study_networks(base / "out", Path("data"), base / "out")
    assert [path.name for path in made] == [f"small_step{step:05d}.npz" for step in STAGE_ENDS]
    return base / "out"


def test_only_patients_that_the_network_did_not_learn_from(tables):
    found = read_tables(tables)
    assert {*found.subject_id} == {*POOL}
    assert not {*found.subject_id} & {*LABELLED}
    assert found.step.tolist() == list(STAGE_ENDS)
    assert found.final.tolist() == [False, False, True]
    assert np.isnan(found.ensemble_agreement()).all()  # there is no other draw
    assert {*read_grid_cohort(tables).index} == {*POOL, *LABELLED}
    assert found.evidence.area_mm2.shape[:1] == found.dice.shape == (3 * len(POOL),)


def test_dice_by_slice_and_class_is_that_of_the_masks(tables):
    with np.load(tables / f"small_step{STAGE_ENDS[-1]:05d}.npz", allow_pickle=False) as data:
        np.testing.assert_allclose(data["dice"], np.nanmean(data["frame_dice"], (1, 2)), atol=1e-12)
        np.testing.assert_allclose(data["class_dice"], np.nanmean(data["frame_dice"], 1), atol=1e-12)
        assert data["slice_dice"].shape == data["drawn"].shape
        assert np.isnan(data["slice_dice"][~data["drawn"]]).all()
        # Area is of the softmax on the network's grid, the mask of the native label: its nearest pixels.
        mask, pixel = data["mask"], float(data["pixel_mm"])
        area = np.stack([(mask == c).sum((3, 4)) for c in (1, 2, 3)], -1) * pixel**2
        np.testing.assert_allclose(area.sum((1, 2)), data["area_mm2"].sum((1, 2)), rtol=0.1)
        there = data["frame_mask"][:, :, None] & data["slice_mask"][:, None]
        np.testing.assert_array_equal(data["flips"], 4 * there)  # the study mirrors, whatever the run does
        assert (data["flip_overlap_mm2"] <= data["flip_area_mm2"] + 1e-3).all()


def test_agreement_of_masks_is_mean_dice():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 1, 2, 6, 6)).astype(np.uint8)
    np.testing.assert_allclose(mask_agreement(a, b, 2), np.mean([dice(a == c, b == c) for c in (1, 2)]))
    assert mask_agreement(a, a, 2) == 1
    assert mask_agreement(np.zeros_like(a), np.zeros_like(a), 2) == 0


def test_damaged_and_missing_tables_are_named(tmp_path):
    with pytest.raises(NothingUsableError, match="no tables"):
        read_tables(tmp_path)
    (tmp_path / "x_step00001.npz").write_bytes(b"no table")
    with pytest.raises(DataError, match="cannot read the table") as error:
        read_tables(tmp_path)
    assert "x_step00001.npz" in str(error.value.where)
    with pytest.raises(DataError, match="cannot read the images"):
        read_grid_cohort(tmp_path)


def test_a_whole_comparison(tables, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="4 patients"):
        judges.study_judges(tables, tmp_path / "found.json")
    monkeypatch.setattr(judges, "FEWEST", 4)
    cheap = ("confidence", "flip agreement", "flip variance", "ensemble agreement", "rules", "rules + confidence")
    monkeypatch.setattr(judges, "METHODS", {name: judge_methods.METHODS[name] for name in cheap})
    known = read_tables(tables)
    best = [known.dice[known.network == k].max() for k in range(3)]
    monkeypatch.setattr(judges, "GOOD", float(min(best)))  # each network has a good one
    found = judges.study_judges(tables, tmp_path / "found.json")
    part = found["parts"]["all"]
    assert (found["patients"], part["rows"], list(found["parts"])) == (4, 12, ["all"])
    assert {*part["methods"]} == {*cheap} - {"ensemble agreement"}
    assert part["risk"]["oracle"][0] == 0
    assert json.loads((tmp_path / "found.json").read_text())["rows"] == 12
    assert "| rules + confidence | 12 |" in markdown(found)
    assert (tmp_path / "found.png").stat().st_size > 10_000


def test_a_classifier_of_tables_judges_a_run(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(train_quality, "FEWEST", 3)
    path, quality = tmp_path / "classifier.npz", {"name": "learned", "target_dice": 0.5}
    made = train_quality.train_quality(tables, "svm", 0.5, path, use_confidence=False, folds=2)
    source = "12 segmentations of 4 patients by 3 networks, cross-fitted in 2 folds by subject (svm)"
    assert made.learned_from == source
    assert {*made.folds.of} == {*POOL}
    assert not made.sees_softmax

    def judge(test=(), flip_average=True, **changes):
        cohort = tiny_cohort()
        cohort.splits = {"train": list(POOL), "test": list(test)}
        asked = {**quality, "classifier": str(path), **changes}
        settings = load_settings({"quality": asked, "flip_average": flip_average})
        run = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        judging.check_judges(settings, cohort, run)
        return judging.judge_for(settings, cohort, run)

    found = read_tables(tables)
    assert (judge().learned_from, judge().taught_by) == (source, {*POOL})
    by_classifier = judge().assess(found.evidence, found.subject_id.tolist())
    np.testing.assert_array_equal(
        by_classifier.score, assess_learned(found.evidence, made, found.subject_id.tolist()).score
    )
    both = judge(name="both")
    assert (both.name, both.taught_by) == ("quality_both", {*POOL})
    with pytest.raises(ConfigError, match=r"learned from 2 of the test subjects, h\d first.*--exclude"):
        judge(POOL[:2])
    with pytest.raises(ConfigError, match=r"a Dice of 0.5, target_dice is 0.9"):
        judge(target_dice=0.9)
    with pytest.raises(ConfigError, match="no kind 'tree'"):
        train_quality.train_quality(tables, "tree", 0.5, path)
    with pytest.raises(ConfigError, match="2 patients"):
        train_quality.train_quality(tables, "svm", 0.5, path, exclude=POOL[:2])
    train_quality.train_quality(tables, "svm", 0.5, path, exclude=POOL[:1])
    assert {*read_classifier(path, SHORT_AXIS_CHECKS).folds.of} == {*POOL[1:]}
    assert judge(POOL[:1]).taught_by == {*POOL[1:]}
    with pytest.raises(ConfigError, match="looks at confidence"):
        judge(use_confidence=False)
    assert judge().learned_from
    with pytest.raises(ConfigError, match=r"mirrored predictions.*--nouse_flips"):
        judge(flip_average=False)
    train_quality.train_quality(tables, "svm", 0.5, path, exclude=POOL[:1], use_flips=False)
    assert judge(flip_average=False).learned_from
    with pytest.raises(DataError, match="cannot read the classifier"):
        judge(classifier=str(tmp_path / "nowhere.npz"))
    with pytest.raises(ConfigError, match=r"says nothing to quality\.name = rules"):
        judge(name="rules")


def test_the_excluded_are_those_of_the_named_splits(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text('{"train": ["a", "b"], "val": [], "test": ["c"], "seed": 3}')
    assert excluded_subjects("", ["test"]) == set()
    assert excluded_subjects(str(path), ["test"]) == {"c"}
    assert excluded_subjects(str(path), ["train", "val"]) == {"a", "b"}
    for name in ("pool", "seed"):
        with pytest.raises(ConfigError, match=f"no split {name} .*some of train, val, test"):
            excluded_subjects(str(path), [name])
    with pytest.raises(DataError, match="cannot read JSON"):
        excluded_subjects(str(tmp_path / "nowhere.json"), ["test"])
