"""The chance of wrong volumes: fitted by patient, the same after a file, never silent about what it cannot judge."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from curves_by_hand import FRAMES, random_curves
from hearts import evidence_of, heart
from jax.sharding import PartitionSpec

from semiqc_jax.errors import DataError
from semiqc_jax.parallel import Devices
from semiqc_jax.quality.blocks import BLOCK
from semiqc_jax.quality.curve_chance import (
    CurveExamples,
    CurveJudge,
    chance_of_curves,
    chance_of_wrong_volumes,
    curve_feature_names,
    curve_judge_arrays,
    curve_judge_from,
    curve_reason,
    fit_curve_judge,
)
from semiqc_jax.quality.curve_features import volume_curves
from semiqc_jax.quality.curve_judge import expected_severity

N = 40
CURVES = random_curves(N)


def examples(bad: np.ndarray, seed: int = 0) -> CurveExamples:
    """Four curves of each of 30 patients; a third of the features tell the severity, not one of them well."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(120, len(curve_feature_names())))
    severity = np.where(bad, 1.5, -1.5)
    values[:, :35] += 0.3 * severity[:, None]
    return CurveExamples(values, severity, bad, np.ones(120, bool), np.arange(120) // 4)


@pytest.fixture(scope="module")
def judge() -> CurveJudge:
    return fit_curve_judge(examples(np.arange(120) % 3 == 0), "made curves", ("p2", "p1"))


def test_the_chance_rises_with_the_severity_and_is_right_for_unseen_ones(judge: CurveJudge) -> None:
    new = examples(np.random.default_rng(5).random(120) < 0.3, seed=9)
    severity = np.asarray(expected_severity(jnp.asarray(new.values, jnp.float32), judge.machine))
    chance = np.asarray(jax.nn.sigmoid(judge.slope * severity + judge.offset))
    order = np.argsort(severity)
    assert float(judge.slope) > 0
    assert (np.diff(chance[order]) >= 0).all()
    assert abs(chance.mean() - new.bad.mean()) < 0.1


def test_what_only_the_taught_patients_share_earns_no_trust() -> None:
    rng = np.random.default_rng(3)
    noise = examples(rng.random(120) < 0.5)
    noise.values[:] = rng.normal(size=noise.values.shape)  # the severity cannot be told from it
    judge = fit_curve_judge(noise, "noise")
    severity = np.asarray(expected_severity(jnp.asarray(noise.values, jnp.float32), judge.machine))
    assert np.corrcoef(severity, noise.bad)[0, 1] > 0.5  # of the taught ones the machine knows it
    chance = np.asarray(jax.nn.sigmoid(judge.slope * severity + judge.offset))
    assert np.abs(chance - 0.5).max() < 0.35


def test_only_rows_that_teach_make_the_machine_and_all_make_the_chance() -> None:
    bad = np.arange(120) % 3 == 0
    some = examples(bad)
    teaches = np.arange(120) < 100
    taught = fit_curve_judge(CurveExamples(*(x[:100] for x in vars(some).values())), "a")
    found = fit_curve_judge(CurveExamples(some.values, some.severity, ~teaches | bad, teaches, some.patient), "b")
    np.testing.assert_array_equal(found.machine.weights, taught.machine.weights)
    assert 0 < float(found.slope) < 0.8 * float(taught.slope)  # rows that teach nothing are bad without looking so
    with pytest.raises(ValueError, match="at least two patients"):
        fit_curve_judge(CurveExamples(some.values, some.severity, bad, some.patient == 0, some.patient), "c")


def test_a_file_gives_the_same_judge(judge: CurveJudge) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **curve_judge_arrays(judge))
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as data:
        again = curve_judge_from(data, "short_axis", "here", "mend it")
    assert (again.learned_from, again.patients) == ("made curves", ("p1", "p2"))
    np.testing.assert_array_equal(chance_of_curves(*CURVES, judge), chance_of_curves(*CURVES, again))


def test_files_that_are_no_judge_of_these_curves_are_named(judge: CurveJudge) -> None:
    arrays = curve_judge_arrays(judge)
    lost = {k: v for k, v in arrays.items() if k != "slope"}
    names, vectors = arrays["curve_features"].copy(), arrays["vectors"].copy()
    names[3], vectors[0, 0] = "another", np.nan
    wrong = {
        "no judge of volume curves": lost,
        "for the task 'aorta', not 'short_axis'": {**arrays, "task": np.array("aorta")},
        "other features": {**arrays, "curve_features": names},
        "damaged": {**arrays, "vectors": vectors},
        "are damaged": {**arrays, "weights": arrays["weights"][1:]},
    }
    for complaint, content in wrong.items():
        with pytest.raises(DataError, match=complaint) as error:
            curve_judge_from(content, "short_axis", "judge.npz", "make one")
        assert (error.value.where, error.value.mend) == ("judge.npz", "make one")


def test_what_cannot_be_judged_is_told_apart(judge: CurveJudge) -> None:
    lv, myo, there = (x.copy() for x in CURVES)
    there[:] = True
    lv[0, 3], myo[1, 3], lv[2], lv[3] = np.nan, np.inf, 0.0, 2000.0
    there[4, 7:], there[5, 8:] = False, False
    lv[5, 8:] = np.nan  # padded: of no account
    there[6] = False
    found = np.asarray(chance_of_curves(lv, myo, there, judge))
    assert found[:4].tolist() == [1.0] * 4
    assert np.isnan(found[[4, 6]]).all()
    assert ((found[5:6] < 1) & (found[5:6] > 0)).all()
    assert not np.isnan(found[7:]).any()
    assert chance_of_curves(*(x[:0] for x in CURVES), judge).shape == (0,)
    assert np.isnan(chance_of_curves(*(x[:, :7] for x in CURVES), judge)).all()


def test_sentences() -> None:
    assert curve_reason(0.72) == ["The volume curve looks like one with a wrong EF or EDV (chance 72%)"]
    assert curve_reason(0.49) == []
    assert curve_reason(float("nan")) == ["The volume curve was not judged: fewer than 8 frames"]


def test_volumes_come_from_areas_and_extents(judge: CurveJudge) -> None:
    two = evidence_of(heart(n_frames=FRAMES), heart(n_frames=7))
    evidence = jax.tree.map(lambda x: np.repeat(x, N // 2, 0), two)
    found = np.asarray(chance_of_wrong_volumes(evidence, judge))
    curves = np.asarray(jax.vmap(volume_curves)(jax.tree.map(jnp.asarray, evidence)))
    np.testing.assert_array_equal(found, chance_of_curves(curves[..., 0], curves[..., 1], evidence.frame_mask, judge))
    assert 0 < found[0] < 1
    assert np.isnan(found[-1])
    lost = evidence._replace(area_mm2=np.where(np.arange(FRAMES)[:, None, None] == 3, np.nan, evidence.area_mm2))
    assert np.asarray(chance_of_wrong_volumes(lost, judge))[0] == 1.0


def test_eight_devices_judge_as_one(judge: CurveJudge) -> None:
    cohort = random_curves(2 * BLOCK, 4)
    devices = Devices.of()
    assert devices.count == 8
    eight = chance_of_curves(*devices.shard(cohort), judge)
    assert eight.sharding.spec == PartitionSpec("data")
    for rows in (slice(0, N), slice(BLOCK - N // 2, BLOCK + N // 2), slice(2 * BLOCK - N, 2 * BLOCK)):
        one = chance_of_curves(*(x[rows] for x in cohort), judge)
        np.testing.assert_allclose(eight[rows], one, rtol=1e-4, atol=1e-6)
    assert np.ptp(np.asarray(eight)) > 0.01
