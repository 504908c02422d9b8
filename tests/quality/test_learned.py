"""The learned judge on held-out broken masks, its numbers against scikit-learn's, and its stored form."""

import io
from functools import partial

import jax
import numpy as np
import pytest
from hearts import DZ_MM, PIXEL_MM, heart
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVR

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.errors import DataError
from semiqc_jax.quality import learned
from semiqc_jax.quality.classifier_arrays import from_arrays, to_arrays
from semiqc_jax.quality.features import features as features_by
from semiqc_jax.quality.machines import SVM_C, SVM_EPSILON, SVM_GAMMA, expected_dice
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.quality.training_set import corrupted_training_set

N, TARGET = 160, 0.85
IDS = [f"h{n}" for n in range(N)]
features = partial(features_by, checks=SHORT_AXIS_CHECKS)


def cohort(key, n_subjects):
    """Evidence and Dice of broken hearts of `n_subjects` different sizes."""
    rng = np.random.default_rng(key)
    ranges = ((18, 30), (7, 12), (0.15, 0.4))
    labels = [heart(2, 6, *(rng.uniform(*r) for r in ranges)) for _ in range(n_subjects)]
    extents = [np.full(6, DZ_MM)] * n_subjects
    return corrupted_training_set(jax.random.key(key), labels, PIXEL_MM, extents, N, SHORT_AXIS)


@pytest.fixture(scope="module")
def training():
    return cohort(0, 8)


@pytest.fixture(scope="module")
def held_out():
    return cohort(1, 8)


@pytest.fixture(scope="module")
def classifier(training):
    evidence, dice = training
    return learned.fit(features(evidence), dice, TARGET, "broken ellipsoids", SHORT_AXIS_CHECKS, np.arange(N) % 8)


def test_ranks_and_calibrates_held_out_hearts(classifier, held_out):
    evidence, dice = held_out
    quality = learned.assess_learned(evidence, classifier, IDS, use_confidence=False)
    good = np.asarray(dice) >= TARGET
    assert 0.2 < good.mean() < 0.9
    assert roc_auc_score(good, quality.score) > 0.9
    assert np.abs(np.asarray(quality.values[:, 0]) - dice).mean() < 0.1
    assert abs(float(quality.score.mean()) - good.mean()) < 0.12
    np.testing.assert_array_equal(quality.flags[:, 0], quality.score < 0.5)


def test_numbers_are_those_of_scikit_learn(classifier, training, held_out):
    machine = jax.tree.map(lambda x: x[-1], classifier.machines)
    columns = np.asarray(machine.columns)

    def inputs(evidence):
        values = features(evidence)[:, columns]
        return np.asarray(learned.standardise(values, machine.centre, machine.scale), np.float64)

    svm = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON)
    svm.fit(inputs(training[0]), np.asarray(training[1], np.float64))
    ours = expected_dice(features(held_out[0]), machine)
    np.testing.assert_allclose(ours, svm.predict(inputs(held_out[0])), atol=2e-3)


def test_confidence_joins_only_if_used(classifier, held_out):
    evidence = held_out[0]
    doubtful = evidence._replace(confidence=evidence.confidence * 0.7)
    alone = learned.assess_learned(evidence, classifier, IDS, use_confidence=False).score
    np.testing.assert_array_equal(
        learned.assess_learned(doubtful, classifier, IDS, use_confidence=False).score, alone
    )
    sure = np.asarray(learned.assess_learned(evidence, classifier, IDS).score)
    unsure = np.asarray(learned.assess_learned(doubtful, classifier, IDS).score)
    assert (unsure <= sure).all()
    np.testing.assert_allclose(sure, np.sqrt(alone / (1 + np.exp(-0.12 / 0.02))), rtol=1e-3, atol=1e-6)


def test_stored_and_read_it_is_the_same(classifier, held_out):
    file = io.BytesIO()
    np.savez(file, **to_arrays(classifier))
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = from_arrays(arrays, SHORT_AXIS_CHECKS)
        changed = {**arrays, "features": np.array(["no such feature"])}
    assert (again.target, again.learned_from) == (TARGET, "broken ellipsoids")
    before, after = (learned.assess_learned(held_out[0], x, IDS) for x in (classifier, again))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    with pytest.raises(DataError, match="no such feature"):
        from_arrays(changed, SHORT_AXIS_CHECKS)


def test_says_why(classifier, held_out):
    evidence, dice = held_out
    quality = learned.assess_learned(evidence, classifier, IDS)
    worst, best = int(np.argmin(dice)), int(np.argmax(dice))
    sentence = learned.learned_reasons(jax.tree.map(lambda x: x[worst], quality), classifier)
    assert len(sentence) == 1
    assert sentence[0].endswith("wanted 0.85 (learned from broken ellipsoids)")
    assert learned.learned_reasons(jax.tree.map(lambda x: x[best], quality), classifier) == []


def test_constant_features_and_one_kind_of_label_do_no_harm(training):
    values, dice = np.array(features(training[0])), np.asarray(training[1])
    values[:, 3] = 1.0
    fitted = learned.fit(values, dice, 1.5, "a target that nothing reaches", SHORT_AXIS_CHECKS)
    assert 3 not in fitted.columns
    quality = learned.assess_learned(training[0], fitted, IDS)
    assert np.isfinite(np.asarray(quality.score)).all()
    assert quality.flags.all()


def test_one_subject_is_not_enough(training):
    with pytest.raises(ValueError, match="two subjects"):
        learned.fit(features(training[0]), training[1], TARGET, "one heart", SHORT_AXIS_CHECKS, np.zeros(N))
