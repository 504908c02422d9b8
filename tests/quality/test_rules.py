"""Rules: what fires, what it says, and how it is configured."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hearts import evidence_of, heart

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.rules import assess_rules, configure_rules, reasons
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS

NAMES = list(CHECKS.rule_names)


def with_limits(name, low, high):
    """The checks with other limits for one rule."""
    return replace(
        CHECKS, rules=tuple(replace(r, low=low, high=high) if r.name == name else r for r in CHECKS.rules)
    )


def row(quality, n=0):
    return jax.tree.map(lambda x: np.asarray(x)[n], quality)


def test_rules_are_on_features_and_can_speak():
    assert len(set(NAMES)) == len(NAMES)
    for rule in CHECKS.rules:
        assert rule.name in CHECKS.index
        assert bool(rule.too_low) == (rule.low is not None)
        assert bool(rule.too_high) == (rule.high is not None)


def test_a_good_heart_passes_and_damage_lowers_the_score():
    label = heart()
    damaged = label.copy()
    damaged[:, 3] = 0
    wrecked = damaged.copy()
    wrecked[0, 1:3, 2:14, 2:14] = 3
    wrecked[1, 5] = 0
    nothing = np.zeros_like(label)
    quality = assess_rules(evidence_of(label, damaged, wrecked, nothing), CHECKS)
    score = np.asarray(quality.score)
    assert reasons(row(quality), CHECKS) == []
    assert score[0] > 0.9
    assert np.all(np.diff(score) < -0.03)
    assert np.all((score >= 0) & (score <= 1))
    assert reasons(row(quality, 1), CHECKS) == [
        f"Areas jump from slice to slice (roughness {float(quality.values[1, 0]):.2f})",
        "12% of the slices within a structure are empty",
    ]
    assert not np.isnan(np.asarray(quality.values)).any()


def test_the_stroke_volume_sentence():
    label = heart()
    label[1][label[1] == 3] = 0
    rules = with_limits("stroke_volume_mismatch", -20.0, 20.0)
    quality = assess_rules(evidence_of(label), rules)
    value = float(quality.values[0, NAMES.index("stroke_volume_mismatch")])
    assert value > 20
    assert f"RV stroke volume exceeds LV stroke volume by {value:.0f} %" in reasons(row(quality), rules)
    off = configure_rules(CHECKS, off=["stroke_volume_mismatch"])
    without = reasons(row(assess_rules(evidence_of(label), off)), off)
    assert not any("stroke" in sentence for sentence in without)


def test_low_confidence_counts_only_if_used():
    evidence = evidence_of(heart(), heart())
    unsure = evidence._replace(confidence=evidence.confidence * np.array([1.0, 0.7])[:, None, None])
    quality = assess_rules(unsure, CHECKS)
    assert quality.score[1] < quality.score[0] - 0.1
    assert reasons(row(quality, 1), CHECKS) == ["The network is unsure (mean confidence 0.70)"]
    downstream = assess_rules(unsure, CHECKS, use_confidence=False)
    assert downstream.score[1] == downstream.score[0]
    assert reasons(row(downstream, 1), CHECKS) == []


def test_a_value_on_a_limit_passes_and_one_beyond_fails():
    evidence = evidence_of(heart())
    value = float(assess_rules(evidence, CHECKS).values[0, NAMES.index("lv_edv")])
    for high, failed in ((value * 1.001, False), (value * 0.999, True)):
        rules = with_limits("lv_edv", None, high)
        assert bool(assess_rules(evidence, rules).flags[0, NAMES.index("lv_edv")]) == failed


def test_wrong_configuration_is_named():
    with pytest.raises(ConfigError, match=r"no rule ejection, roughness"):
        configure_rules(CHECKS, off=["roughness", "ejection", "lv_ef"])


def test_something_is_left_to_judge_by():
    assert list(configure_rules(CHECKS, NAMES[2:]).rule_names) == NAMES[:2]
    with pytest.raises(ConfigError, match="no rule is left"):
        configure_rules(CHECKS, NAMES)
    downstream = [name for name in NAMES if name != "confidence"]
    assert configure_rules(CHECKS, downstream).rule_names == ("confidence",)
    with pytest.raises(ConfigError, match="no rule is left"):
        configure_rules(CHECKS, downstream, use_confidence=False)
