"""The checks on labels: exact on small shapes, right about the three real patients, silent on ACDC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.label_checks import brighter_share, centre_distance_mm, enclosed_share, label_warnings
from semiqc_jax.datasets.readers import acdc, nifti
from semiqc_jax.study import Study, check_study, uniform_positions


def image_of(label: np.ndarray) -> np.ndarray:
    """Bright blood and dark muscle, with some noise."""
    noise = np.random.default_rng(0).normal(size=label.shape)
    return (np.isin(label, (1, 3)) + 0.1 * noise).astype(np.float32)


def study(**changes: object) -> Study:
    """A heart of six slices at ED and ES: LV 10 x 10 and 6 x 6 pixels, a wall around it, an RV beside it."""
    label = np.zeros((2, 6, 40, 40), np.uint8)
    label[:, :, 8:24, 8:24] = 2
    label[:, :, 10:20, 26:34] = 3
    for t, side in enumerate((10, 6)):
        label[t, :, 11 : 11 + side, 11 : 11 + side] = 1
    image = image_of(label)
    made = Study(
        subject_id="a",
        image=image,
        spacing_mm=(10.0, 2.0, 1.0),
        slice_position_mm=uniform_positions(6, 10.0),
        affine=np.eye(4),
        label=label,
        labelled=np.ones((2, 6, 3), bool),
        ed_frame=0,
        es_frame=1,
    )
    return check_study(replace(made, **changes))  # type: ignore[arg-type]


def label_of(change) -> Study:
    label = study().label.copy()
    change(label)
    return study(label=label, image=image_of(label))


def test_a_good_heart_is_not_remarked_on() -> None:
    assert label_warnings(study()) == []
    assert label_warnings(study(label=None, labelled=None)) == []


def test_share_and_distance_by_hand() -> None:
    cavity, wall = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    cavity[2:4, 2:4] = True  # 12 pixels around it
    wall[1, 1:5] = True  # 4 of them
    assert enclosed_share(cavity, wall) == pytest.approx(4 / 12)
    assert centre_distance_mm(cavity, wall, (3.0, 2.0)) == pytest.approx(4.5)
    assert np.isnan([enclosed_share(wall & False, wall), centre_distance_mm(wall & False, wall, (1, 1))]).all()


def misplaced(label: np.ndarray) -> None:
    label[0][label[0] == 2] = 0
    label[0, :, 18:32, 18:32] = np.where(label[0, :, 18:32, 18:32] == 1, 1, 2)


def aside(label: np.ndarray) -> None:
    """The wall reaches 14 rows further on one side, and still lies around the cavity."""
    for t, side in enumerate((10, 6)):
        label[t, :, 8:38, 8:24] = 2
        label[t, :, 11 : 11 + side, 11 : 11 + side] = 1


def apart(label: np.ndarray) -> None:
    label[0, 3, 11:21, 11:21] = 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (misplaced, "the LV myocardium does not enclose the LV cavity on 6 of 12 slices: it meets"),
        (aside, "the centres of the LV cavity and of cavity and myocardium together lie 1"),
        (apart, "the area of the LV cavity jumps along the stack (slice 4 of frame 1)"),
        (lambda label: label[1, :, 11:21, 11:22].fill(1), "larger at ES (13 ml) than at ED (12 ml)"),
        (lambda label: np.place(label[:, 2:], label[:, 2:] == 3, 0), "the RV cavity is drawn on 2 of 6 slices"),
        (lambda label: label[0, 2, 0:4, 5:9].fill(3), "the label of the RV cavity touches the border of the image"),
    ],
)
def test_each_check_says_its_own(change, words: str) -> None:
    (warning,) = label_warnings(label_of(change))
    assert words in warning


def test_brighter_share_by_hand() -> None:
    assert brighter_share(np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0])) == pytest.approx((1 + 1.5 + 2) / 6)
    assert np.isnan(brighter_share(np.array([1.0]), np.array([])))


@pytest.mark.parametrize("moved", [lambda x: np.roll(x, 12, 2), lambda x: x[..., ::-1]])
def test_labels_beside_the_heart(moved) -> None:
    """Labels that agree with each other but not with the image."""
    label = study().label
    (warning,) = label_warnings(study(label=moved(label), image=image_of(label)))
    assert "the labels do not fit the image" in warning
    few = np.zeros((2, 6, 3), bool)
    few[0, :2] = True  # two slices are too few to say
    some = study(label=moved(label) * few.any(-1)[..., None, None], image=image_of(label), labelled=few)
    assert not any("do not fit" in warning for warning in label_warnings(some))


def test_what_is_not_drawn_is_not_judged() -> None:
    wrong = label_of(misplaced)
    labelled = wrong.labelled.copy()
    labelled[0, :, 1] = False
    assert label_warnings(replace(wrong, labelled=labelled)) == []


def test_of_the_aorta_only_the_border_is_judged() -> None:
    label = np.zeros((2, 1, 40, 40), np.uint8)
    label[:, :, 30:, 5:15] = 2
    drawn, image = np.ones((2, 1, 2), bool), study().image[:, :1]
    aorta = study(task=AORTA, label=label, labelled=drawn, image=image, slice_position_mm=np.zeros(1))
    assert label_warnings(aorta) == ["the label of the Descending aorta touches the border of the image"]


def test_the_misplaced_outer_contours_of_a_real_patient(data_dir: Path) -> None:
    warnings, volumes = {}, {}
    for name in ("SCD0000101", "SCD0000201", "SCD0000501"):
        (found,) = nifti.find(data_dir / "sunnybrook" / f"{name}_sa.nii.gz")
        real = check_study(found.read())
        warnings[name] = label_warnings(real)
        ml = (real.label == 1).sum((1, 2, 3)) * np.prod(real.spacing_mm) / 1000
        volumes[name] = (real.ed_frame, real.es_frame, *(round(float(ml[t])) for t in (real.ed_frame, real.es_frame)))
    assert volumes == {
        "SCD0000101": (18, 7, 195, 144),
        "SCD0000201": (19, 6, 246, 184),
        "SCD0000501": (18, 8, 220, 164),
    }
    assert warnings["SCD0000101"] == warnings["SCD0000201"] == []
    enclosure, contrast = warnings["SCD0000501"]
    assert "does not enclose the LV cavity on 9 of 9 slices" in enclosure
    assert "the labels do not fit the image" in contrast


def test_no_alarm_on_acdc(data_dir: Path) -> None:
    for found in acdc.find(data_dir / "acdc")[::10]:
        assert label_warnings(check_study(found.read())) == [], found.subject_id
