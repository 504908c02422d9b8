"""The NIfTI reader: which files make a study, its geometry and times, what counts as drawn, each task."""

import nibabel as nib
import numpy as np
import pytest
from nifti_files import heart, pixels, save_nifti

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import nifti
from semiqc_jax.datasets.readers.drawn import drawn
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import check_study

SHAPE = (20, 24, 5, 4)


def read(path, codes="canonical"):
    return check_study(nifti.find(path, ReaderOptions(label_codes=codes))[0].read(), path)


def test_cine_geometry_and_time(tmp_path):
    xyzt = pixels(SHAPE)
    study = read(save_nifti(tmp_path / "a.nii.gz", xyzt, step=40.0))
    assert study.shape == (4, 5, 24, 20)
    assert study.image[2, 3, 7, 11] == xyzt[11, 7, 3, 2]
    assert study.spacing_mm == (8.0, 1.25, 1.5)
    assert study.slice_position_mm.tolist() == [0.0, 8.0, 16.0, 24.0, 32.0]
    np.testing.assert_array_equal(study.affine, np.diag([1.5, 1.25, 8.0, 1.0]))
    assert study.frame_time_s is None  # 4 frames of 40 ms are no cardiac cycle
    assert (study.label, study.ed_frame) == (None, None)


def test_single_volume_is_one_frame(tmp_path):
    study = read(save_nifti(tmp_path / "a.nii", pixels(SHAPE[:3])))
    assert study.shape == (1, 5, 24, 20)
    assert study.frame_time_s is None


def test_frame_times_of_a_whole_cycle(tmp_path):
    study = read(save_nifti(tmp_path / "a.nii.gz", pixels((10, 10, 2, 20)), step=37.5))
    np.testing.assert_allclose(study.frame_time_s, np.arange(20) * 0.0375)


@pytest.mark.parametrize("suffix", ["_gt.nii.gz", "_gt.nii", "_label.nii.gz"])
def test_label_beside_the_image(tmp_path, suffix):
    path = save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE))
    save_nifti(tmp_path / f"a{suffix}", heart(4))
    study = read(tmp_path)
    np.testing.assert_array_equal(study.label, heart(4).T)
    assert study.labelled.all()
    assert (study.ed_frame, study.es_frame) == (0, 3)
    assert [f.path for f in nifti.find(tmp_path)] == [path]


def test_named_label_codes(tmp_path):
    save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE))
    save_nifti(tmp_path / "a_gt.nii.gz", heart(4, lv=3, myo=2, rv=1))
    np.testing.assert_array_equal(read(tmp_path, "acdc").label, heart(4).T)


def test_label_stored_as_float_with_a_slope(tmp_path):
    save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE))
    image = nib.Nifti1Image(heart(4).astype(np.float32), np.diag([1.5, 1.25, 8.0, 1.0]))
    nib.save(image, tmp_path / "a_gt.nii.gz")
    np.testing.assert_array_equal(read(tmp_path).label, heart(4).T)


def test_drawn_follows_frames_classes_and_gaps():
    label = np.zeros((3, 6, 8, 8), np.uint8)
    label[0, [1, 2, 4]] = 2  # myocardium on slices 1, 2, 4: slice 3 was left out
    label[0, [2, 4], 2:4, 2:4] = 1
    label[1, 2, 2:4, 2:4] = 1  # cavity alone
    labelled = drawn(label, 3)
    assert labelled.shape == (3, 6, 3)
    assert labelled[0, :, 0].tolist() == [True, True, True, False, True, True]
    assert labelled[0, :, 1].tolist() == [True, True, True, False, True, True]
    assert labelled[1, :, 0].all()
    assert not labelled[1, :, 1].any()  # myocardium is not drawn at this phase
    assert not labelled[2].any()  # nothing is drawn on this frame
    assert not labelled[..., 2].any()  # the RV is never drawn


def test_ids_come_from_names_or_paths(tmp_path):
    for name in ("a/sa.nii.gz", "b/sa.nii.gz", "c/other one.nii", "c/other one_seg.nii.gz"):
        save_nifti(tmp_path / name, pixels(SHAPE))
    assert sorted(f.subject_id for f in nifti.find(tmp_path)) == ["a_sa", "b_sa", "other_one"]


def test_files_of_other_kinds_are_no_images(tmp_path):
    for name in ("a.nii.gz", "._a.nii.gz", ".partial_b.nii.gz", "a_seg.nii.gz", "a_gt.nii.gz"):
        save_nifti(tmp_path / name, pixels(SHAPE))
    for name in ("notes.nii.txt", "a.nii.gz.md5"):
        (tmp_path / name).write_text("text")
    assert [f.subject_id for f in nifti.find(tmp_path)] == ["a"]


