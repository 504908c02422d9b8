"""The nine indices of a curve, by hand, and where they are undefined."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.downstream.indices import clinical_indices
from semiqc_jax.downstream.phases import reading_frames

CURVES = np.array([[150.0, 100.0, 160.0], [100.0, 102.0, 120.0], [60.0, 99.0, 80.0]])  # LV, myocardium, RV


def short_axis_indices(curves: Any, ed: Any, es: Any) -> dict[str, Any]:
    return clinical_indices(SHORT_AXIS, curves, frames=reading_frames(curves, ed, es, SHORT_AXIS))


def test_by_hand() -> None:
    found = short_axis_indices(CURVES, np.array(0), np.array(2))
    expected = [150, 60, 90, 60, 105, 160, 80, 80, 50]  # mass = 100 ml x 1.05 g/ml
    assert tuple(found) == SHORT_AXIS.indices
    np.testing.assert_allclose(list(found.values()), expected)


def test_an_empty_ventricle_has_no_ejection_fraction() -> None:
    found = short_axis_indices(np.zeros((2, 3)), np.array(0), np.array(1))
    assert np.isnan(found["lvef_pct"])
    assert np.isnan(found["rvef_pct"])
    assert found["lvedv_ml"] == 0


def test_one_frame_has_no_end_systole() -> None:
    found = short_axis_indices(CURVES[:1], np.array(0), np.array(0))
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {"lvesv_ml", "lvsv_ml", "lvef_pct", "rvesv_ml", "rvsv_ml", "rvef_pct"}


def test_an_unknown_volume_stays_unknown() -> None:
    curves = CURVES.copy()
    curves[2, 2] = np.nan
    found = short_axis_indices(curves, np.array(0), np.array(2))
    assert {name for name, value in found.items() if np.isnan(value)} == {"rvesv_ml", "rvsv_ml", "rvef_pct"}


def test_a_batch_in_jax_is_its_members() -> None:
    batch = jnp.stack([jnp.asarray(CURVES), jnp.asarray(CURVES[::-1])])
    found = jax.jit(short_axis_indices)(batch, jnp.array([0, 2]), jnp.array([2, 0]))
    for name, value in short_axis_indices(CURVES, np.array(0), np.array(2)).items():
        np.testing.assert_allclose(found[name], [value, value], rtol=1e-6)


def test_without_frames_the_phases_are_the_curves_own() -> None:
    found = clinical_indices(SHORT_AXIS, CURVES[::-1])
    np.testing.assert_allclose(list(found.values()), [150, 60, 90, 60, 105, 160, 80, 80, 50])
