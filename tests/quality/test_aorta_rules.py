"""Rules of the aortic task: good vessels pass them all, and each fires on a mask made to break it."""

import jax
import numpy as np
import pytest
from aortas import CHECKS, T, aorta, evidence_of

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.rules import assess_rules, reasons
from semiqc_jax.quality.tasks import CHECKS as ALL
from semiqc_jax.quality.tasks import check_rules, checks_of

GOOD = {
    "usual": aorta(),
    "stiff and wide": aorta(radius_mm=(29, 12), strain=0.04),
    "slender and elastic": aorta(radius_mm=(11, 8), strain=0.45),
    "wide descending": aorta(radius_mm=(17, 20), strain=0.06),
    "lagging": aorta(lag=2),
    "few frames": aorta(6),
    "two frames": aorta(2),
}
EVERY_OTHER = np.arange(T) % 2 == 0


def of(radius_mm, **changes):
    """A usual aorta that in some frames has vessels of other radii."""

    def edit(label, frames=slice(3, 4)):
        label[frames] = aorta(radius_mm=radius_mm, **changes)[frames]

    return edit


def painted(code, frames, rows, columns):
    def edit(label):
        label[frames, 0, rows, columns] = code

    return edit


def only(code, keep):
    """Keep what `keep` (rows, columns) holds of a class in every frame."""

    def edit(label):
        inside = np.zeros(label.shape[2:], bool)
        inside[keep] = True
        label[(label == code) & ~inside] = 0

    return edit


def frozen(code):
    def edit(label):
        still = label[0] == code
        label[label == code] = 0
        label[:, still] = code

    return edit


def moved(code, frames, step):
    def edit(label):
        mask = np.roll(label[frames] == code, step, (-2, -1))
        label[frames][label[frames] == code] = 0
        part = label[frames]
        part[part == code] = 0
        part[mask] = code
        label[frames] = part

    return edit


def exchanged(label):
    label[:] = np.array([0, 2, 1])[label]


def lost(label):
    label[4][label[4] == 2] = 0


def jittering(code):
    """Every second frame is larger."""

    def edit(label):
        other = aorta(radius_mm=(18.5, 14.5))
        label[EVERY_OTHER] = np.where(other[EVERY_OTHER] == code, code, label[EVERY_OTHER])

    return edit


def closer(label):
    far = label == 2
    label[far] = 0
    label[np.roll(far, (-20, -12), (-2, -1)) & (label == 0)] = 2


BROKEN = {
    "missing": lost,
    "stray_area": painted(1, slice(5, 6), slice(2, 6), slice(50, 54)),
    "aao_area": of((8, 12)),
    "dao_area": of((16, 5.5)),
    "aao_area_ratio": of((8, 12)),
    "dao_area_ratio": of((16, 6)),
    "aao_step_ratio": of((8, 12)),
    "dao_step_ratio": of((16, 6)),
    "aao_strain": frozen(1),
    "dao_strain": frozen(2),
    "aao_excess": jittering(1),
    "dao_excess": jittering(2),
    "aao_roughness": jittering(1),
    "dao_roughness": jittering(2),
    "aao_irregularity": painted(1, slice(2, 3), slice(16, 18), slice(20, 40)),
    "dao_irregularity": painted(2, slice(2, 3), slice(46, 48), slice(40, 60)),
    "aao_drift": moved(1, slice(6, 7), (0, 5)),
    "dao_drift": moved(2, slice(6, 7), (5, 0)),
    "vessel_ratio": exchanged,
    "phase_lag": lambda label: label.__setitem__(slice(None), aorta(lag=8)),
    "agreement": lambda label: label.__setitem__(slice(None), aorta(lag=10)),
    "touching": painted(1, slice(8, 9), slice(20, 44), slice(24, 40)),
    "distance": closer,
    "distance_change": moved(2, slice(0, 8), (-6, -6)),
    "axis_turn": moved(2, slice(0, 8), (-8, 12)),
}
WHOLE_CYCLE = {"aao_area": (8, 12), "dao_area": (16, 5.5)}


