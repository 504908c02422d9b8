"""Guarantees: exact by hand in small cases, true as often as they say in simulation, and never without enough cases."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.quality.calibration import (
    Promise,
    calibrate,
    claim,
    from_json,
    probability_good,
    to_json,
    verdicts,
)

NINETY = Promise(0.9, 0.9)


def falling(n: int) -> np.ndarray:
    return np.linspace(0.99, 0.01, n)


def calibrated(score, good):
    return calibrate(score, np.where(good, 0.9, 0.5), 0.85, "val", "quality_rules")


def test_how_many_it_takes():
    assert Promise(0.95, 0.95).needed == 59  # 0.95^59 = 0.0485, 0.95^58 = 0.0510
    assert Promise(0.95, 0.9).needed == 45
    assert Promise(0.9, 0.9).needed == 22


def test_59_without_an_error_and_the_60th_is_the_limit():
    assert claim(falling(59), np.ones(59, bool)) is None
    found = claim(falling(60), np.ones(60, bool))
    assert found is not None
    assert (found.limit, found.n, found.right) == (falling(60)[59], 59, 59)
    assert found.lower == pytest.approx(0.05 ** (1 / 59))  # Clopper-Pearson without an error


@pytest.mark.parametrize(("place", "n"), [(0, None), (58, None), (59, 59), (70, 70), (80, 80)])
def test_one_bad_case_ends_the_trial_where_it_stands(place, n):
    """With one error 93 accepted are needed (binomial P(X <= 1 | 93, 0.05) = 0.0499), and there are 81."""
    good = np.ones(82, bool)
    good[place] = False
    found = claim(falling(82), good)
    assert (None if found is None else found.n) == n


def test_many_cases_forgive_an_early_error():
    good = np.ones(400, bool)
    good[3] = False  # the strictest limit tried keeps a quarter, 100
    found = claim(falling(400), good)
    assert found is not None
    assert (found.n, found.right) == (399, 398)


def test_ties_at_the_limit_are_not_accepted():
    score = np.concatenate([np.full(60, 0.9), np.full(5, 0.5)])
    found = claim(score, np.ones(65, bool))
    assert found is not None
    assert (found.limit, found.n) == (0.5, 60)
    assert claim(np.full(100, 0.7), np.ones(100, bool)) is None  # nothing lies above


SHAPES = {  # score -> chance of being good; the last falls through 90 % more than once
    "just too bad": lambda s: np.full_like(s, 0.9 - 1e-9),
    "rising": lambda s: np.clip(0.55 + 0.5 * s, 0, 1),
    "worthless top": lambda s: np.where(s > 0.8, 0.86, np.where(s > 0.5, 0.99, np.where(s > 0.45, 0.0, 1.0))),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [40, 200])
def test_claims_are_false_no_more_often_than_they_say(shape, n):
    chance, rng, draws = SHAPES[shape], np.random.default_rng(n), 600
    every = np.linspace(0, 1, 4001)
    false = made = 0
    for _ in range(draws):
        score = rng.random(n)
        found = claim(score, rng.random(n) < chance(score), NINETY)
        made += found is not None
        false += found is not None and chance(every[every > found.limit]).mean() < NINETY.precision
    assert false / draws <= 0.1 + 2.5 * np.sqrt(0.1 * 0.9 / draws)
    if shape == "rising" and n == 200:
        assert made / draws > 0.6  # and it is not by saying nothing


@settings(max_examples=60, deadline=None)
@given(st.integers(60, 120), st.integers(0, 2**32 - 1))
def test_mending_a_case_never_raises_the_limit(n, seed):
    rng = np.random.default_rng(seed)
    score, good = rng.random(n), rng.random(n) < 0.97
    before = claim(score, good, NINETY)
    good[rng.integers(n)] = True
    after = claim(score, good, NINETY)
    assert before is None or (after is not None and after.limit <= before.limit)


def test_verdicts_say_what_is_promised_and_no_more():
    score = np.linspace(0, 1, 201)
    found = calibrated(score, score > 0.5)
    assert found.accept is not None
    assert found.reject is not None
    # one error in 101 accepted would still do, two in 103 would not (needs 124)
    assert found.accept.limit < 0.5 < found.reject.limit  # both forgive an error, so they overlap a little
    words = verdicts(np.array([0.9, 0.5, 0.1, np.nan, found.accept.limit]), found)
    assert words == ["accept", "review", "reject", "review", "reject"]
    assert found.name == "val"
    assert verdicts(np.array([0.99, 0.01]), None) == ["review", "review"]


@pytest.mark.parametrize("n", [0, 1, 10, 59])
def test_too_few_cases_promise_nothing_and_say_so(n):
    found = calibrated(falling(n), np.ones(n, bool))
    assert found.name == "none"
    assert found.reason == (
        f"Too few labelled cases, {n} (val): it takes at least 60 to show that 95% of the accepted are good with 95% "
        "confidence, and nothing is accepted"
    )
    assert set(verdicts(np.array([0.0, 1.0]), found)) == {"review"}


def test_a_worthless_score_promises_nothing():
    found = calibrated(falling(200), np.arange(200) % 2 == 0)
    assert found.name == "none"
    assert "no limit on the score shows" in found.reason


def test_unknown_truth_is_left_out_and_unknown_scores_are_worst():
    score = np.append(falling(70), [np.nan, 0.999])
    dice = np.append(np.full(70, 0.9), [0.2, np.nan])
    found = calibrate(score, dice, 0.85, "val", "rules")
    assert (found.n, found.n_good) == (71, 70)
    assert found.accept is not None
    assert found.accept.limit == falling(70)[-1]


def test_probabilities_rise_with_the_score():
    rng = np.random.default_rng(0)
    score = rng.random(400)
    found = calibrated(score, rng.random(400) < score)
    p = probability_good(np.linspace(0, 1, 50), found)
    assert np.all(np.diff(p) >= 0)
    assert np.abs(p - np.linspace(0, 1, 50)).max() < 0.12
    assert found.reliability.ece < 0.08
    assert found.reliability.brier < 0.2


def test_files_hold_it_all():
    for n in (0, 30, 90):
        found = calibrated(falling(n), np.ones(n, bool))
        values = json.loads(json.dumps(to_json(found)).replace("NaN", "null"))
        again = from_json(values)
        assert again == found or n == 0
        assert str(to_json(again)) == str(to_json(found))
    del values["promise"]
    with pytest.raises(DataError, match=r"no calibration of this version: 'promise' \(a file\): delete"):
        from_json(values, "a file")


def test_wrong_input_is_named():
    with pytest.raises(DataError, match=r"\(3,\) scores, \(2,\) true Dice"):
        calibrate([0.1, 0.2, 0.3], [0.9, 0.9], 0.85, "val", "rules")
    with pytest.raises(ConfigError, match="precision 1"):
        Promise(1.0, 0.95)