def test_label_suffix_is_the_users(tmp_path):
    save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE))
    save_nifti(tmp_path / "a_pseudo.nii.gz", heart(4))
    (found,) = nifti.find(tmp_path, ReaderOptions(label_suffixes=("_pseudo",)))
    np.testing.assert_array_equal(found.read().label, heart(4).T)
    assert [path.name for path in found.files] == ["a.nii.gz", "a_pseudo.nii.gz"]


def test_sessions_of_one_patient_share_a_patient_id(tmp_path):
    for name in ("sub-01/ses-1/cine.nii.gz", "sub-01/ses-2/cine.nii.gz", "sub-02_cine.nii.gz", "other.nii.gz"):
        save_nifti(tmp_path / name, pixels(SHAPE))
    patients = {f.subject_id: f.patient_id for f in nifti.find(tmp_path)}
    assert patients == {
        "sub-01_ses-1_cine": "sub-01",
        "sub-01_ses-2_cine": "sub-01",
        "sub-02_cine": "sub-02",
        "other": None,
    }


def aorta_label(n_frames):
    """(x, y, t): the ascending aorta is smallest on frame 1 and largest on frame 4."""
    label = np.zeros((20, 24, n_frames), np.uint8)
    for t in range(n_frames):
        label[2 : 8 + (t - 1) % n_frames, 3:8, t] = 1
        label[2:6, 12:16, t] = 2
    return label


@pytest.mark.parametrize("axes", ["xyt", "xyzt"])
def test_aortic_plane_over_time(tmp_path, axes):
    image, label = pixels((20, 24, 5)), aorta_label(5)
    if axes == "xyzt":
        image, label = image[:, :, None], label[:, :, None]
    save_nifti(tmp_path / "a.nii.gz", image)
    save_nifti(tmp_path / "a_gt.nii.gz", label)
    study = check_study(nifti.find(tmp_path, ReaderOptions(AORTA))[0].read())
    assert study.shape == (5, 1, 24, 20)
    np.testing.assert_array_equal(study.label, label.reshape(20, 24, 1, 5).T)
    np.testing.assert_array_equal(study.image, image.reshape(20, 24, 1, 5).T)
    assert (study.ed_frame, study.es_frame) == (1, 0)
    assert study.labelled.shape == (5, 1, 2)
    assert study.labelled.all()


def test_time_and_slices_swapped_is_an_error(tmp_path):
    """Slices are noise of their own; the frames of each differ by little noise."""
    rng = np.random.default_rng(0)
    cine = rng.normal(100, 30, (20, 24, 6, 1)) + rng.normal(0, 3, (20, 24, 6, 10))
    assert read(save_nifti(tmp_path / "right.nii", cine)).shape == (10, 6, 24, 20)
    path = save_nifti(tmp_path / "swapped.nii", cine.swapaxes(2, 3))
    with pytest.raises(DataError, match=r"the 10 slices are more alike than the 6 frames.*\(swapped\).*\(x, y, z, t\)"):
        read(path)


@pytest.mark.parametrize("name", ["nothing", "."])
def test_no_image_is_nothing_usable(tmp_path, name):
    with pytest.raises(NothingUsableError) as caught:
        nifti.find(tmp_path / name)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "shape", "phases", "last_s"),
    [
        ("SCD0000101_sa", (20, 12, 256, 256), (18, 7), 0.7125),
        ("SCD0000201_sa", (20, 13, 256, 256), (19, 6), 0.6552),
        ("SCD0000501_sa", (20, 11, 256, 256), (18, 8), 0.646),
    ],
)
def test_real_sunnybrook(data_dir, name, shape, phases, last_s):
    source = data_dir / "sunnybrook"
    if not source.is_dir():
        pytest.skip("no Sunnybrook in SEMIQC_DATA_DIR")
    study = read(source / f"{name}.nii.gz")
    assert study.shape == shape
    assert (study.ed_frame, study.es_frame) == phases
    assert study.labelled.any(1)[sorted(phases)].tolist() == [[True, False, False], [True, True, False]]
    np.testing.assert_allclose(study.frame_time_s[-1], last_s, atol=1e-4)


def test_real_bivme(data_dir):
    source = data_dir / "bivme"
    if not source.is_dir():
        pytest.skip("no biv-me in SEMIQC_DATA_DIR")
    (found,) = nifti.find(source, ReaderOptions(label_suffixes=("_pseudo",)))
    study = check_study(found.read())
    assert study.shape == (25, 5, 208, 256)
    assert study.labelled.any(1).all()
    assert (study.ed_frame, study.es_frame) == (24, 9)
    np.testing.assert_allclose(study.frame_time_s[1], 0.03324, atol=1e-5)
