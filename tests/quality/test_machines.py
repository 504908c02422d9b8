"""Learned judges of every kind: symmetric, blind to padding, cross-fitted by subject, the same when stored."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semiqc_jax.benchmarks.selecting import random_evidence
from semiqc_jax.errors import DataError
from semiqc_jax.quality import learned, machines
from semiqc_jax.quality.checks import LABEL, SOFTMAX
from semiqc_jax.quality.classifier_arrays import from_arrays, to_arrays
from semiqc_jax.quality.machines import KINDS, NETWORK, REGRESSOR, SVM, cross_fit, examples_of, fit_machine, merits
from semiqc_jax.quality.profile_network import profile_outputs, profiles
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS

N, TARGET, UPDATES = 40, 0.8, 60
BOTH = (LABEL, SOFTMAX)
OF = np.array([f"h{n // 2}" for n in range(N)])  # whose each example is
STRANGERS = [f"stranger {n}" for n in range(N)]


def cohort(seed=0):
    """Evidence of N round hearts, some of whose slices are ragged, and Dice that fall with raggedness."""
    rng = np.random.default_rng(seed)
    evidence = random_evidence(N)
    shape = np.shape(evidence.area_mm2)
    ragged = rng.uniform(0, 1, N)
    area = 800.0 * (1 + 0.6 * ragged[:, None, None, None] * rng.uniform(-1, 1, shape))
    numbers = {
        "slice_extent_mm": np.full((N, shape[2]), 8.0),
        "area_mm2": area,
        "perimeter_mm": 4 * np.sqrt(1.27 * area),
        "components": np.ones(shape),
        "largest_fraction": np.ones(shape),
        "centroid_mm": rng.normal(0, 3, (*shape, 2)),
        "confidence": np.broadcast_to((0.97 - 0.1 * ragged)[:, None, None], shape[:3]),
        "uncertain_pixels": np.full(shape[:3], 100.0),
    }
    evidence = evidence._replace(
        frame_mask=jnp.ones(shape[:2], bool),
        slice_mask=jnp.ones((N, shape[2]), bool),
        **{name: jnp.asarray(x, jnp.float32) for name, x in numbers.items()},
    )
    dice = 0.95 - 0.3 * ragged
    return evidence, dice, np.stack([dice, dice - 0.02, np.where(np.arange(N) % 5, dice + 0.02, np.nan)], 1)


@pytest.fixture(scope="module")
def examples():
    evidence, dice, class_dice = cohort()
    return evidence, examples_of(evidence, CHECKS, dice, class_dice, BOTH)


@pytest.fixture(scope="module")
def fitted(examples):
    return {
        kind: learned.fit_classifier(kind, examples[1], OF, TARGET, "ragged hearts", CHECKS, BOTH, UPDATES, folds=2)
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_learns_and_reads_back_the_same(kind, fitted, examples):
    evidence, known = examples
    quality = learned.assess_learned(evidence, fitted[kind], STRANGERS)
    assert np.corrcoef(np.asarray(quality.score), known.dice)[0, 1] > 0.8
    file = io.BytesIO()
    np.savez(file, **to_arrays(fitted[kind]))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = from_arrays(arrays, CHECKS)
        with pytest.raises(DataError, match="unknown kind 'oracle'"):
            from_arrays({**arrays, "kind": np.array("oracle")}, CHECKS)
    assert (again.kind, again.folds, again.sees_softmax) == (kind, fitted[kind].folds, True)
    assert again.learned_from == f"ragged hearts, cross-fitted in 2 folds by subject ({kind})"
    jax.tree.map(np.testing.assert_array_equal, quality, learned.assess_learned(evidence, again, STRANGERS))
    # It sees the softmax itself: confidence does not join a second time.
    without = learned.assess_learned(evidence, fitted[kind], STRANGERS, use_confidence=False)
    jax.tree.map(np.testing.assert_array_equal, quality, without)


def test_reasons_say_what_each_kind_knows(fitted, examples):
    worst = int(np.argmin(examples[1].dice))
    for kind, word in (
        (NETWORK, "The chance of a Dice of 0.80 is"),
        (REGRESSOR, "Expected Dice is"),
        (SVM, "Expected"),
    ):
        judged = learned.assess_learned(examples[0], fitted[kind], STRANGERS)
        row = jax.tree.map(lambda x: np.asarray(x)[worst], judged)
        assert learned.learned_reasons(row, fitted[kind])[0].startswith(word)


def test_network_ignores_direction_and_padding(fitted, examples):
    evidence, machine = examples[0], jax.tree.map(lambda x: x[-1], fitted[REGRESSOR].machines)
    inputs = jnp.zeros((N, len(machine.columns)))

    def outputs(x):
        return np.asarray(profile_outputs(machine.params, profiles(x, True), inputs))

    whole = outputs(evidence)
    assert np.ptp(whole) > 0.05
    n_slices = evidence.slice_mask.shape[1]
    by_slice = {
        name: x[:, ::-1] if name.startswith("slice_") else x[:, :, ::-1]
        for name, x in evidence._asdict().items()
        if not name.startswith("frame_")
    }
    np.testing.assert_allclose(outputs(evidence._replace(**by_slice)), whole, atol=1e-5)
    more = {"frame_mask": (2,), "frame_time_s": (2,), "slice_mask": (3,), "slice_extent_mm": (3,)}
    longer = {
        name: np.pad(x, [(0, 0), *((0, n) for n in ends), *[(0, 0)] * (np.ndim(x) - 1 - len(ends))])
        for name, x in evidence._asdict().items()
        for ends in [more.get(name, (2, 3))]
    }
    padded = evidence._replace(**longer)
    assert padded.slice_mask.shape[1] == n_slices + 3
    np.testing.assert_allclose(outputs(padded), whole, atol=1e-5)


def test_without_softmax_it_is_not_seen(examples):
    evidence, known = examples
    doubtful = evidence._replace(confidence=evidence.confidence * 0.5, entropy=evidence.entropy + 0.3)
    for a, b in zip(profiles(evidence, False), profiles(doubtful, False), strict=True):
        np.testing.assert_array_equal(a, b)
    machine = fit_machine(SVM, known, np.ones(N, bool), CHECKS, (LABEL,), TARGET)
    assert {CHECKS.features[i].needs for i in np.asarray(machine.columns)} == {LABEL}


def test_no_subject_is_judged_by_what_it_taught(examples, monkeypatch):
    known, groups = examples[1], np.arange(N) // 4
    seen = []

    def spy(kind, known, rows, *rest):
        seen.append(rows)
        return fit_machine(kind, known, rows, *rest)

    monkeypatch.setattr(machines, "fit_machine", spy)
    found = cross_fit(SVM, known, groups, CHECKS, (LABEL,), TARGET).merit
    for rows in seen:
        assert not {*groups[rows]} & {*groups[~rows]}
    np.testing.assert_array_equal(np.sum([~rows for rows in seen], 0), 1)
    # A wrong truth of one subject does not change how that subject is judged.
    wrong = machines.Examples(known.values, np.where(groups == 0, 0.0, known.dice))
    again = cross_fit(SVM, wrong, groups, CHECKS, (LABEL,), TARGET).merit
    np.testing.assert_array_equal(again[groups == 0], found[groups == 0])
    assert np.abs(again - found).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_judged_by_the_machine_that_did_not_learn_from_it(kind, fitted, examples):
    """A classifier says of its own subjects what cross-fitting says, of strangers what the last machine says."""
    evidence, known = examples
    classifier = fitted[kind]
    crossed = cross_fit(kind, known, OF, CHECKS, BOTH, TARGET, UPDATES, folds=2)
    assert crossed.folds == classifier.folds
    last = jax.tree.map(lambda x: x[-1], classifier.machines)
    to_all = np.asarray(merits(jnp.asarray(known.values, jnp.float32), known.profiles, last))

    def score(merit):
        return 1 / (1 + np.exp(-(float(last.slope) * merit + float(last.offset))))

    scores = [np.asarray(learned.assess_learned(evidence, classifier, ids).score) for ids in (OF, STRANGERS)]
    np.testing.assert_allclose(scores[0], score(crossed.merit), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(scores[1], score(to_all), rtol=1e-3, atol=1e-5)
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    mixed = np.where(np.arange(N) % 3, OF, STRANGERS)
    found = np.asarray(learned.assess_learned(evidence, classifier, mixed.tolist()).score)
    np.testing.assert_allclose(found, np.where(np.arange(N) % 3, *scores), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["area_mm2", "confidence", "slice_extent_mm"])
def test_what_cannot_be_measured_is_flagged_and_the_worst(kind, name, fitted, examples):
    evidence = examples[0]
    broken = np.array(getattr(evidence, name))
    broken[(7, *[1] * (broken.ndim - 1))] = np.nan
    judged = learned.assess_learned(evidence._replace(**{name: broken}), fitted[kind], OF.tolist())
    assert np.isfinite(judged.score).all()
    assert judged.flags[7, 0]
    assert judged.score[7] == 0
    row = jax.tree.map(lambda x: np.asarray(x)[7], judged)
    assert learned.learned_reasons(row, fitted[kind])[0].startswith("What is judged by cannot be measured")
    sound = learned.assess_learned(evidence, fitted[kind], OF.tolist())
    others = np.arange(N) != 7
    np.testing.assert_allclose(judged.score[others], sound.score[others], rtol=1e-4, atol=1e-6)


def test_confidence_that_cannot_be_measured_is_not_passed_over(examples):
    """A classifier of masks does not see the softmax; where it joins, it may not be NaN."""
    evidence, known = examples
    masks = learned.fit(known.values, known.dice, TARGET, "masks", CHECKS)
    doubtful = evidence._replace(confidence=evidence.confidence.at[3].set(jnp.nan))
    with_it, without = (learned.assess_learned(doubtful, masks, STRANGERS, use) for use in (True, False))
    assert (float(with_it.score[3]), bool(with_it.flags[3, 0])) == (0.0, True)
    np.testing.assert_array_equal(without.score, learned.assess_learned(evidence, masks, STRANGERS, False).score)


def test_nobody_is_judged_as_nobody(fitted, examples):
    nobody = jax.tree.map(lambda x: x[:0], examples[0])
    for classifier in fitted.values():
        assert learned.assess_learned(nobody, classifier, []).score.shape == (0,)


def test_what_is_missing_is_said(examples):
    known = examples[1]
    bare = machines.Examples(known.values, known.dice)
    with pytest.raises(ValueError, match="profiles"):
        fit_machine(NETWORK, bare, np.ones(N, bool), CHECKS, BOTH, TARGET)
    with pytest.raises(ValueError, match="two subjects"):
        cross_fit(SVM, bare, np.zeros(N), CHECKS, BOTH, TARGET)
    svm = fit_machine(SVM, bare, np.ones(N, bool), CHECKS, BOTH, TARGET)
    assert merits(jnp.asarray(known.values, jnp.float32), None, svm).shape == (N,)
