"""Malformed DICOM series: what a tag, a file or a set of images may have wrong."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import dicom_files as made
from malformed import Spoil, Variant, any_bytes_rows, cut, flipped
from pydicom import Dataset, config
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
)

N_FRAMES, N_SLICES = 2, 3
STUDY = b"1.2.1000000000"
UNREADABLE = "cannot be read as DICOM"
MISSING = "frames are missing|no stack of 3 or more"
ONE_PLACE = "stack of 3 or more|place and time|several series show the same slice"
ORDER = "frames then keep the order of InstanceNumber"
ABSENT = "what cannot be told is left unknown; the images are sound"
NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
NEEDED_FOR_PIXELS = ("PhotometricInterpretation", "SamplesPerPixel", "PixelRepresentation")
COMPRESSED = (("jpeg", JPEGLosslessSV1), ("jpeg2000", JPEG2000Lossless), ("rle", RLELossless))
Images = list[Dataset]
Write = Callable[[Path, list[bytes]], object]  # puts files where a data set has them, in place of those there


@cache
def good_files() -> tuple[bytes, ...]:
    """The files of a good cine, of a study that `of_subject` names."""
    return tuple(map(encoded, _series()))


def of_subject(files: Iterable[bytes], subject: str) -> list[bytes]:
    """The files as of a study of the subject's own."""
    return [content.replace(STUDY, b"1.2.1%09d" % (zlib.crc32(subject.encode()) % 10**9)) for content in files]


def _series() -> Images:
    """A cine, slice by slice, each a series that is called as UK Biobank's are."""
    return [
        made.image(
            t,
            z,
            StudyInstanceUID=STUDY.decode(),
            SeriesInstanceUID=f"1.3.{z + 1}",
            SeriesNumber=10 + z,
            SeriesDescription=f"CINE_segmented_SAX_b{z + 1}",
            InstanceNumber=1 + t + N_FRAMES * z,
        )
        for z in range(N_SLICES)
        for t in range(N_FRAMES)
    ]


def encoded(data: Dataset) -> bytes:
    """A file's bytes, whatever its values are."""
    stream, settings = io.BytesIO(), config.settings
    before = settings.writing_validation_mode
    settings.writing_validation_mode = config.IGNORE
    try:
        data.save_as(stream, enforce_file_format=True)
    finally:
        settings.writing_validation_mode = before
    return stream.getvalue()


def every(**tags: Any) -> Callable[[Images], Images]:
    """All images have other tags; None removes one."""
    return lambda images: [_with(data, tags) for data in images]


def one(**tags: Any) -> Callable[[Images], Images]:
    """The image in the middle has other tags."""
    middle = N_FRAMES * N_SLICES // 2
    return lambda images: [_with(data, tags) if n == middle else data for n, data in enumerate(images)]


def added(**tags: Any) -> Callable[[Images], Images]:
    """All images are there again, with other tags."""
    return lambda images: [*images, *(_with(data, tags) for data in _series())]


def by_image(keyword: str, value: Callable[[int], Any]) -> Callable[[Images], Images]:
    """A tag has another value on each image."""
    return lambda images: [_with(data, {keyword: value(n)}) for n, data in enumerate(images)]


def syntax(uid: str) -> Callable[[Images], Images]:
    """All files state a compressed transfer syntax, and hold nothing that it could be."""

    def change(images: Images) -> Images:
        for data in images:
            data.file_meta.TransferSyntaxUID = uid
            data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
            data.PixelData = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
        return images

    return change


def _with(data: Dataset, tags: dict[str, Any]) -> Dataset:
    for keyword, value in tags.items():
        if value is not None:
            setattr(data, keyword, value)
        elif keyword in data:
            delattr(data, keyword)
    return data


