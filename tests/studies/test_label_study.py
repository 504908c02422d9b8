"""Labels spoiled on purpose: every fault does what it says, and the study counts who notices."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from semiqc_jax.errors import NothingUsableError
from semiqc_jax.studies.label_faults import FAULTS
from semiqc_jax.studies.labels import AS_DRAWN, figures, markdown, study_labels
from semiqc_jax.study import Study, check_study, uniform_positions


def heart(name: str = "a", side: int = 14) -> Study:
    """Eight slices at ED and ES: a cavity that tapers to the apex, a wall of 4 pixels around it, an RV beside it."""
    label = np.zeros((2, 8, 64, 64), np.uint8)
    for t, z in np.ndindex(2, 8):
        half = (side - 4 * t - z) // 2
        label[t, z, 32 - half - 4 : 32 + half + 4, 24 - half - 4 : 24 + half + 4] = 2
        label[t, z, 32 - half : 32 + half, 24 - half : 24 + half] = 1
        label[t, z, 26 : 40 - z, 24 + half + 4 : 24 + half + 16 - 3 * t] = 3
    noise = np.random.default_rng(0).normal(size=label.shape)
    image = (np.isin(label, (1, 3)) - 0.5 * (label == 2) + 0.1 * noise).astype(np.float32)
    return check_study(
        Study(
            subject_id=name,
            image=image,
            spacing_mm=(8.0, 1.5, 1.5),
            slice_position_mm=uniform_positions(8, 8.0),
            affine=np.eye(4),
            label=label,
            labelled=np.ones((2, 8, 3), bool),
            ed_frame=0,
            es_frame=1,
        )
    )


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_changes_the_label_alone(name: str) -> None:
    one = heart()
    before = one.label.copy()
    spoiled = FAULTS[name](one)
    assert (spoiled.shape, spoiled.dtype) == (before.shape, np.uint8)
    assert spoiled.max() <= 3
    assert (spoiled != before).any()
    np.testing.assert_array_equal(one.label, before)


def test_faults_by_hand() -> None:
    one, label = heart(), heart().label
    np.testing.assert_array_equal(FAULTS["shifted by 6 mm"](one)[:, :, 4:], label[:, :, :-4])
    np.testing.assert_array_equal(FAULTS["ED and ES exchanged"](one), label[::-1])
    np.testing.assert_array_equal(FAULTS["LV and RV exchanged"](one) == 3, label == 1)
    lost = FAULTS["one slice lost"](one)
    assert [z for z in range(8) if (lost[:, z] != label[:, z]).any()] == [4]
    larger, smaller = (FAULTS[f"cavity drawn 3 mm too {which}"](one) == 1 for which in ("large", "small"))
    # A square of side n, grown or shrunk by a disc of two pixels.
    n = 14
    assert (label[0, 0] == 1).sum() == n**2
    assert smaller[0, 0].sum() == (n - 4) ** 2
    assert n**2 + 8 * n < larger[0, 0].sum() < (n + 4) ** 2
    wall = FAULTS["wall moved by 8 mm"](one)
    np.testing.assert_array_equal(wall == 1, label == 1)


def test_the_study_counts_who_notices() -> None:
    found = figures([heart("a"), heart("b", 16), heart("c", 18)])
    faults = found["faults"]
    assert found["patients"] == 3
    assert {*faults} == {AS_DRAWN, *FAULTS}
    assert faults[AS_DRAWN]["check"][0] == faults[AS_DRAWN]["rules"][0] == 0
    for name in ("shifted by 12 mm", "mirrored", "ED and ES exchanged", "LV and RV exchanged", "RV missing"):
        assert faults[name]["check"][0] == 1, name
    assert faults["mirrored"]["rules_auc"] == pytest.approx(0.5, abs=0.2)  # a label alone does not show it
    assert faults["LV and RV exchanged"]["rules_auc"] == 1
    low, high = faults["RV missing"]["check"][1:]
    assert (low, high) == pytest.approx((0.438, 1), abs=1e-3)  # Wilson, 3 of 3
    assert "| mirrored | 1.00 [0.44, 1.00] |" in markdown(found)


def test_nothing_to_spoil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = SimpleNamespace(splits={"test": ["a"]})
    monkeypatch.setattr("semiqc_jax.studies.labels.open_cohort", lambda path: empty)
    with pytest.raises(NothingUsableError, match="no labelled short-axis patient"):
        study_labels(tmp_path, tmp_path / "labels.json")
