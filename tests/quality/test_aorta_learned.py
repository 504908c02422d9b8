"""The learned judge and broken masks of the aortic task."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from aortas import CHECKS, PIXEL_MM, aorta

from semiqc_jax.anatomy import AORTA
from semiqc_jax.errors import DataError
from semiqc_jax.quality import learned
from semiqc_jax.quality.classifier_arrays import from_arrays, to_arrays
from semiqc_jax.quality.corruptions import corrupt
from semiqc_jax.quality.features import features
from semiqc_jax.quality.machines import expected_dice
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.quality.training_set import _windows, corrupted_training_set

N, FRAMES = 64, 6
LABELS = [aorta(FRAMES, radius_mm=(r, 0.7 * r)) for r in (12, 15, 18, 21)]


@pytest.fixture(scope="module")
def copies():
    extents = [np.full(1, 6.0)] * len(LABELS)
    return corrupted_training_set(jax.random.key(2), LABELS, PIXEL_MM, extents, N, AORTA)


@pytest.fixture(scope="module")
def classifier(copies):
    evidence, dice = copies
    return learned.fit(features(evidence, CHECKS), dice, 0.85, "discs", CHECKS, np.arange(N) % len(LABELS))


def test_ranks_unseen_copies(copies, classifier):
    evidence, dice = copies
    assert {CHECKS.features[i].needs for i in classifier.columns} == {"label"}
    half = np.arange(N) % len(LABELS) < 2
    values = np.asarray(features(evidence, CHECKS))
    fitted = learned.fit(values[half], np.asarray(dice)[half], 0.85, "discs", CHECKS, np.arange(N)[half] % len(LABELS))
    unseen = np.asarray(expected_dice(values[~half], jax.tree.map(lambda x: x[-1], fitted.machines)))
    assert np.corrcoef(unseen, np.asarray(dice)[~half])[0, 1] > 0.7


def test_a_judge_of_another_task_is_refused(classifier):
    arrays = to_arrays(classifier)
    again = from_arrays(arrays, CHECKS)
    assert again.checks is CHECKS
    jax.tree.map(np.testing.assert_array_equal, again.machines, classifier.machines)
    with pytest.raises(DataError, match=r"for the task 'aorta', not 'short_axis' \(x.npz\)"):
        from_arrays(arrays, SHORT_AXIS_CHECKS, "x.npz")
    with pytest.raises(DataError, match="knows the classes aao, arch, not aao, dao"):
        from_arrays({**arrays, "classes": np.array(["aao", "arch"])}, CHECKS)
    older = {name: value for name, value in arrays.items() if name != "fold"}
    with pytest.raises(DataError, match="an older version made this judge"):
        from_arrays(older, CHECKS)
    fewer = replace(CHECKS, features=CHECKS.features[5:])
    with pytest.raises(DataError, match="unknown features"):
        from_arrays(arrays, fewer)


def test_damage_grows_with_severity_and_is_valid():
    keys = jax.random.split(jax.random.key(1), 16)
    broken = jax.jit(jax.vmap(lambda key, severity: corrupt(key, LABELS[0], severity, AORTA), in_axes=(0, None)))
    np.testing.assert_array_equal(broken(keys, 0.0), np.broadcast_to(LABELS[0], (16, *LABELS[0].shape)))
    wrong = [(np.asarray(broken(keys, s)) != LABELS[0]).mean() for s in (0.1, 0.5, 1.0)]
    assert 0 < 2 * wrong[0] < wrong[1] < wrong[2]
    assert set(np.unique(broken(keys, 1.0))) <= {0, 1, 2}


def test_windows_hold_every_structure():
    labels = [np.pad(x, ((0, 0), (0, 0), (5, 91), (60, 36))) for x in (LABELS[0], LABELS[3], 0 * LABELS[0])]
    cut = _windows(labels)
    assert {x.shape[2:] for x in cut} == {(72, 72)}  # 50 pixels, a margin on both sides, a multiple of 8
    assert [int((x > 0).sum()) for x in cut] == [int((x > 0).sum()) for x in labels]
    assert [x.shape for x in _windows(LABELS)] == [x.shape for x in LABELS]  # never larger than the image
