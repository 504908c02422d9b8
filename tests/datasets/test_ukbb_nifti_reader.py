"""UK Biobank as NIfTI: the layout of ukbb_cardiac, both tasks, how ED and ES are found, and patients."""

import pickle

import numpy as np
import pytest
from nifti_files import heart, pixels, save_nifti

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import ukbb_nifti
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import check_study

SHAPE = (20, 24, 5, 20)
ED, ES = 1, 7


def subject(folder, cine=True, whole=False, stills=("ED", "ES"), labels=("ED", "ES"), name="sa"):
    """A subject's folder; `whole`: the label of the whole cine is there."""
    xyzt, label = pixels(SHAPE), np.zeros(SHAPE, np.uint8)
    label[..., ED], label[..., ES] = heart(5)[..., 0], heart(5)[..., 4]
    if cine:
        save_nifti(folder / f"{name}.nii.gz", xyzt, step=0.0315, unit="unknown")
    if whole:
        save_nifti(folder / f"label_{name}.nii.gz", label)
    for phase, frame in (("ED", ED), ("ES", ES)):
        if phase in stills:
            save_nifti(folder / f"{name}_{phase}.nii.gz", xyzt[..., frame])
        if phase in labels:
            save_nifti(folder / f"label_{name}_{phase}.nii.gz", label[..., frame])
    save_nifti(folder / f"seg_{name}.nii.gz", xyzt)  # the toolbox's output and other views are not read
    save_nifti(folder / "la_4ch.nii.gz", xyzt)
    return xyzt, label


def read(source, options=None):
    (found,) = ukbb_nifti.find(source, options or ReaderOptions())
    return check_study(found.read())


@pytest.mark.parametrize("whole", [False, True])
def test_phases_are_found_by_their_pixels(tmp_path, whole):
    xyzt, label = subject(tmp_path / "1234567", whole=whole)
    study = read(tmp_path)
    np.testing.assert_array_equal(study.image, xyzt.T)
    np.testing.assert_array_equal(study.label, label.T)
    assert (study.ed_frame, study.es_frame) == (ED, ES)
    assert np.flatnonzero(study.labelled.any((1, 2))).tolist() == [ED, ES]
    assert study.labelled[[ED, ES]].all()
    np.testing.assert_allclose(study.frame_time_s, np.arange(20) * 0.0315, rtol=1e-6)
    assert study.warnings == ()


def test_label_of_the_whole_cine_alone(tmp_path):
    _, label = subject(tmp_path / "1234567", whole=True, stills=(), labels=())
    study = read(tmp_path)
    np.testing.assert_array_equal(study.label, label.T)
    assert (study.ed_frame, study.es_frame) == (ED, ES)


def test_without_a_cine_the_study_is_ed_and_es(tmp_path):
    xyzt, label = subject(tmp_path / "1234567", cine=False)
    study = read(tmp_path)
    np.testing.assert_array_equal(study.image, xyzt.T[[ED, ES]])
    np.testing.assert_array_equal(study.label, label.T[[ED, ES]])
    assert (study.ed_frame, study.es_frame, study.frame_time_s) == (0, 1, None)


def test_phase_that_is_no_frame_of_the_cine_leaves_ed_and_es_alone(tmp_path):
    subject(tmp_path / "1234567")
    save_nifti(tmp_path / "1234567" / "sa_ES.nii.gz", pixels(SHAPE[:3], seed=5))
    study = read(tmp_path)
    assert study.shape[0] == 2
    assert study.labelled.all()
    assert study.warnings == ("sa_ES.nii.gz is no frame of sa.nii.gz: the study is ED and ES alone",)


def test_label_of_a_frame_that_is_not_known_is_not_used(tmp_path):
    subject(tmp_path / "1234567", stills=("ED",))
    study = read(tmp_path)
    assert np.flatnonzero(study.labelled.any((1, 2))).tolist() == [ED]
    assert study.warnings == ("label_sa_ES.nii.gz is not used: its frame of the cine is not known",)


def test_phases_that_contradict_the_labels_give_a_warning(tmp_path):
    folder = tmp_path / "1234567"
    subject(folder)
    for name in ("sa", "label_sa"):
        for old, new in (("_ED", "_x"), ("_ES", "_ED"), ("_x", "_ES")):
            (folder / f"{name}{old}.nii.gz").rename(folder / f"{name}{new}.nii.gz")
    study = read(tmp_path)
    assert (study.ed_frame, study.es_frame) == (ES, ED)
    assert study.warnings == (
        "the files of ED and ES: ED is frame 7 and ES 1, but the drawn LV cavity is larger at ES",
    )