def broken(name):
    if name in WHOLE_CYCLE:
        return aorta(radius_mm=WHOLE_CYCLE[name])
    label = aorta()
    BROKEN[name](label)
    return label


def flagged(quality, n):
    return {name for name, flag in zip(CHECKS.rule_names, np.asarray(quality.flags)[n], strict=True) if flag}


def row(quality, n):
    return jax.tree.map(lambda x: np.asarray(x)[n], quality)


@pytest.fixture(scope="module")
def judged():
    """Good and broken vessels judged together, in this order."""
    return jax.device_get(assess_rules(evidence_of(*GOOD.values(), *map(broken, BROKEN)), CHECKS))


@pytest.mark.parametrize("n", range(len(GOOD)), ids=list(GOOD))
def test_good_vessels_pass_every_rule(judged, n):
    assert flagged(judged, n) == set()
    assert judged.score[n] > 0.9


@pytest.mark.parametrize("n", range(len(BROKEN)), ids=list(BROKEN))
def test_each_rule_fires_on_what_breaks_it(judged, n):
    name, at = list(BROKEN)[n], len(GOOD) + n
    assert name in flagged(judged, at)
    assert judged.score[at] < judged.score[0] - 0.01
    said = reasons(row(judged, at), CHECKS)
    assert len(said) == len(flagged(judged, at))
    assert not any("{" in sentence or "nan" in sentence for sentence in said)


def test_every_rule_has_a_mask_that_breaks_it():
    no_mask = {"confidence", "flip_agreement", "aao_brightness", "dao_brightness"}
    assert {*BROKEN} | no_mask == {*CHECKS.rule_names}


def test_bright_pixels_and_doubt_fire():
    image = np.full((64, 64), 0.2)
    image[17, 22], image[47, 42] = 1, 1  # the middle of either vessel
    evidence = evidence_of(aorta(), aorta(), image=image)
    evidence = evidence._replace(confidence=evidence.confidence * np.array([1, 0.7])[:, None, None])
    quality = assess_rules(evidence, CHECKS)
    bright = {"aao_brightness", "dao_brightness"}
    assert flagged(quality, 0) == bright
    assert flagged(quality, 1) == bright | {"confidence"}
    assert flagged(assess_rules(evidence, CHECKS, use_confidence=False), 1) == bright  # an image is no softmax


def test_rules_are_on_features_and_can_speak():
    assert len(CHECKS.index) == len(CHECKS.features)
    assert len({*CHECKS.rule_names}) == len(CHECKS.rules)
    for rule in CHECKS.rules:
        assert rule.name in CHECKS.index
        assert bool(rule.too_low) == (rule.low is not None)
        assert bool(rule.too_high) == (rule.high is not None)


def test_one_frame_is_not_judged_by_the_cycle():
    quality = assess_rules(evidence_of(aorta(1)), CHECKS)
    assert not quality.flags.any()
    assert quality.score[0] > 0.9


def test_checks_are_found_by_task():
    assert all(checks_of(name) is checks and checks.task == name for name, checks in ALL.items())
    with pytest.raises(ConfigError, match="no quality control for the task 'atria'"):
        checks_of("atria")


@pytest.mark.parametrize(
    ("off", "part"),
    [
        (("aao_strian",), "no rule aao_strian"),
        (("lv_ef", "aao_strain"), "no task has all of these rules"),
        (ALL["aorta"].rule_names, "no rule is left"),
        (ALL["short_axis"].rule_names, "no rule is left"),
    ],
)
def test_rules_that_cannot_be_switched_off(off, part):
    with pytest.raises(ConfigError, match=part):
        check_rules(off)


@pytest.mark.parametrize("off", [(), ("lv_ef",), ("aao_strain", "dao_strain"), ("confidence",)])
def test_rules_of_one_task_can_be_switched_off(off):
    check_rules(off)
