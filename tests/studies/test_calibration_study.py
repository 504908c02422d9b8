"""The study of calibration: promises by hand, what chance alone breaks, and the whole on made-up tables."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from semiqc_jax.files import read_json
from semiqc_jax.quality.calibration import Promise
from semiqc_jax.studies import calibration
from semiqc_jax.studies.calibration import figures, halves, outcome, redrawn
from semiqc_jax.studies.calibration_report import markdown, write_report
from semiqc_jax.studies.reliability import reliability_of

PROMISE = Promise(0.8, 0.95)  # 14 right ones show it, and one more is the limit


def test_a_promise_by_hand():
    score = np.linspace(1, 0, 40)
    right = np.arange(40) < 30
    labelled, test = np.arange(0, 40, 2), np.arange(1, 40, 2)
    found = outcome(score, right, PROMISE, [(labelled, test), (labelled[:14], test)])
    assert found.promised.tolist() == [True, False]  # with 14 cases there is none to be the limit
    # The limit is the 16th best labelled case, number 30, the first that is wrong: one error in 16 would be too many.
    assert found.broken.tolist() == [False, False]
    assert np.flatnonzero(found.accepted).tolist() == [i for i in test if i < 30]
    assert np.flatnonzero(found.tested).tolist() == test.tolist()
    wrong = np.where(np.isin(np.arange(40), test), False, right)
    assert outcome(score, wrong, PROMISE, [(labelled, test)]).broken.tolist() == [True]


def test_a_score_that_knows_nothing_is_seldom_promised():
    """Seven tenths are right whatever the score: any promise of eight tenths is false, and made in 5 % at most."""
    rng = np.random.default_rng(0)
    promised = []
    for _ in range(10):
        score, right = rng.uniform(size=400), np.arange(400) % 10 < 7
        found = outcome(score, right, PROMISE, redrawn(400, 60, rng))
        promised += found.promised.tolist()
    assert 0 < np.mean(promised) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(promised))


def test_halves_part_the_cases():
    for labelled, test in halves(9, np.random.default_rng(0)):
        assert (len(labelled), len(test)) == (4, 5)
        assert sorted([*labelled, *test]) == list(range(9))


def cohort(n_patients=60, n_networks=3):
    """Tables of networks whose Dice is known up to a little noise."""
    rng = np.random.default_rng(1)
    patient, network = np.tile(np.arange(n_patients), n_networks), np.repeat(np.arange(n_networks), n_patients)
    probability = rng.uniform(size=len(patient))
    dice = np.where(rng.uniform(size=len(patient)) < probability, 0.8, 0.6)
    run = np.array([f"r{k}" for k in range(n_networks)])
    return SimpleNamespace(patient=patient, network=network, dice=dice, run=run), probability


def test_probabilities_are_calibrated_and_their_squares_are_not():
    tables, probability = cohort(n_patients=400)
    rows = [np.flatnonzero(tables.network == k) for k in range(3)]
    rng = np.random.default_rng(0)
    draws = [halves(len(one), rng)[:4] for one in rows]
    good = tables.dice > 0.7
    honest, bold = (reliability_of(p, good, tables.patient, rows, draws) for p in (probability, probability**3))
    assert honest["raw"]["ece"][0] < 0.04 < 0.15 < bold["raw"]["ece"][0]
    assert bold["scaled"]["ece"][0] < 0.04
    assert honest["raw"]["brier"][0] == pytest.approx(1 / 6, abs=0.02)  # the integral of p (1 - p)
    low, high = honest["raw"]["brier"][1:]
    assert low < honest["raw"]["brier"][0] < high
    assert sum(b[2] for b in honest["raw"]["bins"]) == sum(len(test) for each in draws for _, test in each)


def test_all_figures_and_what_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "DRAWS", 5)
    monkeypatch.setattr(calibration, "CASES", (60,))
    monkeypatch.setattr(calibration, "TARGETS", (0.7, 0.75))
    tables, probability = cohort()
    knows = np.where(tables.dice > 0.7, 0.9, 0.1)
    scores = {name: dict.fromkeys((0.7, 0.75), x) for name, x in (("knows", knows), ("told", probability))}
    found = figures(tables, scores)
    assert (found["patients"], found["networks"], found["labelled_cases"]) == (60, 3, [30, 30])
    assert found["needed"] == {"0.8": 15, "0.9": 30, "0.95": 60}
    each = {(x["judge"], x["target"], x["precision"]): x["accept"] for x in found["promises"]}
    assert each["told", 0.7, 0.95]["too_few"] == 1
    assert each["told", 0.7, 0.95]["promised"] == [0, 0, 0]
    assert each["told", 0.7, 0.8]["too_few"] == 0
    assert each["told", 0.7, 0.8]["redrawn"]["60"]["promised"][0] > 0.3 > each["told", 0.7, 0.8]["broken"][0]
    for x in each.values():
        assert x["broken"][0] <= x["promised"][0]
        assert x["redrawn"]["60"]["broken"][0] <= 0.2
    write_report(found, tmp_path / "calibration.json")
    assert read_json(tmp_path / "calibration.json")["rows"] == 180
    text = (tmp_path / "calibration.md").read_text()
    assert text == markdown(found)
    assert "| told | 95% | too few labelled cases |" in text
    assert "**reject: Dice < 0.70** (" in text
    assert (tmp_path / "calibration.png").stat().st_size > 10_000
