"""Limits from a configuration: what they change, the published ones, and every way to write them wrongly."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hearts import evidence_of, heart

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.limits import parse_limits
from semiqc_jax.quality.rules import assess_rules, configure_rules, reasons
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS
from semiqc_jax.settings import Settings, load_settings


def said(label, limits=""):
    checks = configure_rules(CHECKS, limits=parse_limits(limits))
    quality = assess_rules(evidence_of(label), checks)
    return reasons(jax.tree.map(lambda x: np.asarray(x)[0], quality), checks), float(quality.score[0])


def test_text_to_limits():
    assert parse_limits("") == {}
    assert parse_limits(" lv_ef = 20:80 , missing=:0.1,lv_edv=30:") == {
        "lv_ef": (20, 80), "missing": (None, 0.1), "lv_edv": (30, None)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("lv_ef", "is no limit"),
        ("lv_ef=20", "is no limit"),
        ("lv_ef=:", "is no limit"),
        ("=1:2", "is no limit"),
        ("lv_ef=nan:2", "is no limit"),
        ("lv_ef=a:2", "holds no numbers"),
        ("lv_ef=80:20", "low limit above its high one"),
        ("lv_ef=1:2,lv_ef=1:3", "two limits for lv_ef"),
        ("lvef=1:2", "no rule lvef"),
        ("lv_ef=1:2,aao_area=1:2", "no task has all of these rules"),
    ],
)
def test_wrong_limits_are_config_errors(text, what):
    with pytest.raises(ConfigError, match=what) as error:
        load_settings({**Settings().to_dict(), "quality": {"limits": text}})
    assert "quality.rules_off" in str(error.value) or "limits" in str(error.value)


def test_a_rule_cannot_be_off_and_limited():
    with pytest.raises(ConfigError, match="limits for lv_ef, which is off"):
        configure_rules(CHECKS, off=["lv_ef"], limits={"lv_ef": (1, 2)})


def test_the_published_rules_are_off_until_asked_for():
    short = heart(n_slices=5)
    assert said(short)[0] == []
    sentences, score = said(short, "heart_slices=6:")
    assert sentences == ["Only 5 slices hold LV and myocardium"]
    assert score < said(short)[1]


def test_a_gap_is_counted():
    label = heart()
    label[:, 3] = 0
    assert "1 of the slices between others lack LV or myocardium" in said(label, "heart_gaps=:0")[0]
    assert said(heart(), "heart_gaps=:0")[0] == []


def test_the_strict_stroke_volume_limit():
    """The RV of this heart beats with 61 % of the LV's stroke volume: within 60 %, outside Ruijsink's 10 %."""
    assert said(heart())[0] == []
    assert said(heart(), "stroke_volume_mismatch=-10:10")[0] == [
        "RV stroke volume is 39 % smaller than LV stroke volume"
    ]