def test_aorta_is_another_sequence_of_the_same_folders(tmp_path):
    cine, label = pixels((20, 24, 1, 20)), np.zeros((20, 24, 1, 20), np.uint8)
    label[3:6, 3:6, 0, 2], label[3:9, 3:9, 0, 8] = 1, 1
    label[12:15, 3:6, 0, [2, 8]] = 2
    subject(tmp_path / "1234567")
    save_nifti(tmp_path / "1234567" / "ao.nii.gz", cine)
    save_nifti(tmp_path / "1234567" / "label_ao.nii.gz", label)
    save_nifti(tmp_path / "1234567" / "label_ao_prop.nii.gz", label)  # propagated: not read
    study = read(tmp_path, ReaderOptions(AORTA))
    assert study.shape == (20, 1, 24, 20)
    np.testing.assert_array_equal(study.label, label.T)
    assert (study.ed_frame, study.es_frame) == (2, 8)
    assert np.flatnonzero(study.labelled.all((1, 2))).tolist() == [2, 8]


def test_labels_are_left_unread_on_request(tmp_path):
    subject(tmp_path / "1234567")
    study = read(tmp_path, ReaderOptions(label_codes=None))
    assert study.label is None
    assert (study.ed_frame, study.es_frame) == (ED, ES)


def test_ids_patients_and_splits_come_from_folders(tmp_path):
    for name in ("train/1234567_2_0", "train/1234567_3_0", "validation/2345678/2_0", "test/demo", "test/b/x"):
        save_nifti(tmp_path / name / "sa.nii.gz", pixels((20, 24, 5, 2)))
    save_nifti(tmp_path / "too" / "deep" / "for" / "us" / "sa.nii.gz", pixels((20, 24, 5, 2)))
    save_nifti(tmp_path / "other" / "ao.nii.gz", pixels((20, 24, 1, 2)))
    found = ukbb_nifti.find(tmp_path)
    assert {f.subject_id: (f.patient_id, f.split) for f in found} == {
        "1234567_2_0": ("1234567", "train"),
        "1234567_3_0": ("1234567", "train"),
        "2345678_2_0": ("2345678", "val"),
        "demo": (None, "test"),
        "x": (None, "test"),
    }
    assert [pickle.loads(pickle.dumps(f)).subject_id for f in found] == [f.subject_id for f in found]


def test_linked_subjects_are_found_once(tmp_path):
    """As the toolbox lays its splits out: train/EID is a link to the subject's folder."""
    save_nifti(tmp_path / "store" / "1234567" / "sa.nii.gz", pixels((20, 24, 5, 2)))
    source = tmp_path / "data"
    (source / "train").mkdir(parents=True)
    (source / "train" / "1234567").symlink_to(tmp_path / "store" / "1234567")
    (source / "train" / "again").symlink_to(source)  # a loop
    assert [(f.subject_id, f.split) for f in ukbb_nifti.find(source)] == [("1234567", "train")]


def test_one_subjects_folder_is_a_source(tmp_path, monkeypatch):
    subject(tmp_path / "1234567")
    monkeypatch.chdir(tmp_path / "1234567")
    assert [f.subject_id for f in ukbb_nifti.find(".")] == ["1234567"]


@pytest.mark.parametrize("source", ["nothing", "."])
def test_no_subject_is_nothing_usable(tmp_path, source):
    save_nifti(tmp_path / "a" / "cine.nii.gz", pixels(SHAPE))
    with pytest.raises(NothingUsableError, match=r"no subject with sa\.nii\.gz"):
        ukbb_nifti.find(tmp_path / source)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("sa.nii.gz", None, "cannot be read as NIfTI"),
        ("label_sa_ED.nii.gz", heart(3), "image's grid: shape"),
        ("label_sa_ES.nii.gz", heart(1)[..., 0] * 4, "unknown label codes"),
        ("sa_ES.nii.gz", pixels(SHAPE)[..., ED], "ED and ES are one and the same frame"),
        ("sa_ES.nii.gz", pixels((20, 24, 6)), "not two frames of one cine: shape"),
    ],
)
def test_bad_file_is_one_error_that_names_it(tmp_path, name, data, message):
    subject(tmp_path / "1234567")
    path = tmp_path / "1234567" / name
    path.write_bytes(b"no image") if data is None else save_nifti(path, data)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert name in str(caught.value)
