"""A run's calibration: made from the validation labels after training, counted, kept, and applied to new scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_runs import SPLITS, last_model, tiny_cohort, tiny_config, train, write_nifti

from semiqc_jax.errors import ConfigError
from semiqc_jax.files import read_csv, read_json, write_json
from semiqc_jax.rounds.calibrating import FILE, label_budget, quality_settings, stored_calibration
from semiqc_jax.rounds.segment import segment_scans
from semiqc_jax.settings import load_settings

VAL = ["h6", "h7"]  # elsewhere the test subjects of this cohort


def cohort_with_val():
    cohort = tiny_cohort()
    cohort.splits = {**cohort.splits, "val": VAL}
    return cohort


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tiny_config("none", rounds=0, quality={"calibrate": "val", "target_dice": 0.5})
    return train(config, cohort_with_val(), tmp_path_factory.mktemp("calibrated") / "run")


def test_two_cases_promise_nothing_and_the_file_says_why(run: Path):
    values = read_json(run / FILE)
    assert values["model_sha256"] == last_model(run)
    assert (values["n"], values["name"], values["accept"]) == (2, "none", None)
    assert values["reason"].startswith("Too few labelled cases, 2 (val): it takes at least 60")
    assert [case["subject_id"] for case in values["cases"]] == VAL
    assert all(0 <= case["dice"] <= 1 for case in values["cases"])


def test_the_file_is_made_once(run: Path):
    path = run / FILE
    before = path.stat().st_mtime_ns
    config = tiny_config("none", rounds=0, quality={"calibrate": "val", "target_dice": 0.5})
    train(config, cohort_with_val(), run)
    assert path.stat().st_mtime_ns == before
    path.unlink()  # as after a kill
    train(config, cohort_with_val(), run)
    assert read_json(path)["n"] == 2


def test_labels_are_counted():
    cohort = cohort_with_val()
    for calibrate, n in (("none", 0), ("val", 2)):
        settings = load_settings(tiny_config(quality={"calibrate": calibrate}))
        assert label_budget(settings, cohort) == {"training": len(SPLITS["train"]) - 4, "calibration": n}


def test_no_labels_to_calibrate_by_is_an_error(tmp_path: Path):
    config = tiny_config("none", rounds=0, quality={"calibrate": "val"})
    with pytest.raises(ConfigError, match="split 'val' has no labelled subject"):
        train(config, tiny_cohort(), tmp_path / "run")


def test_only_the_model_that_was_calibrated_promises(run: Path, tmp_path: Path):
    assert stored_calibration(run, last_model(run)) is not None
    assert stored_calibration(run, "another") is None
    assert stored_calibration(tmp_path, "any") is None
    assert quality_settings(run).calibrate == "val"
    assert quality_settings(tmp_path).calibrate == "none"


def test_new_scans_get_the_scores_that_were_calibrated_and_its_verdicts(run: Path, tmp_path: Path):
    values = read_json(run / FILE)
    middle = float(np.mean([case["score"] for case in values["cases"]]))
    claim = {"limit": middle, "n": 60, "right": 60, "lower": 0.95}
    source = write_nifti(tmp_path / "scans")  # in whole intensities: scores differ a little
    for accept, words in ((None, {"review"}), (claim, {"accept", "review"})):
        write_json(run / FILE, {**values, "accept": accept})
        segment_scans(source, tmp_path / "out", run)
        found = {row["subject_id"]: row for row in read_csv(tmp_path / "out" / "quality.csv")}
        scores = {case["subject_id"]: case["score"] for case in values["cases"]}
        assert {name: float(found[name]["score"]) for name in VAL} == pytest.approx(scores, rel=0.02)
        assert {found[name]["verdict"] for name in VAL} == words
        assert {row["calibration"] for row in found.values()} == {"val" if accept else "none"}
        assert all(bool(row["probability"]) == bool(accept) for row in found.values())
    write_json(run / FILE, values)
