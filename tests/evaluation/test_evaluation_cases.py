"""Rows and indices of one case: what is drawn counts, phases come from where they are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.errors import DataError
from semiqc_jax.evaluation.cases import Case, CaseRow, case_rows, check_case, subject_indices

CaseOf = Callable[..., Case]
PIXEL_ML = 2.0 * 1.5 * 10 / 1000  # of the cases made in conftest


def rows_of(case: Case, **options: str) -> dict[tuple[str, str], CaseRow]:
    rows = case_rows(case, SHORT_AXIS, **options)  # type: ignore[arg-type]
    return {(row.phase, row.class_name): row for row in rows}


def indices_of(case: Case) -> tuple[dict[str, float], ...]:
    found = subject_indices(case, SHORT_AXIS)
    return dict(found.truth), dict(found.reference), dict(found.predicted)


def test_a_perfect_prediction(case_of: CaseOf) -> None:
    rows = rows_of(case_of())
    assert len(rows) == 6
    assert all((row.dice, row.hd95_mm, row.assd_mm) == (1, 0, 0) for row in rows.values())
    assert rows["ed", "lv"].measured == rows["ed", "lv"].reference == pytest.approx(64 * 4 * PIXEL_ML)


def test_a_shifted_prediction(case_of: CaseOf) -> None:
    rows = rows_of(case_of(shift=2))
    assert rows["ed", "lv"].dice == pytest.approx(6 / 8)
    assert rows["es", "lv"].dice == pytest.approx(2 / 4)
    assert rows["es", "lv"].hd95_mm == pytest.approx(3)  # two columns of 1.5 mm


def test_ssl4mis_measures_in_voxels(case_of: CaseOf) -> None:
    rows = rows_of(case_of(shift=2), protocol="ssl4mis")
    assert rows["es", "lv"].hd95_mm == pytest.approx(2)
    assert rows["es", "lv"].dice == pytest.approx(2 / 4)


def test_one_empty_and_both_empty(case_of: CaseOf) -> None:
    case = case_of()
    predicted, label = case.predicted.copy(), case.label.copy()
    predicted[0][predicted[0] == 1] = 0
    predicted[predicted == 3] = label[label == 3] = 0
    rows = rows_of(replace(case, predicted=predicted, label=label))
    assert rows["ed", "lv"].dice == 0
    assert np.isnan(rows["ed", "lv"].hd95_mm)
    assert np.isnan(rows["ed", "rv"].dice)
    assert np.isnan(rows["ed", "rv"].assd_mm)


def test_what_is_not_drawn_is_left_out(case_of: CaseOf) -> None:
    case = case_of()
    predicted, labelled = case.predicted.copy(), case.labelled.copy()
    labelled[0, 3, 0] = False  # LV not drawn on the last slice at ED ...
    predicted[0, 3] = 1  # ... where the prediction is wrong
    labelled[1, :, 2] = False  # RV not drawn at all at ES
    rows = rows_of(replace(case, predicted=predicted, labelled=labelled))
    assert rows["ed", "lv"].dice == 1
    assert np.isnan(rows["ed", "lv"].hd95_mm)
    assert np.isnan(rows["ed", "lv"].reference)
    assert rows["ed", "myo"].dice < 1
    assert ("es", "rv") not in rows
    truth, reference, _ = indices_of(replace(case, labelled=labelled))
    assert np.isnan(truth["lvedv_ml"])
    assert np.isnan(truth["rvesv_ml"])
    assert truth["lvm_g"] == pytest.approx((144 - 64) * 4 * PIXEL_ML * 1.05)
    assert reference["lvedv_ml"] == pytest.approx(64 * 4 * PIXEL_ML)


def test_indices_by_hand(case_of: CaseOf) -> None:
    truth, reference, predicted = indices_of(case_of(shift=1))
    assert truth == pytest.approx(reference)
    assert truth == pytest.approx(predicted)
    assert truth["lvedv_ml"] == pytest.approx(64 * 4 * PIXEL_ML)
    assert truth["lvef_pct"] == pytest.approx(75)
    assert truth["rvef_pct"] == pytest.approx(0)


def test_predicted_phases_are_the_predictions_own(case_of: CaseOf) -> None:
    case = case_of()
    truth, reference, predicted = indices_of(replace(case, predicted=case.predicted[::-1]))  # phases swapped
    assert reference["lvedv_ml"] == pytest.approx(truth["lvesv_ml"])
    assert predicted["lvedv_ml"] == pytest.approx(truth["lvedv_ml"])


def test_phases_from_the_true_curve_where_none_are_given(case_of: CaseOf) -> None:
    case = case_of()
    subject = replace(case.subject, ed_frame=None, es_frame=None)
    turned = replace(case, subject=subject, label=case.label[::-1], predicted=case.predicted[::-1])
    assert {row.frame for key, row in rows_of(turned).items() if key[0] == "ed"} == {1}
    assert indices_of(turned)[0]["lvef_pct"] == pytest.approx(75)


def test_one_drawn_frame_of_a_cine_gives_no_phases(case_of: CaseOf) -> None:
    case = case_of()
    labelled = case.labelled.copy()
    labelled[1] = False
    subject = replace(case.subject, ed_frame=None, es_frame=None)
    case = replace(case, subject=subject, labelled=labelled)
    assert {row.phase for row in rows_of(case).values()} == {""}
    assert all(np.isnan(value) for value in indices_of(case)[0].values())


def test_a_prediction_of_another_shape_is_an_error(case_of: CaseOf) -> None:
    case = case_of("patient007")
    with pytest.raises(DataError, match="patient007"):
        check_case(replace(case, predicted=case.predicted[:1]), SHORT_AXIS)