def _place(n: int, far: float = 1.0) -> list[float]:
    return [float(v) for v in made.ORIGIN + far * (n // N_FRAMES) * made.DZ * made.NORMAL]


# name, change of the images, what is said, why it is harmless
SERIES: tuple[tuple[Any, ...], ...] = (
    *((f"no_{keyword}", every(**{keyword: None}), f"{keyword} is missing") for keyword in NEEDED),
    *((f"no_{keyword}", every(**{keyword: None}), UNREADABLE) for keyword in NEEDED_FOR_PIXELS),
    ("no_PixelData", every(PixelData=None), "holds no pixels"),
    ("no_PixelData_of_one", one(PixelData=None), "holds no pixels"),
    ("no_series", every(SeriesInstanceUID=None), "", ABSENT),
    ("no_study", every(StudyInstanceUID=None), "", ABSENT),
    ("no_patient", every(PatientSex="", PatientSize="0", PatientWeight="-1"), "", ABSENT),
    ("patient_is_a_path", every(PatientID="../../evil", PatientName="../evil"), "", "neither is read"),
    ("no_position_of_one", one(ImagePositionPatient=None), "ImagePositionPatient is missing"),
    # place
    ("position_of_two_numbers", every(ImagePositionPatient=[1.0, 2.0]), "ImagePositionPatient is"),
    ("position_nan", every(ImagePositionPatient=[float("nan")] * 3), "ImagePositionPatient is"),
    ("position_near_overflow", every(ImagePositionPatient=[1e300, 1e300, -1e300]), "ImagePositionPatient is"),
    ("position_the_same_everywhere", every(ImagePositionPatient=[0.0, 0.0, 0.0]), ONE_PLACE),
    ("slices_far_apart", by_image("ImagePositionPatient", lambda n: _place(n, 50)), "implausible"),
    ("slices_nearly_at_one_place", by_image("ImagePositionPatient", lambda n: _place(n, 0.001)), ONE_PLACE),
    ("orientation_of_five_numbers", every(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0]), "Patient is"),
    ("orientation_zero", every(ImageOrientationPatient=[0.0] * 6), "perpendicular"),
    ("orientation_skewed", every(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.6, 0.8, 0.0]), "perpendicular"),
    ("orientation_too_long", every(ImageOrientationPatient=[2.0, 0.0, 0.0, 0.0, 2.0, 0.0]), "perpendicular"),
    ("orientation_nan", every(ImageOrientationPatient=[float("nan")] * 6), "ImageOrientationPatient is"),
    ("orientation_near_overflow", every(ImageOrientationPatient=[1e300] * 6), "ImageOrientationPatient is"),
    ("spacing_zero", every(PixelSpacing=[0.0, 0.0]), "voxel spacing"),
    ("spacing_negative", every(PixelSpacing=[-1.5, 1.25]), "voxel spacing"),
    ("spacing_nan", every(PixelSpacing=[float("nan"), 1.25]), "PixelSpacing is"),
    ("spacing_of_one_number", every(PixelSpacing=[1.5]), "PixelSpacing is"),
    ("spacing_of_three_numbers", every(PixelSpacing=[1.5, 1.5, 1.5]), "PixelSpacing is"),
    ("spacing_in_metres", every(PixelSpacing=[0.0015, 0.00125]), "implausible"),
    ("spacing_near_overflow", every(PixelSpacing=[1e300, 1e300]), "PixelSpacing is"),
    # time
    ("times_reversed", by_image("TriggerTime", lambda n: str(900 - 50 * (n % 2))), "", "frames are sorted by time"),
    ("times_equal", every(TriggerTime="20"), "", ORDER),
    ("times_missing", every(TriggerTime=None), "", ORDER),
    ("times_missing_on_one", one(TriggerTime=None), "", ORDER),
    ("times_negative", by_image("TriggerTime", lambda n: str(-900 + 50 * (n % 2))), "", "they increase"),
    ("times_equal_on_two", one(TriggerTime="70"), "", ORDER),
    ("times_near_overflow", by_image("TriggerTime", lambda n: str(1e300 * (n % 2))), "", "they increase"),
    ("times_of_two_numbers", every(TriggerTime=["1", "2"]), "", ORDER),
    ("no_time_at_all", every(TriggerTime=None, InstanceNumber=None), "place and time"),
    # which images
    ("frame_missing", lambda images: images[:3] + images[4:], MISSING),
    ("slice_missing", lambda images: images[:2] + images[4:], "stack of 3 or more"),
    ("one_image", lambda images: images[:1], "stack of 3 or more"),
    ("all_there_twice", added(), "", "equal images of one place and time are one"),
    ("all_there_twice_with_other_pixels", added(PixelData=bytes(240)), "other pixels"),
    ("two_series", added(SeriesInstanceUID="1.9", SeriesDescription="CINE_segmented_SAX_b9"), "show the same slice"),
    ("two_patients", added(StudyInstanceUID="1.8"), "2 series could be"),
    ("one_of_another_matrix", one(Rows=10, Columns=12), MISSING),
    ("one_of_another_spacing", one(PixelSpacing=[2.0, 2.0]), MISSING),
    ("one_turned", one(ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]), MISSING),
    ("one_in_colour", one(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0), MISSING),
    ("one_of_another_kind", one(SOPClassUID=SecondaryCaptureImageStorage), MISSING),
    ("computed_tomography", every(SOPClassUID=CTImageStorage), "no MR image|no series"),
    # pixels
    *((f"rows_{n}", every(Rows=n), f"Rows is {n}") for n in (0, 2049, 65535)),
    ("columns_65535", every(Columns=65535, Rows=2000), "Columns is 65535"),
    ("rows_beyond_the_pixels", every(Rows=2000), UNREADABLE),
    ("rows_fewer_than_pixels", every(Rows=2), "slices of 2 x 10 pixels"),
    *((f"bits_allocated_{n}", every(BitsAllocated=n), UNREADABLE) for n in (0, 7, 12, 64, 65535)),
    ("bits_stored_too_many", every(BitsStored=33), UNREADABLE),
    ("samples_3", every(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "in colour"),
    ("samples_0", every(SamplesPerPixel=0), "in colour|" + UNREADABLE),
    ("palette", every(PhotometricInterpretation="PALETTE COLOR"), "in colour"),
    ("pixels_short", every(PixelData=bytes(238)), UNREADABLE),
    ("pixels_empty", every(PixelData=b""), UNREADABLE + "|no pixels"),
    ("pixels_of_one_short", one(PixelData=bytes(100)), UNREADABLE),
    ("pixels_zero", every(PixelData=bytes(240)), "constant"),
    ("inverted_without_bits", every(PhotometricInterpretation="MONOCHROME1", BitsStored=None), UNREADABLE),
    ("frames_2", every(NumberOfFrames=2), "2 frames in one file"),
    ("frames_millions", every(NumberOfFrames=2147483647), "frames in one file"),
    ("frames_negative", every(NumberOfFrames=-3), "."),
    ("enhanced_without_frames", every(SOPClassUID=EnhancedMRImageStorage, NumberOfFrames=4), "4 frames in one file"),
    ("slope_zero", every(RescaleSlope="0", RescaleIntercept="1"), "constant"),
    ("slope_overflows", every(RescaleSlope="1e300"), "NaN or infinite"),
    ("slope_of_two_numbers", every(RescaleSlope=["1", "2"]), "", "a slope that is no number is none"),
    # transfer syntax
    *((f"syntax_{name}", syntax(uid), "compressed") for name, uid in COMPRESSED),
)

