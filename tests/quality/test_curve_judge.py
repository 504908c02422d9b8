"""The judge of curves: its target, what it refuses to judge, and that JAX and scikit-learn say the same."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semiqc_jax.quality.curve_judge import (
    SVM_C,
    SVM_EPSILON,
    SVM_GAMMA,
    expected_severity,
    feature_matrix,
    fit_curve_machine,
    severity_of,
    spread,
    unusable,
)
from semiqc_jax.quality.curve_network import fit_networks, network_severity


def test_severity_is_the_log_of_the_larger_error_over_its_limit() -> None:
    found = severity_of([10.0, -20.0, 5.0, 0.0, 90.0], [0.0, 0.1, -0.1, 0.4, 0.0])
    np.testing.assert_allclose(found, [0.0, 1.0, -1.0, 1.0, 2.0])
    assert severity_of(0.0, 0.0) == -2.0


def test_curves_that_cannot_be_judged_are_named() -> None:
    lv = np.full((7, 12), 100.0)
    myo, there = lv.copy(), np.ones((7, 12), bool)
    lv[1, 3], myo[2, 3], lv[3], lv[4] = np.nan, np.inf, 0.0, 39000.0
    there[5, 7:] = False
    there[6, 8:] = False
    lv[6, 8:] = np.nan  # padded: of no account
    found = unusable(jnp.asarray(lv), jnp.asarray(myo), jnp.asarray(there))
    assert found.tolist() == [False, True, True, True, True, True, False]


def test_the_machine_says_what_scikit_learn_says() -> None:
    from sklearn.svm import SVR

    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 5)) * [1, 10, 0.1, 3, 0] + 4
    severity = np.clip(values[:, 0] - 4, -2, 2)
    machine = fit_curve_machine(values, severity)
    centre, scale = spread(values)
    inputs = np.arcsinh((values - centre) / scale)
    reference = SVR(C=SVM_C, gamma=SVM_GAMMA, epsilon=SVM_EPSILON).fit(inputs, severity)
    found = expected_severity(jnp.asarray(values, jnp.float32), machine)
    np.testing.assert_allclose(found, reference.predict(inputs), atol=2e-3)
    with pytest.raises(ValueError, match="two curves"):
        fit_curve_machine(values[:1], severity[:1])


def test_columns_are_in_the_order_of_their_names() -> None:
    np.testing.assert_array_equal(feature_matrix({"b": jnp.zeros(2), "a": jnp.ones(2)}), [[1, 0], [1, 0]])


def test_networks_learn_from_weighted_curves_alone_and_repeat() -> None:
    rng = np.random.default_rng(1)
    kind = np.arange(64) % 2
    curves = rng.normal(size=(64, 32, 4)).astype(np.float32) * 0.1 + kind[:, None, None]
    features = rng.normal(size=(64, 3)).astype(np.float32)
    severities = np.stack([2.0 * kind - 1, -np.ones(64)], 1).astype(np.float32)
    wrong = np.arange(64) >= 48
    severities[wrong] *= -1  # taught nothing by these: their weight is 0
    arrays = [jnp.asarray(x) for x in (curves, features, severities, (~wrong).astype(np.float32))]
    params = fit_networks(jax.random.key(0), *arrays, size=1, updates=60)
    found = np.asarray(network_severity(params, *arrays[:2]))
    assert found[kind == 1].min() > found[kind == 0].max()
    again = network_severity(fit_networks(jax.random.key(0), *arrays, size=1, updates=60), *arrays[:2])
    np.testing.assert_array_equal(found, again)
