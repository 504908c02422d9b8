"""DICOM series become a cine of exact geometry, however they are stored."""

from __future__ import annotations

import pickle
from pathlib import Path

import dicom_files as made
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import ReaderOptions, dicom, find_subjects
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.study import Study, check_study

EXPECTED = np.stack([[made.pixels(t, z) for z in range(made.N_SLICES)] for t in range(made.N_FRAMES)])


def read(folder: Path, task: str = "short_axis") -> Study:
    options = ReaderOptions(task=AORTA) if task == "aorta" else ReaderOptions()
    (found,) = dicom.find(folder, options)
    return check_study(found.read(), found.path)


def test_geometry_of_an_oblique_stack_is_exact(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "case", made.cine()))
    np.testing.assert_array_equal(study.image, EXPECTED)
    np.testing.assert_allclose(study.spacing_mm, (made.DZ, *made.SPACING), atol=1e-4)
    np.testing.assert_allclose(study.slice_position_mm, made.DZ * np.arange(made.N_SLICES), atol=1e-4)
    np.testing.assert_allclose(study.frame_time_s, [0.02, 0.07, 0.12, 0.17], atol=1e-9)
    for x, y, z in [(0, 0, 0), (9, 0, 0), (0, 11, 0), (4, 7, 3)]:  # the voxel's place in LPS, by hand
        lps = made.ORIGIN + x * 1.25 * made.X + y * 1.5 * made.Y + z * made.DZ * made.NORMAL
        np.testing.assert_allclose((study.affine @ [x, y, z, 1])[:3], lps * [-1, -1, 1], atol=1e-4)
    assert study.warnings == ()


def test_of_the_patient_only_what_indices_need_is_kept(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "case", made.cine()))
    assert (study.sex, study.age_years, study.height_cm, study.weight_kg) == ("F", 45, 170, 65)
    assert study.heart_rate_bpm == 75
    assert not any(text in repr(vars(study)) for text in ("Doe", "secret", "1970"))


def one_series_a_slice(t: int, z: int) -> dict:
    return {"SeriesInstanceUID": f"1.2.{z + 1}", "SeriesNumber": 30 - z, "InstanceNumber": t + 1}


def test_one_series_a_slice_is_the_same_stack(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "case", made.cine(one_series_a_slice), seed=1))
    np.testing.assert_array_equal(study.image, EXPECTED)
    assert study.warnings == ()


def test_subjects_are_folders_and_series_folders_are_none(tmp_path: Path) -> None:
    for z in range(made.N_SLICES):
        images = [made.image(t, z, **one_series_a_slice(t, z)) for t in range(made.N_FRAMES)]
        made.save(tmp_path / "cohort" / "A b" / f"series{z}", images)
        others = [made.image(t, z, StudyInstanceUID="1.9") for t in range(made.N_FRAMES)]
        made.save(tmp_path / "cohort" / "..B" / "study" / f"series{z}", others)
    (tmp_path / "cohort" / "empty").mkdir()
    (tmp_path / "cohort" / "A b" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "cohort" / "A b" / "notes.txt").write_text("no image")
    found = find_subjects("dicom", str(tmp_path / "cohort"))
    assert [one.subject_id for one in found] == ["B", "A_b"]
    assert [len(one.files) for one in found] == [20, 20]
    for one in found:
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).read().image, EXPECTED)
    (patient,) = dicom.find(tmp_path / "cohort" / "A b")  # its folders are series of one study
    np.testing.assert_array_equal(patient.read().image, EXPECTED)


def test_no_dicom_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(NothingUsableError, match="no DICOM file"):
        dicom.find(tmp_path)
    with pytest.raises(NothingUsableError, match="no DICOM file"):
        dicom.find(tmp_path / "nowhere")


def test_long_axis_and_localiser_are_told_apart(tmp_path: Path) -> None:
    long_axis = [float(v) for v in (*made.NORMAL, *made.Y)]
    others = [
        made.image(t, 0, ImageOrientationPatient=long_axis, SeriesInstanceUID="1.4", SeriesDescription="4ch")
        for t in range(made.N_FRAMES)
    ] + [made.image(0, z, SeriesInstanceUID="1.5", SeriesDescription="localiser") for z in range(made.N_SLICES)]
    study = read(made.save(tmp_path / "case", made.cine() + others))
    np.testing.assert_array_equal(study.image, EXPECTED)
    plane = read(made.save(tmp_path / "case", []), "aorta")
    assert plane.shape == (made.N_FRAMES, 1, made.ROWS, made.COLUMNS)
    assert plane.spacing_mm[0] == 6
    assert any("thickness" in warning for warning in plane.warnings)


@pytest.mark.parametrize(
    ("keyword", "tags", "timed"),
    [
        ("NominalCardiacTriggerDelayTime", lambda t, z: {"NominalCardiacTriggerDelayTime": 20.0 + 50 * t}, True),
        ("TemporalPositionIdentifier", lambda t, z: {"TemporalPositionIdentifier": t + 1}, False),
        ("InstanceNumber", lambda t, z: {}, False),
        (
            "AcquisitionTime",
            lambda t, z: {"InstanceNumber": None, "AcquisitionTime": f"1200{z:02d}.{t}"},
            False,
        ),
    ],
)
def test_frames_without_trigger_times(tmp_path: Path, keyword: str, tags, timed: bool) -> None:
    images = made.cine(lambda t, z: {"TriggerTime": None, **tags(t, z)})
    study = read(made.save(tmp_path / "case", images))
    np.testing.assert_array_equal(study.image, EXPECTED)
    assert (study.frame_time_s is not None) == timed
    assert [keyword in warning for warning in study.warnings] == ([] if timed else [True])


