"""One NIfTI file: its time step, labels on its grid, what is written, and every kind of bad file."""

import nibabel as nib
import numpy as np
import pytest
from nifti_files import AFFINE, heart, pixels, save_nifti

from semiqc_jax.datasets.readers import nifti
from semiqc_jax.datasets.readers.nifti_file import frame_step_s, read_image, write_label
from semiqc_jax.errors import DataError
from semiqc_jax.study import check_study

SHAPE = (20, 24, 5, 4)


def read(path):
    return check_study(nifti.find(path)[0].read(), path)


@pytest.mark.parametrize(
    ("step", "unit", "n_frames", "expected"),
    [
        (37.5, "unknown", 20, 0.0375),
        (37.5, "msec", 20, 0.0375),
        (37.5, "sec", 20, 0.0375),  # a wrong unit, common in exports
        (0.04, "sec", 25, 0.04),
        (0.04, "unknown", 25, 0.04),
        (40000.0, "usec", 25, 0.04),
        (1.0, "sec", 30, None),  # a header's default, no cycle of 30 s
        (0.0, "sec", 30, None),
        (float("nan"), "sec", 30, None),
        (40.0, "msec", 1, None),
    ],
)
def test_time_step(step, unit, n_frames, expected):
    assert frame_step_s(step, unit, n_frames) == pytest.approx(expected)


def nan_pixels(path):
    data = pixels(SHAPE).astype(np.float32)
    data[3, 3, 3, 3] = np.nan
    save_nifti(path, data)


def zooms(value):
    def make(path):
        save_nifti(path, pixels(SHAPE[:3]))
        content = bytearray(path.read_bytes())
        content[76 + 4 * 3 : 76 + 4 * 4] = np.float32(value).tobytes()  # pixdim[3]
        path.write_bytes(content)

    return make


def dimensions(*dim):
    def make(path):
        save_nifti(path, pixels(SHAPE[:3]))
        content = bytearray(path.read_bytes())
        content[40:56] = np.array([len(dim), *dim, *[1] * (7 - len(dim))], np.int16).tobytes()
        path.write_bytes(content)

    return make


def truncated(path):
    save_nifti(path, pixels(SHAPE))
    path.write_bytes(path.read_bytes()[:3000])


def colour(path):
    dtype = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(np.zeros(SHAPE[:3], dtype), np.eye(4)), path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nan_pixels, "image holds NaN or infinite pixels"),
        (zooms(0.0), r"voxel spacing \(0\.0, 1\.25, 1\.5\) mm"),
        (zooms(np.nan), r"voxel spacing \(nan, 1\.25, 1\.5\) mm"),
        (truncated, "cannot be read as NIfTI"),
        (lambda path: path.write_bytes(b"no image" * 100), "cannot be read as NIfTI"),
        (lambda path: path.write_bytes(b""), "cannot be read as NIfTI"),
        (dimensions(20, 24), "image has 2 dimensions"),
        (dimensions(20, 24, 5, 2, 3), "image has 5 dimensions"),
        (dimensions(30000, 30000, 30000), "over 768 MiB"),
        (dimensions(20, -4, 5), r"header states the shape|cannot be read"),
        (colour, "pixels are of type"),
        (lambda path: save_nifti(path, np.zeros(SHAPE, np.int16)), "image is constant"),
    ],
)
def test_bad_image_is_one_error_that_names_the_file(tmp_path, make, message):
    path = tmp_path / "bad.nii"
    make(path)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert "bad.nii" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("n_frames", "ndim"), [(1, 3), (25, 4)])
def test_written_label_lies_on_the_grid_of_its_image(tmp_path, n_frames, ndim):
    label, affine = heart(n_frames).T, np.diag([-1.5, 1.25, 8.0, 1.0])
    affine[0, 1] = 0.1
    path = tmp_path / "a_seg.nii.gz"
    write_label(path, label, affine, (8.0, 1.25, 1.5), 0.04)
    volume = read_image(path)
    np.testing.assert_array_equal(volume.data, label)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)
    assert nib.load(path).ndim == ndim
    assert volume.frame_step_s == (None if n_frames == 1 else pytest.approx(0.04))
    assert [p.name for p in tmp_path.iterdir()] == ["a_seg.nii.gz"]


