"""Weighted rank correlation against SciPy's on repeated rows."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata, spearmanr

from semiqc_jax.studies.rank_correlation import weighted_ranks, weighted_spearman


def test_whole_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 8, 60).astype(float), rng.normal(size=60)
    weights = rng.integers(0, 4, (5, 60)).astype(float)
    found = weighted_spearman(a, a + 2 * b, weights)
    for w, value in zip(weights.astype(int), found, strict=True):
        x, y = np.repeat(a, w), np.repeat(a + 2 * b, w)
        np.testing.assert_allclose(value, spearmanr(x, y).statistic)
        np.testing.assert_allclose(np.repeat(weighted_ranks(a, w[None].astype(float))[0], w), rankdata(x) - 1)


def test_what_does_not_vary_has_no_correlation() -> None:
    weights = np.array([[1.0, 1, 1], [0, 3, 0]])
    assert np.isnan(weighted_spearman(np.ones(3), np.arange(3.0), weights)).all()
    found = weighted_spearman(np.arange(3.0), np.arange(3.0), weights)
    assert found[0] == 1
    assert np.isnan(found[1])
