"""Who is left out of which model: every subject of exactly one, strangers of none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.quality.folds import Folds, folds_of

NAMES = st.lists(st.text("abc12", min_size=1, max_size=3), min_size=2, max_size=40)


@given(NAMES.filter(lambda names: len({*names}) > 1), st.integers(2, 6))
def test_rows_of_a_subject_share_a_fold_and_folds_are_even(names, wanted):
    folds, row = folds_of(names, wanted)
    assert folds.count == min(wanted, len({*names}))
    assert [folds.of[name] for name in names] == row.tolist() == folds.models(names).tolist()
    sizes = np.bincount([*folds.of.values()], minlength=folds.count)
    assert sizes.min() >= 1
    assert np.ptp(sizes) <= 1
    assert folds_of(names[::-1], wanted)[0] == folds  # whatever the order of the rows
    assert Folds.of_arrays(folds.arrays(), folds.count + 1) == folds


def test_strangers_get_the_last_model():
    folds, _ = folds_of(["a", "b", "a", "c"], 2)
    assert folds.models(["stranger", ""]).tolist() == [2, 2]
    assert Folds().models(["a"]).tolist() == [0]
    assert Folds.of_arrays(Folds().arrays(), 1) == Folds()


def test_one_subject_cannot_be_left_out():
    with pytest.raises(ValueError, match="two subjects"):
        folds_of(["a", "a"])
