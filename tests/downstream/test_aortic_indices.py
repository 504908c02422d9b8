"""Areas, strain and distensibility of discs of known pixels, by hand, and where they are undefined."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semiqc_jax.anatomy import AORTA
from semiqc_jax.downstream.curves import task_curves
from semiqc_jax.downstream.indices import clinical_indices
from semiqc_jax.downstream.phases import phases

SPACING_MM = (6.0, 2.0, 1.5)  # 3 mm^2 a pixel


def discs(aao: tuple[int, ...], dao: tuple[int, ...]) -> np.ndarray:
    """Two vessels of given numbers of pixels in each frame of one plane, [T, 1, 20, 30]."""
    label = np.zeros((len(aao), 1, 20, 30), np.uint8)
    y, x = np.mgrid[:20, :15]
    nearest = np.argsort(np.hypot(y - 10, x - 7).ravel(), kind="stable")
    for frame, counts in enumerate(zip(aao, dao)):
        for code, (count, left) in enumerate(zip(counts, (0, 15)), start=1):
            rows, columns = np.unravel_index(nearest[:count], (20, 15))
            label[frame, 0, rows, columns + left] = code
    return label


def curves_of(label: np.ndarray) -> np.ndarray:
    return task_curves(label, SPACING_MM, np.zeros(1), AORTA)


def test_discs_by_hand() -> None:
    curves = curves_of(discs((100, 120, 110, 104), (60, 64, 72, 66)))
    np.testing.assert_array_equal(curves, 3.0 * np.array([[100, 60], [120, 64], [110, 72], [104, 66]]))
    found = clinical_indices(AORTA, curves, pulse_pressure_mmhg=40)
    assert tuple(found) == AORTA.indices
    # strain 20 %: 1000 x 0.2 / 40 mmHg; the descending aorta is largest one frame later
    np.testing.assert_allclose(list(found.values()), [360, 300, 20, 5, 216, 180, 20, 5])
    assert phases(curves, AORTA) == (0, 1)


@pytest.mark.parametrize("pressure", [None, float("nan"), 0.0, 9.9, -40.0])
def test_no_distensibility_without_a_pulse_pressure(pressure: float | None) -> None:
    found = clinical_indices(AORTA, curves_of(discs((100, 120), (60, 72))), pressure)
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {"aao_distensibility_1e3_per_mmhg", "dao_distensibility_1e3_per_mmhg"}


def test_ten_mmhg_counts() -> None:
    found = clinical_indices(AORTA, curves_of(discs((100, 120), (60, 72))), 10.0)
    assert found["aao_distensibility_1e3_per_mmhg"] == pytest.approx(20)


def test_a_vessel_that_vanishes_has_no_strain() -> None:
    found = clinical_indices(AORTA, curves_of(discs((100, 120), (60, 0))), 40)
    assert (found["dao_max_mm2"], found["dao_min_mm2"]) == (180, 0)
    assert {name for name, value in found.items() if np.isnan(value)} == {
        *("dao_strain_pct", "dao_distensibility_1e3_per_mmhg")
    }


def test_one_frame_has_no_extremes() -> None:
    found = clinical_indices(AORTA, curves_of(discs((100,), (60,))), 40)
    assert all(np.isnan(value) for value in found.values())


def test_an_unknown_area_leaves_its_vessel_unknown() -> None:
    curves = curves_of(discs((100, 120, 110, 104), (60, 64, 72, 66)))
    curves[3, 0] = np.nan
    found = clinical_indices(AORTA, curves, 40)
    assert {name for name, value in found.items() if np.isnan(value)} == set(AORTA.indices[:4])


def test_given_frames_are_read() -> None:
    curves = curves_of(discs((100, 120, 110, 104), (60, 64, 72, 66)))
    found = clinical_indices(AORTA, curves, frames=(np.array([2, 1]), np.array([3, 0])))
    np.testing.assert_allclose(list(found.values())[:3], [330, 312, 100 * 6 / 104])
    np.testing.assert_allclose(list(found.values())[4:7], [192, 180, 100 * 4 / 60])


compiled = jax.jit(partial(clinical_indices, AORTA))


@settings(max_examples=20)
@given(
    hnp.arrays(np.float32, (2, 7, 2), elements=st.integers(1, 900)),
    hnp.arrays(np.float32, 2, elements=st.integers(0, 90)),
)
def test_batches_in_jax_are_their_members(curves: np.ndarray, pressure: np.ndarray) -> None:
    found = compiled(jnp.asarray(curves), jnp.asarray(pressure))
    for n in range(2):
        alone = clinical_indices(AORTA, curves[n], float(pressure[n]))
        for name, value in alone.items():
            np.testing.assert_allclose(found[name][n], value, rtol=1e-5)
        assert alone["aao_max_mm2"] == curves[n, :, 0].max()
        assert alone["dao_min_mm2"] == curves[n, :, 1].min()
