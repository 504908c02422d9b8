"""Damage is found where it was done."""

from __future__ import annotations

import aortas
import numpy as np
import pytest
from hearts import evidence_of, heart

from semiqc_jax.quality.location import KIND, worst_places
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS as CHECKS
from semiqc_jax.quality.tasks import CHECKS as EVERY


def lost_slice(label, t, z):
    label[t, z] = 0


def streaks(label, t, z):
    label[t, z, ::4] = 2


def no_wall(label, t, z):
    label[t, z][label[t, z] == 2] = 0


@pytest.mark.parametrize("damage", [lost_slice, streaks, no_wall])
@pytest.mark.parametrize("place", [(0, 3), (2, 2)])
def test_damage_is_found(damage, place):
    label = heart(n_frames=4)
    damage(label, *place)
    evidence = evidence_of(label, heart(n_frames=4))
    quality = assess_rules(evidence, CHECKS)
    assert quality.flags[0].any()
    found = np.asarray(worst_places(evidence, quality, CHECKS))
    assert tuple(found[0]) == place
    assert tuple(found[1]) == (-1, -1)  # nothing failed


def test_damage_of_a_single_plane_is_found():
    checks, label = EVERY["aorta"], aortas.aorta()
    label[7][label[7] == 2] = 0  # the descending aorta is lost on one frame
    evidence = aortas.evidence_of(label, aortas.aorta())
    quality = assess_rules(evidence, checks)
    assert np.asarray(worst_places(evidence, quality, checks)).tolist() == [[7, 0], [-1, -1]]


def test_a_failure_of_the_whole_has_no_place():
    evidence = evidence_of(heart())
    quality = assess_rules(evidence, CHECKS)
    names = list(CHECKS.rule_names)
    flags = np.zeros_like(quality.flags)
    flags[0, names.index("lv_edv")] = True
    assert np.asarray(worst_places(evidence, quality._replace(flags=flags), CHECKS)).tolist() == [[-1, -1]]


def test_every_kind_is_of_a_rule_that_exists():
    names = {name for checks in EVERY.values() for name in checks.rule_names}
    assert all(any(name == rule or name.endswith(f"_{rule}") for name in names) for rule in KIND)
