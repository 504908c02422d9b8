"""Which judge a run has: rules, or a classifier fitted once to broken masks of phantom hearts."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from tiny_runs import tiny_cohort

from semiqc_jax.anatomy import AORTA
from semiqc_jax.benchmarks.selecting import random_evidence
from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.quality.short_axis import RULES
from semiqc_jax.quality.training_set import corrupted_training_set
from semiqc_jax.rounds import judging
from semiqc_jax.settings import load_settings

IDS = [f"h{n}" for n in range(36)]
SETTINGS = {"grid": {"size": 32, "pixel_mm": 5.0}, "model": {"depth": 2}}


@pytest.fixture
def small(monkeypatch):
    """A judge that learns in seconds."""
    monkeypatch.setattr(judging, "SUBJECTS", 3)
    monkeypatch.setattr(judging, "COPIES", 36)
    monkeypatch.setattr(judging, "FRAMES", 4)


def test_rules_write_nothing(tmp_path):
    judge = judging.judge_for(load_settings(SETTINGS), tiny_cohort(), tmp_path)
    assert (judge.name, judge.learned_from, list(tmp_path.iterdir())) == ("quality_rules", None, [])


def test_rules_that_are_switched_off_say_nothing(tmp_path):
    evidence = random_evidence(3)  # of hearts without area
    everything, less = (
        judging.judge_for(load_settings({**SETTINGS, "quality": {"rules_off": off}}), tiny_cohort(), tmp_path)
        for off in ("", "lv_length,lv_edv")
    )
    names = [rule.name for rule in RULES]
    kept = [r for r, name in enumerate(names) if name not in ("lv_length", "lv_edv")]
    whole, part = (judge.assess(evidence, IDS) for judge in (everything, less))
    np.testing.assert_array_equal(part.flags, np.asarray(whole.flags)[:, kept])
    assert whole.flags[0, names.index("lv_edv")]
    assert part.score[0] != whole.score[0]
    rows = [jax.tree.map(lambda x: np.asarray(x)[0], quality) for quality in (whole, part)]
    said = [judge.reasons(row) for judge, row in zip((everything, less), rows)]
    assert {s for s in said[0] if not s.startswith(("LV EDV", "LV and myocardium are found"))} == set(said[1])
    assert len(said[1]) == len(said[0]) - 2


def test_learned_is_fitted_once_named_and_orders_broken_masks(tmp_path, small, monkeypatch):
    settings = load_settings({**SETTINGS, "quality": {"name": "learned", "use_confidence": False}})
    judge = judging.judge_for(settings, tiny_cohort(), tmp_path)
    assert judge.name == "quality_learned"
    assert judge.learned_from == "3 phantom subjects, 36 masks broken on purpose"

    seen = {}

    def spy(key, labels, *rest):
        seen["set"] = corrupted_training_set(key, labels, *rest)
        return seen["set"]

    monkeypatch.setattr(judging, "corrupted_training_set", spy)
    again = judging.judge_for(settings, tiny_cohort(), tmp_path)
    assert not seen  # read from the run's folder, not fitted again

    (tmp_path / "quality" / "classifier.npz").unlink()
    fresh = judging.judge_for(settings, tiny_cohort(), tmp_path)
    evidence, dice = seen["set"]
    scores = [np.asarray(j.assess(evidence, IDS).score) for j in (judge, again, fresh)]
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])
    assert (scores[0] >= 0).all()
    assert (scores[0] <= 1).all()
    assert np.corrcoef(scores[0], np.asarray(dice))[0, 1] > 0.6


def aortic_cohort():
    """The tiny cohort, as if it were of the aortic task."""
    cohort = tiny_cohort()
    cohort.task = AORTA
    return cohort


def test_the_judge_is_that_of_the_task(tmp_path, small):
    settings = load_settings({**SETTINGS, "quality": {"name": "learned"}})
    judging.judge_for(settings, aortic_cohort(), tmp_path)
    with np.load(tmp_path / "quality" / "classifier.npz") as data:
        assert str(data["task"]) == "aorta"
    with pytest.raises(DataError, match=r"for the task 'aorta', not 'short_axis' \(.*classifier.npz\)"):
        judging.judge_for(settings, tiny_cohort(), tmp_path)


def test_rules_of_another_task_cannot_be_switched_off(tmp_path):
    settings = load_settings({**SETTINGS, "quality": {"rules_off": "lv_ef"}})
    with pytest.raises(ConfigError, match="no rule lv_ef"):
        judging.judge_for(settings, aortic_cohort(), tmp_path)