# name, bytes to replace in all files, by which, what is said, why it is harmless
BYTES: tuple[tuple[Any, ...], ...] = (
    ("syntax_unknown", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0", UNREADABLE),
    ("syntax_deflated", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", "deflated"),
    ("syntax_big_endian", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0", "."),
    ("syntax_implicit", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0", "", "what follows shows otherwise"),
    ("no_bits_allocated", b"(\0\0\1US", b"(\0\xff\0US", UNREADABLE),
    ("syntax_empty", b"1.2.840.10008.1.2.1\0", bytes(20), "."),
    ("no_preamble", b"DICM", b"MCID", UNREADABLE),
    ("spacing_letters", b"1.5\\1.25", b"wide\\1.2", UNREADABLE),
    ("position_letters", b"DS", b"ZZ", "."),
    ("representation_unknown", b"US\2\0", b"??\2\0", "."),
    ("length_odd", b"US\2\0", b"US\1\0", "."),
    ("length_beyond_the_file", b"US\2\0", b"US\xff\xff", "."),
    ("age_letters", b"045Y", b"XXXY", "", ABSENT),
)


@cache
def _changed(n: int) -> tuple[bytes, ...]:
    return tuple(map(encoded, SERIES[n][1](_series())))


def series_variants(write: Write) -> Iterator[Variant]:
    """What may be wrong with the series of one subject; `write` knows the layout."""

    def variant(name: str, files: Callable[[], Iterable[bytes]], says: str, harmless: str = "") -> Variant:
        return Variant(name, lambda at: write(at, of_subject(files(), at.name)), says, harmless)

    for n, (name, _, says, *harmless) in enumerate(SERIES):
        yield variant(name, partial(_changed, n), says, *harmless)
    for name, old, new, says, *harmless in BYTES:
        yield variant(name, lambda old=old, new=new: [c.replace(old, new) for c in good_files()], says, *harmless)
    broken = UNREADABLE + "|Rows is missing"
    for name, spoil in (*any_bytes_rows(), ("cut_in_the_pixels", cut(-100)), ("flipped", flipped(3, 0.0, 0.5, 99))):
        yield variant(f"one_file_{name}", lambda spoil=spoil: _one(spoil), broken)
    appended = [content + b"garbage" for content in good_files()]
    yield variant("garbage_behind_the_pixels", lambda: appended, "", "the pixels are whole")


def _one(spoil: Spoil) -> list[bytes]:
    first, *others = good_files()
    return [spoil(first), *others]
