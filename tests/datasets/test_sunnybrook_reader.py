"""The Sunnybrook Cardiac Data in the layouts in which it is handed out."""

from __future__ import annotations

from pathlib import Path

import dicom_files as made
import numpy as np
import pytest

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.label_checks import label_warnings
from semiqc_jax.datasets.readers import ReaderOptions, find_subjects, sunnybrook
from semiqc_jax.errors import ConfigError, DataError, NothingUsableError
from semiqc_jax.study import check_study

INNER = "3.5 3.5\n6.5 3.5\n6.5 6.5\n3.5 6.5\n"  # 3 x 3 pixels from (4, 4)
OUTER = "1.5 1.5\n8.5 1.5\n8.5 8.5\n1.5 8.5\n"  # 7 x 7 pixels from (2, 2)
SMALL = "4.5 4.5\n5.5 4.5\n5.5 5.5\n4.5 5.5\n"  # the pixel (5, 5)


def number(t: int, z: int) -> int:
    return 1 + t + made.N_FRAMES * z


def patient(folder: Path, name: str = "CINESAX_300/IM-0003-{:04d}.dcm") -> None:
    for z in range(made.N_SLICES):
        for t in range(made.N_FRAMES):
            made.write(made.image(t, z), folder / name.format(number(t, z)))


def draw(folder: Path, t: int, z: int, inner: str | None = INNER, outer: str | None = None) -> None:
    folder = folder / "contours-manual" / "IRCCI-expert"
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in (("i", inner), ("o", outer), ("p1", SMALL)):
        if text is not None:
            (folder / f"IM-0001-{number(t, z):04d}-{kind}contour-manual.txt").write_text(text)


@pytest.mark.parametrize("layout", ["archive", "together", "unnumbered"])
def test_cine_and_contours(tmp_path: Path, layout: str) -> None:
    if layout == "archive":  # as downloaded: pictures, contours and the table that ties their names
        patient(tmp_path / "SCD_IMAGES_01" / "SCD0000101")
        contours, subject_id = tmp_path / "SCD_ManualContours" / "SC-HF-I-01", "SCD0000101"
        rows = "PatientID,OriginalID,Gender,Age,PathologyID,Pathology\nSCD0000101,SC-HF-I-1,Male,61,1,HF-I\n"
        (tmp_path / "scd_patientdata.csv").write_text("\ufeff" + rows)
    else:
        contours, subject_id = tmp_path / "SC-HF-I-1", "SC-HF-I-1"
        patient(contours, "IM-0004-{:04d}.dcm" if layout == "together" else "image{:04d}x.dcm")
    for z in (1, 2, 3):
        draw(contours, 3, z, outer=OUTER if z < 3 else None)
        draw(contours, 1, z, inner=SMALL)
    (found,) = find_subjects("sunnybrook", str(tmp_path))
    study = check_study(found.read())
    assert (study.subject_id, study.ed_frame, study.es_frame) == (subject_id, 3, 1)
    expected = np.zeros(study.shape, np.uint8)
    expected[3, 1:3, 2:9, 2:9] = 2
    expected[3, 1:4, 4:7, 4:7] = 1
    expected[1, 1:4, 5, 5] = 1
    np.testing.assert_array_equal(study.label, expected)
    drawn = np.zeros((made.N_FRAMES, made.N_SLICES, 3), bool)
    drawn[[1, 3], 1:4, 0] = drawn[3, 1:3, 1] = True
    np.testing.assert_array_equal(study.labelled, drawn)
    np.testing.assert_array_equal(study.image[2, 4], made.pixels(2, 4))
    assert (study.sex, study.age_years, study.group) == (("M", 61, "HF-I") if layout == "archive" else ("F", 45, None))
    assert study.warnings == ()
    (unlabelled,) = sunnybrook.find(tmp_path, ReaderOptions(label_codes=None))
    assert unlabelled.read().label is None
    assert len(unlabelled.files) == made.N_FRAMES * made.N_SLICES


def test_a_misplaced_outer_contour_is_flagged(tmp_path: Path) -> None:
    patient(tmp_path / "SCD0000501")
    draw(tmp_path / "SCD0000501", 3, 1, inner=OUTER, outer="3.5 4.5\n8.9 4.5\n8.9 10.4\n3.5 10.4\n")
    draw(tmp_path / "SCD0000501", 3, 2, inner=None, outer=OUTER)
    study = check_study(sunnybrook.find(tmp_path)[0].read())
    assert study.warnings == (
        "the outer contour does not enclose the inner one on images 8",
        "images 12 have an outer contour only and count as not drawn",
    )
    (warning,) = label_warnings(study)
    assert "does not enclose the LV cavity on 1 of 1 slices" in warning


def test_a_contour_of_no_image_is_named(tmp_path: Path) -> None:
    patient(tmp_path / "SCD0000101")
    draw(tmp_path / "SCD0000101", 3, 9)
    with pytest.raises(DataError, match=r"contour of image 40.*IM-0001-0040-icontour"):
        sunnybrook.find(tmp_path)[0].read()


def test_numbers_that_two_images_share_are_named(tmp_path: Path) -> None:
    for z in range(made.N_SLICES):
        for t in range(made.N_FRAMES):
            data = made.image(t, z, SeriesInstanceUID=f"1.{z + 1}")
            made.write(data, tmp_path / "SCD0000101" / f"IM-{z:04d}-{t + 1:04d}.dcm")
    draw(tmp_path / "SCD0000101", 3, 0)
    with pytest.raises(DataError, match=r"several images have one number.*SCD0000101"):
        sunnybrook.find(tmp_path)[0].read()


def test_what_the_data_set_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match="no Sunnybrook patient"):
        sunnybrook.find(tmp_path)
    with pytest.raises(ConfigError, match="aorta"):
        sunnybrook.find(tmp_path, ReaderOptions(task=AORTA))
