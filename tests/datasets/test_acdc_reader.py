"""The ACDC reader on small files in the official layout, and on a few real patients."""

import nibabel as nib
import numpy as np
import pytest
from nifti_files import AFFINE, pixels, save_nifti

from semiqc_jax.datasets.readers import acdc
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import check_study


def read(source, name):
    return check_study(next(f for f in acdc.find(source) if f.subject_id == name).read())


def test_finds_training_testing_and_flat_folders(acdc_source):
    assert [f.subject_id for f in acdc.find(acdc_source)] == ["patient001", "patient002", "patient101"]
    assert [f.subject_id for f in acdc.find(acdc_source / "testing")] == ["patient101"]


def test_ed_es_pair(acdc_source):
    study = read(acdc_source, "patient001")
    folder = acdc_source / "training" / "patient001"
    stored = np.asarray(nib.load(folder / "patient001_frame02.nii.gz").dataobj)
    assert study.shape == (2, 5, 24, 20)
    assert study.image[1, 3, 7, 11] == stored[11, 7, 3]
    assert (study.ed_frame, study.es_frame, study.group, study.frame_time_s) == (0, 1, "DCM", None)
    assert study.spacing_mm == (8.0, 1.25, 1.5)
    assert study.labelled.all()
    assert [(study.label[0] == c).sum() for c in (1, 2, 3)] == [6 * 6 * 3, (100 - 36) * 3, 4 * 7 * 2]
    assert study.warnings == ()


def test_whole_cine_with_labels_on_its_ed_and_es_frames(acdc_source):
    study = read(acdc_source, "patient002")
    assert study.shape == (6, 5, 24, 20)
    assert (study.ed_frame, study.es_frame) == (0, 5)
    assert study.labelled.all((1, 2)).tolist() == [True, False, False, False, False, True]
    assert not study.labelled[1:5].any()
    assert not study.label[1:5].any()
    np.testing.assert_allclose(study.frame_time_s, np.arange(6) * 0.15, rtol=1e-6)
    assert (study.height_cm, study.weight_kg) == (184.0, 95.0)


def test_phases_that_contradict_the_labels_give_a_warning(acdc_source):
    info = acdc_source / "training" / "patient002" / "Info.cfg"
    info.write_text("ED: 6\nES: 1\nGroup: NOR\nNbFrame: 7\n")
    warnings = read(acdc_source, "patient002").warnings
    assert warnings == (
        "Info.cfg says 7 frames, the cine holds 6",
        "Info.cfg says ED is frame 6 and ES 1, but the drawn LV is larger at ES",
    )


def test_patient_without_labels(acdc_source):
    for path in (acdc_source / "testing" / "patient101").glob("*_gt.nii.gz"):
        path.unlink()
    study = read(acdc_source, "patient101")
    assert study.label is None
    assert study.labelled is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "Info.cfg is missing"),
        ("ED: 1\n", "ES is not given"),
        ("ED: one\nES: 6\n", "ED is 'one'"),
        ("ED: 0\nES: 6\n", "ED is '0'"),
        ("ED: 1\nES: 9\n", "ES is frame 9 of a cine of 6"),
    ],
)
def test_wrong_info(acdc_source, text, message):
    info = acdc_source / "training" / "patient002" / "Info.cfg"
    info.unlink()
    if text is not None:
        info.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read(acdc_source, "patient002")
    assert str(info) in str(caught.value)


FLIPPED = AFFINE @ np.diag([1.0, -1.0, 1.0, 1.0])


def rewritten(path, affine):
    save_nifti(path, np.asarray(nib.load(path).dataobj), affine)


@pytest.mark.parametrize("number", [1, 2])
def test_label_on_a_flipped_grid_is_refused(acdc_source, number):
    name = f"patient{number:03d}"
    path = acdc_source / "training" / name / f"{name}_frame01_gt.nii.gz"
    rewritten(path, FLIPPED)
    with pytest.raises(DataError, match=r"its axes y point another way \(.*_frame01_gt\.nii\.gz\): use the label"):
        read(acdc_source, name)


def test_ed_and_es_on_two_grids_are_refused(acdc_source):
    folder = acdc_source / "training" / "patient001"
    rewritten(folder / "patient001_frame02.nii.gz", FLIPPED)
    with pytest.raises(DataError, match=r"not two frames of one cine: its axes y .*patient001\)"):
        read(acdc_source, "patient001")


def test_frames_of_another_cine_are_refused(acdc_source):
    """A header that differs is no harm while the pixels are those of the cine; then the label fits them too."""
    folder = acdc_source / "training" / "patient002"
    frame, label = folder / "patient002_frame01.nii.gz", folder / "patient002_frame01_gt.nii.gz"
    rewritten(frame, FLIPPED)
    rewritten(label, FLIPPED)
    assert read(acdc_source, "patient002").labelled[0].all()
    save_nifti(frame, pixels((20, 24, 5), seed=9), FLIPPED)
    with pytest.raises(DataError, match=r"not this frame of the cine: its axes y .*_frame01\.nii\.gz"):
        read(acdc_source, "patient002")


def test_labels_of_a_cine_without_cut_out_frames(acdc_source):
    folder = acdc_source / "training" / "patient002"
    for number in (1, 6):
        (folder / f"patient002_frame{number:02d}.nii.gz").unlink()
    assert read(acdc_source, "patient002").labelled.all((1, 2)).sum() == 2


def test_missing_frame_is_named(acdc_source):
    (acdc_source / "training" / "patient001" / "patient001_frame02.nii.gz").unlink()
    with pytest.raises(DataError, match=r"file is missing \(.*patient001_frame02\.nii\.gz\)"):
        read(acdc_source, "patient001")


def test_empty_folder(tmp_path):
    with pytest.raises(NothingUsableError):
        acdc.find(tmp_path)


def test_real_patients(data_dir):
    source = data_dir / "acdc"
    if not source.is_dir():
        pytest.skip("no ACDC in SEMIQC_DATA_DIR")
    study = read(source, "patient090")
    assert study.shape == (2, 7, 224, 154)
    assert (study.ed_frame, study.es_frame, study.group) == (0, 1, "RV")
    ml = (study.label == 1).sum((1, 2, 3)) * np.prod(study.spacing_mm) / 1000
    assert ml[0] > ml[1] > 10
    assert read(source, "patient001").group == "DCM"