def test_trigger_times_all_equal_are_no_times(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "case", made.cine(lambda t, z: {"TriggerTime": "0"})))
    np.testing.assert_array_equal(study.image, EXPECTED)
    assert "InstanceNumber" in study.warnings[0]


def test_times_that_differ_between_slices_are_averaged(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "a", made.cine(lambda t, z: {"TriggerTime": str(50 * t + z)})))
    np.testing.assert_allclose(study.frame_time_s, 0.05 * np.arange(4) + 0.002, atol=1e-12)
    assert study.warnings == ()
    study = read(made.save(tmp_path / "b", made.cine(lambda t, z: {"TriggerTime": str(50 * t + 20 * z)})))
    assert study.warnings == ("frame times differ by up to 40 ms between slices; their mean is used",)


def test_a_missing_slice_leaves_a_gap(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "case", made.cine(lambda t, z: None if z == 2 else {})))
    np.testing.assert_allclose(study.slice_position_mm, made.DZ * np.array([0, 1, 3, 4]), atol=1e-4)
    assert study.spacing_mm[0] == pytest.approx(made.DZ, abs=1e-4)
    assert study.warnings == ("slices are missing between slices 2 and 3 (gaps of 9.5 mm else)",)


def test_a_frame_missing_everywhere_is_said(tmp_path: Path) -> None:
    study = read(made.save(tmp_path / "case", made.cine(lambda t, z: {"TriggerTime": str((0, 50, 100, 200)[t])})))
    assert study.warnings == ("frames are missing in all slices after frame 3",)


def test_the_same_image_twice_counts_once(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine())
    made.write(made.image(1, 2), folder / "again.dcm")
    study = read(folder)
    np.testing.assert_array_equal(study.image, EXPECTED)
    assert study.warnings == ("1 image is there twice",)


def test_a_file_that_holds_no_mr_image_is_passed_over(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine())
    made.write(made.image(0, 0, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), folder / "screenshot.dcm")
    study = read(folder)
    np.testing.assert_array_equal(study.image, EXPECTED)
    assert study.warnings == ("passed over, since they hold no MR image: 1 DICOM file",)


def test_a_slice_taken_again_replaces_the_first(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine(lambda t, z: {"PixelData": bytes(240)} if z == 3 else {}))
    again = [made.image(t, 3, SeriesInstanceUID="1.6", SeriesNumber=12) for t in range(made.N_FRAMES)]
    made.save(folder / "more", again)
    study = read(folder)
    np.testing.assert_array_equal(study.image, EXPECTED)
    assert study.warnings == ("slices were taken again; left out: series 7",)


def test_rescale_and_monochrome1(tmp_path: Path) -> None:
    rescaled = made.cine(lambda t, z: {"RescaleSlope": "2", "RescaleIntercept": "-5"})
    np.testing.assert_array_equal(read(made.save(tmp_path / "a", rescaled)).image, EXPECTED * 2.0 - 5)
    inverted = made.cine(lambda t, z: {"PhotometricInterpretation": "MONOCHROME1"})
    np.testing.assert_array_equal(read(made.save(tmp_path / "b", inverted)).image, 4095.0 - EXPECTED)


def test_slices_shifted_in_their_plane_are_said(tmp_path: Path) -> None:
    def shifted(t: int, z: int) -> dict:
        place = made.ORIGIN + z * made.DZ * made.NORMAL + (3 if z == 1 else 0) * made.X
        return {"ImagePositionPatient": [float(v) for v in place]}

    assert read(made.save(tmp_path / "case", made.cine(shifted))).warnings == ("slices 2 are shifted in their plane",)


def of(**tags: object) -> Dataset:
    data = Dataset()
    for keyword, value in tags.items():
        setattr(data, keyword, value)
    return data


def enhanced() -> Dataset:
    """The same cine as one enhanced file; its frames in an order of their own."""
    order = [(t, z) for t in range(made.N_FRAMES) for z in reversed(range(made.N_SLICES))]
    frames = [
        of(
            PlanePositionSequence=Sequence([of(ImagePositionPatient=made.image(t, z).ImagePositionPatient)]),
            CardiacSynchronizationSequence=Sequence([of(NominalCardiacTriggerDelayTime=20.0 + 50 * t)]),
            PixelValueTransformationSequence=Sequence([of(RescaleSlope="1", RescaleIntercept=str(t))]),
        )
        for t, z in order
    ]
    axes = of(ImageOrientationPatient=[float(v) for v in (*made.X, *made.Y)])
    shared = of(
        PlaneOrientationSequence=Sequence([axes]),
        PixelMeasuresSequence=Sequence([of(PixelSpacing=list(made.SPACING), SliceThickness="6")]),
    )
    gone = ("TriggerTime", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
    return made.image(
        0,
        0,
        **dict.fromkeys(gone),
        SOPClassUID=EnhancedMRImageStorage,
        SOPInstanceUID=generate_uid(),
        NumberOfFrames=len(order),
        PerFrameFunctionalGroupsSequence=Sequence(frames),
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PixelData=b"".join(made.pixels(t, z).tobytes() for t, z in order),
    )


def test_an_enhanced_file_is_the_same_cine(tmp_path: Path) -> None:
    study = read(made.write(enhanced(), tmp_path / "case" / "all.dcm").parent)
    np.testing.assert_array_equal(study.image, EXPECTED + np.arange(4.0)[:, None, None, None])
    classic = read(made.save(tmp_path / "classic", made.cine()))
    np.testing.assert_allclose(study.affine, classic.affine, atol=1e-9)
    np.testing.assert_allclose(study.frame_time_s, classic.frame_time_s, atol=1e-12)
