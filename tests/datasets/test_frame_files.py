"""Cines stored as one file a frame: which files are one cine, their stack, their labels."""

import numpy as np
import pytest
from nifti_files import AFFINE, heart, pixels, save_nifti

from semiqc_jax.datasets.readers import nifti
from semiqc_jax.datasets.readers.frame_files import series_of
from semiqc_jax.errors import DataError
from semiqc_jax.study import check_study

SHAPE = (20, 24, 5, 4)


def named(tmp_path, *names):
    """Name of the series -> its files, of files below a folder."""
    series = series_of(tmp_path / name for name in names)
    return {one.name: [str(path.relative_to(tmp_path)) for path in one.paths] for one in series}


@pytest.mark.parametrize(
    "names",
    [
        ["P1_frame02.nii.gz", "P1_frame10.nii.gz"],
        ["P1_frame1.nii", "P1_frame2.nii", "P1_frame10.nii"],  # in the order of numbers, not of letters
        ["P1-t00.nii.gz", "P1-t01.nii.gz"],
        ["P1_time_001.nii.gz", "P1_time_002.nii.gz"],
        ["P1_Phase-1.nii.gz", "P1_Phase-2.nii.gz"],
        ["P1_fr07.nii.gz", "P1_fr08.nii.gz"],
        ["a/P1_t00.nii.gz", "a/P1_t01.nii.gz"],
        ["P1/frame00.nii.gz", "P1/frame01.nii.gz"],  # called as their folder
        ["P1/P1_0001.nii.gz", "P1/P1_0002.nii.gz"],  # bare numbers in a folder of that name
    ],
)
def test_names_of_frames_of_one_cine(tmp_path, names):
    assert named(tmp_path, *names[::-1]) == {"P1": names}


@pytest.mark.parametrize(
    "names",
    [
        ["patient_0001.nii.gz", "patient_0002.nii.gz"],  # two patients
        ["images/patient_0001.nii.gz", "images/patient_0002.nii.gz"],
        ["P1_t1.nii.gz", "P1_t2.nii.gz"],  # two weightings
        ["heart01.nii.gz", "heart02.nii.gz"],
        ["P1_frame01.nii.gz", "P2_frame02.nii.gz"],
        ["a/P1_frame01.nii.gz", "b/P1_frame02.nii.gz"],
        ["P1_frame01_sa.nii.gz", "P1_frame02_sa.nii.gz"],
        ["P1.nii.gz", "P1_frame01.nii.gz"],
    ],
)
def test_names_that_are_no_frames_of_one_cine(tmp_path, names):
    assert [len(one.paths) for one in series_of(tmp_path / name for name in names)] == [1, 1]


def frames(folder, numbers, pattern="P1_frame{:02d}"):
    cine = pixels(SHAPE)
    for i, number in enumerate(numbers):
        save_nifti(folder / f"{pattern.format(number)}.nii.gz", cine[..., i])
    return cine


def test_frames_and_their_labels_become_one_study(tmp_path):
    cine, label = frames(tmp_path, (1, 2, 3, 4)), heart(4)
    for i in (1, 3):
        save_nifti(tmp_path / f"P1_frame{i + 1:02d}_gt.nii.gz", label[..., i])
    (found,) = nifti.find(tmp_path)
    study = check_study(found.read())
    assert study.subject_id == "P1"
    np.testing.assert_array_equal(study.image, cine.T)
    assert study.labelled.any((1, 2)).tolist() == [False, True, False, True]
    np.testing.assert_array_equal(study.label[[1, 3]], label.T[[1, 3]])
    assert not study.label[[0, 2]].any()
    assert (study.ed_frame, study.es_frame) == (1, 3)
    assert study.warnings == ()
    assert sorted(p.name for p in found.files) == sorted(p.name for p in tmp_path.iterdir())


def test_frame_that_is_missing_gives_a_warning(tmp_path):
    frames(tmp_path, (0, 1, 4, 5), "P1_t{:02d}")
    (found,) = nifti.find(tmp_path)
    assert found.read().warnings == ("2 of frames 0 to 5 have no file: the others are taken as one after another",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: save_nifti(path, pixels((20, 24, 6))), r"not on the grid of P1_frame01.*shape \(20, 24, 6, 1\)"),
        (lambda path: save_nifti(path, pixels(SHAPE[:3]), AFFINE * 1.2), "not on the grid of P1_frame01.*voxels of"),
        (lambda path: save_nifti(path, pixels(SHAPE)), "it holds 4 frames, not one"),
        (lambda path: path.write_bytes(b"no image"), "cannot be read as NIfTI"),
        (lambda path: save_nifti(path.with_name("P1_frame1.nii.gz"), pixels(SHAPE[:3])), "frame 1 is there twice"),
    ],
)
def test_bad_frame_is_one_error_that_names_its_file(tmp_path, make, message):
    frames(tmp_path, (1, 2))
    make(tmp_path / "P1_frame03.nii.gz")
    (found,) = nifti.find(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        found.read()
    assert "P1_frame" in str(caught.value)
