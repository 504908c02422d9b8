"""Evidence that nobody should trust: NaN, one frame, a class found nowhere, nobody at all. Never a silent pass."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hearts import evidence_of, heart

from semiqc_jax.quality.calibration import calibrate, verdicts
from semiqc_jax.quality.features import features
from semiqc_jax.quality.rules import assess_rules, configure_rules, reasons
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS

GOOD = evidence_of(heart(n_frames=6))


def judged(evidence, checks=CHECKS):
    quality = jax.device_get(assess_rules(evidence, checks))
    return quality, reasons(jax.tree.map(lambda x: x[0], quality), checks)


@pytest.mark.parametrize("where", [(0, 0, 3, 0), (0, 2), (0,)])
def test_nan_areas_fail_and_say_so(where):
    area = GOOD.area_mm2.copy()
    area[where] = np.nan
    quality, said = judged(GOOD._replace(area_mm2=area))
    assert np.isfinite(quality.score).all()
    assert quality.score[0] < 0.5 < judged(GOOD)[0].score[0]
    assert any(sentence.endswith("cannot be measured") for sentence in said)


def test_nan_confidence_fails_where_confidence_counts():
    broken = GOOD._replace(confidence=np.full_like(GOOD.confidence, np.nan), uncertain_pixels=GOOD.uncertain_pixels + 1)
    assert "confidence cannot be measured" in judged(broken)[1]
    assert not assess_rules(broken, CHECKS, use_confidence=False).flags.any()


def test_padding_may_hold_anything():
    """What lies beyond the masks is not looked at, be it a number."""
    area = np.pad(GOOD.area_mm2, ((0, 0), (0, 2), (0, 0), (0, 0)), constant_values=777.0)
    padded = jax.tree.map(lambda x: x, GOOD)._asdict()
    for name, value in padded.items():
        if name != "area_mm2" and value.ndim > 1 and value.shape[1] == 6 and name != "slice_extent_mm":
            padded[name] = np.pad(value, ((0, 0), (0, 2), *[(0, 0)] * (value.ndim - 2)))
    found = features(GOOD._replace(**{**padded, "area_mm2": area}), CHECKS)
    np.testing.assert_allclose(found, features(GOOD, CHECKS), rtol=1e-5, atol=1e-5)


def test_one_frame_is_judged_without_the_cycle():
    quality, said = judged(evidence_of(heart(n_frames=1)))
    assert np.isfinite(quality.values).all()
    assert quality.score[0] > 0.9
    assert said == []
    needy = configure_rules(CHECKS, off=[name for name in CHECKS.rule_names if name != "lv_ef"])
    assert judged(evidence_of(heart(n_frames=1)), needy)[0].score == 0  # nothing can be said: the last to be accepted
    assert judged(GOOD, needy)[0].score > 0.5


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_class_that_is_nowhere_is_missing(code):
    label = heart()
    label[label == code] = 0
    quality, said = judged(evidence_of(label))
    assert np.isfinite(quality.values).all()
    assert "A structure is missing in 33.3% of frames and structures" in said
    assert quality.score[0] < 0.6


def test_nobody_is_judged_as_nobody():
    nobody = jax.tree.map(lambda x: x[:0], GOOD)
    quality = assess_rules(nobody, CHECKS)
    assert quality.score.shape == (0,)
    assert quality.flags.shape == (0, len(CHECKS.rules))
    assert verdicts(np.asarray(quality.score), None) == []
    found = calibrate(np.asarray(quality.score), [], 0.85, "val", "quality_rules")
    assert (found.n, found.name) == (0, "none")
