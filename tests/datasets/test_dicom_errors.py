"""What is wrong with DICOM files is said with the file and the mend; nothing crashes."""

from __future__ import annotations

from pathlib import Path

import dicom_files as made
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import ReaderOptions, dicom
from semiqc_jax.datasets.readers.dicom_file import read_headers, read_pixels
from semiqc_jax.errors import DataError
from semiqc_jax.study import check_study


def fails(folder: Path, *words: str) -> DataError:
    (found,) = dicom.find(folder)
    with pytest.raises(DataError) as caught:
        check_study(found.read(), found.path)
    for word in words:
        assert word in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ImagePositionPatient": None}, "ImagePositionPatient is missing"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient is missing"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no pair of perpendicular unit vectors"),
        ({"PixelSpacing": None}, "PixelSpacing is missing"),
        ({"PixelSpacing": [1.5]}, "PixelSpacing is"),
        ({"PixelSpacing": [-1.5, 1.25]}, "voxel spacing"),
        ({"Rows": None}, "Rows is missing"),
        ({"Rows": 60000, "Columns": 60000}, "Rows is 60000"),
        ({"Rows": 2000}, "cannot be read as DICOM"),
        ({"PixelData": made.pixels(0, 0).tobytes()[:-20]}, "cannot be read as DICOM"),
        ({"PixelData": None}, "holds no pixels"),
        ({"NumberOfFrames": 3}, "3 frames in one file"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "in colour"),
        ({"RescaleSlope": "0"}, "image is constant"),
    ],
)
def test_a_wrong_header(tmp_path: Path, tags: dict, words: str) -> None:
    folder = made.save(tmp_path / "case", made.cine(lambda t, z: tags))
    assert fails(folder, words, str(folder)).mend


def test_pixels_without_a_decoder(tmp_path: Path) -> None:
    images = made.cine()
    for data in images:
        data.file_meta.TransferSyntaxUID = JPEG2000Lossless
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
        data.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd\xfe\xff\xdd\xe0\0\0\0\0"
    fails(made.save(tmp_path / "case", images), "compressed (JPEG 2000", "export uncompressed")


def test_a_deflated_file_is_not_unpacked(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine())
    content = (folder / "f000.dcm").read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", 1)
    (folder / "f000.dcm").write_bytes(content)
    fails(folder, "deflated", "f000.dcm")


def test_files_that_are_none(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine())
    (folder / "x.dcm").write_bytes(b"")
    fails(folder, "cannot be read as DICOM", "x.dcm")
    (folder / "x.dcm").unlink()
    (folder / "gone.dcm").symlink_to(folder / "nowhere")  # a link to nothing is no file
    assert dicom.find(folder)[0].read().shape == (4, 5, 12, 10)


def test_a_frame_missing_at_one_place(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine(lambda t, z: None if (t, z) == (2, 1) else {}))
    fails(folder, "slice 2 at 9.5 mm (series 7) has 3, other slices have 4", str(folder))


def test_two_images_of_one_place_and_time(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine())
    made.write(made.image(1, 2, InstanceNumber=77, PixelData=bytes(240)), folder / "again.dcm")
    fails(folder, "images 10 and 77 have one place and time but other pixels", "again.dcm")


def test_two_stacks_that_would_do_are_not_chosen_between(tmp_path: Path) -> None:
    tags = {"SeriesInstanceUID": "1.3", "SeriesNumber": 9, "SeriesDescription": "tagging"}
    folder = made.save(tmp_path / "case", made.cine())
    made.save(folder / "b", made.cine(lambda t, z: tags))
    fails(folder, "several series show the same slice: 7 'cine sax'; 9 'tagging'", "leave one stack")
    made.save(folder / "b", made.cine(lambda t, z: {**tags, "PixelSpacing": [1, 1]}))
    fails(folder, "2 series could be the stack", "series 7 'cine sax': 5 slices of 4 images; series 9 'tagging'")


def test_no_stack_lists_the_series(tmp_path: Path) -> None:
    folder = made.save(tmp_path / "case", made.cine(lambda t, z: {} if z < 2 else None))
    fails(folder, "no stack of 3 or more parallel slices", "series 7 'cine sax': 2 slices of 4 images")
    with pytest.raises(DataError, match="no single plane among series 7"):
        dicom.find(folder, ReaderOptions(task=AORTA))[0].read()


def test_a_single_slice_needs_a_thickness(tmp_path: Path) -> None:
    def plane(**tags: object) -> Path:
        return made.save(tmp_path / "case", [made.image(t, 0, **tags) for t in range(made.N_FRAMES)])

    def read() -> tuple[float, tuple[str, ...]]:
        study = dicom.find(tmp_path, ReaderOptions(task=AORTA))[0].read()
        return study.spacing_mm[0], study.warnings

    plane(SpacingBetweenSlices="8")
    assert read() == (8, ())
    plane(SliceThickness=None)
    with pytest.raises(DataError, match="SliceThickness are missing"):
        read()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made.write(made.image(1, 1), tmp_path_factory.mktemp("good") / "a.dcm").read_bytes()


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6), st.floats(0.05, 1))
def test_broken_bytes_are_read_or_named(good: bytes, flips: list[tuple[float, int]], kept: float) -> None:
    content = bytearray(good[: int(kept * len(good))])
    for place, value in flips:
        content[int(place * (len(content) - 1))] = value
    where, arrays = "broken.dcm", []
    try:
        images = read_headers(bytes(content), "broken.dcm")
        arrays = read_pixels(bytes(content), images) if images else []
    except DataError as error:
        where = error.where
    assert where == "broken.dcm"
    assert all(array.dtype == np.float32 and array.ndim == 2 for array in arrays)
