"""A policy within disease groups: by hand, the same as the policy on each group alone, and whatever the scale."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.quality.groups import group_codes, scores_within_groups
from semiqc_jax.selection import Policy, apply_policy

HALF = Policy("top_fraction", fraction=0.5)


def test_by_hand():
    score = np.array([0.9, 0.8, 0.7, 0.1, 0.3, np.nan, 0.2])
    valid = np.array([1, 1, 1, 1, 1, 1, 0], bool)
    codes = group_codes(["NOR", "NOR", "NOR", "HCM", "HCM", "HCM", "HCM"])
    found = np.asarray(scores_within_groups(score, valid, codes))
    np.testing.assert_allclose(found, [5 / 6, 3 / 6, 1 / 6, 3 / 6, 5 / 6, 1 / 6, np.nan], rtol=1e-6)


def test_unknown_groups_are_one():
    assert len({*group_codes([None, "", None]).tolist()}) == 1
    assert len({*group_codes([None, "DCM", "HCM"]).tolist()}) == 3


def test_no_group_is_rejected_as_one():
    """Every hypertrophic heart scores below every normal one; half of each is taken all the same."""
    score = np.concatenate([np.linspace(0.9, 0.6, 10), np.linspace(0.5, 0.2, 6)])
    codes, valid = np.repeat([0, 1], [10, 6]), np.ones(16, bool)
    assert np.asarray(apply_policy(score, valid, HALF))[10:].sum() == 0
    weight = np.asarray(apply_policy(scores_within_groups(score, valid, codes), valid, HALF))
    assert (weight[:10].sum(), weight[10:].sum()) == (5, 3)
    assert weight[:5].all()
    assert weight[10:13].all()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.booleans()), min_size=1, max_size=24))
def test_shares_are_the_same_and_order_within_a_group_stays(members):
    score, codes, valid = (np.array(x) for x in zip(*members))
    codes = np.unique(codes, return_inverse=True)[1]
    size = 24 - len(score)  # one shape, one compilation
    score, codes = np.pad(score.astype(np.float32), (0, size)), np.pad(codes, (0, size))
    valid = np.pad(valid, (0, size))
    found = np.asarray(scores_within_groups(score, valid, codes))
    assert np.array_equal(np.isnan(found), ~valid)
    for code in range(4):
        mine = valid & (codes == code)
        if mine.any():
            own = found[mine]
            assert np.argsort(-own, kind="stable").tolist() == np.argsort(-score[mine], kind="stable").tolist()
            np.testing.assert_allclose(np.sort(own), (np.arange(mine.sum()) + 0.5) / mine.sum(), rtol=1e-5)
