"""Shares of disease groups among the accepted, on a cohort where they are known by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from semiqc_jax.studies.group_shares import group_shares, within_groups

GROUP = np.array(["DCM", "DCM", "NOR", "NOR"] * 4)
DICE = np.array([0.9, 0.8, 0.7, 0.6] * 4)
TABLES = SimpleNamespace(network=np.repeat([0, 1], 8), dice=DICE, group=GROUP, patient=np.arange(16) % 8)


def test_ranks_are_taken_within_network_and_group():
    ranked = within_groups(DICE, TABLES.network, GROUP)
    assert (ranked > 0.5).tolist() == [True, False, True, False] * 4


def test_the_gap_of_a_judge_that_mistakes_disease_for_error():
    scores = {"rules + confidence": DICE, "afraid": np.where(GROUP == "DCM", 0.0, 1.0), "silent": np.full(16, np.nan)}
    found = group_shares(TABLES, scores, np.ones(16, bool))
    value = {name: {g: x[0] for g, x in of.items()} for name, of in found.items()}
    assert value["oracle"] == pytest.approx({"DCM": 1, "NOR": 0, "Dice": 0.85})
    assert value["rules + confidence"] == pytest.approx({"DCM": 0, "NOR": 0, "Dice": 0.85})
    assert value["afraid"] == pytest.approx({"DCM": -1, "NOR": 1, "Dice": 0.65})
    even = {"DCM": -0.5, "NOR": 0.5, "Dice": 0.8}
    assert value["rules + confidence, within groups"] == value["oracle, within groups"] == pytest.approx(even)
    assert "silent" not in found