def test_written_label_keeps_the_spacing_of_a_source_whose_affine_has_unit_scale(tmp_path):
    write_label(tmp_path / "a_seg.nii.gz", heart(1).T, np.eye(4), (8.0, 1.25, 1.5))
    assert read_image(tmp_path / "a_seg.nii.gz").spacing_mm == pytest.approx((8.0, 1.25, 1.5))


def test_truncated_gzip(tmp_path):
    path = save_nifti(tmp_path / "bad.nii.gz", pixels(SHAPE))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="cannot be read as NIfTI"):
        read_image(path)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (heart(3), r"image's grid: shape \(20, 24, 5, 3\) against \(20, 24, 5, 4\)"),
        (heart(4) * 4, r"unknown label codes \[4, 8, 12\]"),
        (heart(4) * np.float32(0.5), r"unknown label codes \[0\.5, 1\.5\]"),
        (np.full(SHAPE, np.nan, np.float32), r"unknown label codes \[nan\]"),
    ],
)
def test_bad_label_is_one_error_that_names_the_file(tmp_path, label, message):
    save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE))
    save_nifti(tmp_path / "a_gt.nii.gz", label)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert "a_gt.nii.gz" in str(caught.value)


def moved(x=0.0, y=0.0, z=0.0, turn=0.0):
    """The affine of a grid that is moved by millimetres and turned about z by degrees."""
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    affine = np.array([[cos, -sin, 0, x], [sin, cos, 0, y], [0, 0, 1, z], [0, 0, 0, 1.0]])
    return affine @ AFFINE


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (AFFINE @ np.diag([-1.0, 1.0, 1.0, 1.0]), "its axes x point another way"),
        (AFFINE[[1, 0, 2, 3]] @ np.diag([1.0, 1.2, 1.0, 1.0]), "voxels of|its axes x, y point"),
        (moved(turn=10.0), "its axes x, y point another way"),
        (AFFINE @ np.diag([1.1, 1.0, 1.0, 1.0]), r"voxels of \(1\.65, 1\.25, 8\) against \(1\.5, 1\.25, 8\) mm"),
        (np.eye(4), r"voxels of \(1, 1, 1\)"),
        (moved(z=16.0), r"it is moved by \(0, 0, 16\) mm"),
        (moved(x=-3.0), r"it is moved by \(-3, 0, 0\) mm"),
    ],
)
def test_label_on_another_grid_is_refused(tmp_path, affine, message):
    save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE))
    save_nifti(tmp_path / "a_gt.nii.gz", heart(4), affine)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert "a_gt.nii.gz): use the label drawn on a.nii.gz" in str(caught.value)


@pytest.mark.parametrize(
    ("image_affine", "label_affine"),
    [
        (AFFINE, moved(x=0.75, y=0.6, z=4.0, turn=1.0)),  # rounding, and the corner instead of the centre
        (AFFINE, None),  # the label's header states no position
        (None, AFFINE),
        (None, None),
    ],
)
def test_label_on_nearly_the_same_grid_is_read(tmp_path, image_affine, label_affine):
    save_nifti(tmp_path / "a.nii.gz", pixels(SHAPE), image_affine)
    save_nifti(tmp_path / "a_gt.nii.gz", heart(4), label_affine)
    np.testing.assert_array_equal(read(tmp_path).label, heart(4).T)


def test_affine_of_unit_scale_is_no_spacing(tmp_path):
    """As in ACDC's archive: an sform that states the directions, and zooms that state the spacing."""
    save_nifti(tmp_path / "a_gt.nii.gz", heart(4))
    image = nib.Nifti1Image(pixels(SHAPE), None)
    image.header["pixdim"][1:4] = np.diag(AFFINE)[:3]
    image.header.set_sform(np.eye(4), code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").affine, np.eye(4))
    np.testing.assert_array_equal(read(tmp_path).label, heart(4).T)


def test_affine_that_contradicts_the_zooms_gives_a_warning(tmp_path):
    path = tmp_path / "a.nii"
    zooms(5.0)(path)
    study = read(path)
    assert study.spacing_mm == (5.0, 1.25, 1.5)
    assert len(study.warnings) == 1
