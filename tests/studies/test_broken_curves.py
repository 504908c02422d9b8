"""Synthetic curves that were broken on purpose, and the judges that curves teach."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from test_curve_study import write_cohort

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.curve_chance import chance_of_curves
from semiqc_jax.rounds.curve_file import read_curve_judge
from semiqc_jax.studies import broken_curves as made
from semiqc_jax.studies import train_curve_judge as teaching
from semiqc_jax.studies.curve_data import CurveSet, read_curves

HEARTS, COPIES = 12, 4


@pytest.fixture(scope="module")
def broken() -> CurveSet:
    return made.broken_curves(HEARTS, COPIES, 0)


def test_curves_follow_from_their_seed_and_are_right_and_wrong(broken: CurveSet) -> None:
    again, other = made.broken_curves(HEARTS, COPIES, 0), made.broken_curves(HEARTS, COPIES, 1)
    np.testing.assert_array_equal(broken.lv_ml, again.lv_ml)
    assert not np.array_equal(broken.lv_ml, other.lv_ml)
    assert set(broken.frame_mask.sum(1)) == set(made.FRAMES)
    assert 0 < broken.bad.mean() < 0.6
    assert np.isfinite(broken.lv_ml).all()
    assert np.median(np.abs(broken.edv_error)) < 0.12
    assert (broken.patient == np.repeat(np.arange(HEARTS), COPIES)).all()


def test_without_damage_the_slices_hold_the_volumes_of_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "OBSERVER", 0.0)
    stacks, references = made._stacks(HEARTS, 0)
    for stack, (edv, esv) in zip(stacks, references, strict=True):
        below = stack.height < stack.base
        volume = (np.pi * stack.inner**2 * below).sum(1) * stack.dz / made.MM3_PER_ML
        assert volume.max() == pytest.approx(edv, rel=0.15)  # half a slice at the base, at most
        assert volume.min() == pytest.approx(esv, abs=0.15 * edv)
        assert (stack.outer >= stack.inner).all()


@pytest.mark.parametrize("damage", made.DAMAGES)
def test_every_damage_changes_volumes_and_none_makes_some(damage: made.Damage) -> None:
    found = np.ones((20, 8), bool)
    found[:, 6:] = False
    changed = 0
    for seed in range(20):
        cavity, wall, here = np.ones((20, 8)), np.ones((20, 8)), found.copy()
        damage(np.random.default_rng(seed), cavity, wall, here)
        assert cavity.min() >= 0
        assert wall.min() >= 0
        assert max(cavity.max(), wall.max()) <= 1
        changed += not (np.array_equal(here, found) and cavity.min() == wall.min() == 1)
    assert changed >= 15


def test_a_judge_of_phantoms_tells_lost_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "judge_of_phantoms", partial(teaching.judge_of_phantoms, 40, 5))
    found = teaching.train_curve_judge(tmp_path / "judge.npz")
    assert found.learned_from == "200 curves of 40 synthetic hearts, broken on purpose"
    assert (found.patients, float(found.slope) > 0) == ((), True)
    data = made.broken_curves(HEARTS, COPIES, 5)
    judge = read_curve_judge(tmp_path / "judge.npz")
    chance = np.asarray(chance_of_curves(data.lv_ml, data.myo_ml, data.frame_mask, judge))
    assert chance[data.bad].mean() > chance[~data.bad].mean() + 0.15


def test_a_judge_of_real_curves_names_them_and_is_refused_where_they_are_few(tmp_path: Path) -> None:
    source = write_cohort(tmp_path / "data")
    found = teaching.train_curve_judge(tmp_path / "judge.npz", source)
    assert found.learned_from == "54 curves of 18 patients by 3 networks"
    data = read_curves(source)
    assert set(found.patients) == {data.patients[i] for i in data.patient[data.split == "train"]}
    with pytest.raises(ConfigError, match=r"6 patients to learn from in the split 'test' .*splits are test, train"):
        teaching.train_curve_judge(tmp_path / "judge.npz", source, "test")
