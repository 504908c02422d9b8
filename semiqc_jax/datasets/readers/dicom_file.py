"""One DICOM file -> the images that it holds, headers first and pixels later, or an error that names file and mend.

Of the patient only sex, age, height, weight and heart rate are read: no name, no birth date, no number.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from semiqc_jax.errors import DataError

MAX_FILE_BYTES = 2**28  # an image takes 0.1 MB, an enhanced cine less than 0.1 GB
MAX_SIDE = 2048  # pixels
MAX_PIXELS = 2**26  # of all images of a file: 256 MiB as float32
MAX_MM = 1e5  # no patient lies so far from the scanner's centre
UPRIGHT = 0.01  # how far the axes of an image may be from two unit vectors at a right angle
TIME_KEYWORDS = (
    *("TriggerTime", "NominalCardiacTriggerDelayTime"),  # both in ms
    *("TemporalPositionIdentifier", "TemporalPositionIndex", "InstanceNumber", "AcquisitionTime"),
)
# Where an enhanced file keeps, per frame or shared by all, what a classic file keeps at its top.
GROUPS = (
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence"),
    *("CardiacSynchronizationSequence", "PixelValueTransformationSequence"),
)


@dataclass(frozen=True)
class Image:
    """The header of one 2-D image; lengths in mm, in DICOM's LPS patient coordinates."""

    name: str  # of its file
    frame: int  # in its file
    study: str  # UIDs
    series: str
    series_number: int
    description: str  # of the series
    instance: int  # InstanceNumber, in an enhanced file the frame from 1
    position: NDArray[np.float64]  # [3], centre of the first pixel
    axes: NDArray[np.float64]  # [2, 3], unit vectors along a row (x) and down a column (y)
    spacing: tuple[float, float]  # (dy, dx)
    shape: tuple[int, int]  # (Y, X)
    grey: bool  # not in colour
    times: tuple[float | None, ...]  # by TIME_KEYWORDS, each in its own unit
    spacing_between: float | None
    thickness: float | None
    sex: str | None
    age_years: float | None
    height_cm: float | None
    weight_kg: float | None
    heart_rate_bpm: float | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """The unit normal of the slice [3]."""
        return np.cross(*self.axes)


def is_dicom(name: str, start: bytes) -> bool:
    """Whether a file is to be read, from its name and its first 132 bytes.

    A file that is called .dcm or .ima and is none counts, so that it is reported.
    """
    base = name.rsplit("/", 1)[-1].lower()
    if base.startswith(("dicomdir", ".")):
        return False
    return start[128:132] == b"DICM" or base.endswith((".dcm", ".ima"))


def read_headers(content: bytes, name: str) -> list[Image]:
    """The images of one file; none where it holds no MR image (a report, a screen capture).

    Raises:
        DataError: not readable as DICOM, or a tag that an image needs is missing or senseless.
    """
    with _readable(name):
        data = _dataset(content, name, stop_before_pixels=True)
        kind = UID(str(data.get("SOPClassUID", ""))).name
        if kind and "MR Image Storage" not in kind:
            return []
        n_frames = int(data.get("NumberOfFrames") or 1)
        if n_frames > 1 and len(data.get("PerFrameFunctionalGroupsSequence") or ()) != n_frames:
            what = f"{n_frames} frames in one file that does not say where and when each was taken"
            raise DataError(what, name, "export as enhanced MR, or one image a file")
        _check_size(data, n_frames, name)
        return [_image(_Attributes(data, frame, name), name, frame) for frame in range(n_frames)]


def read_pixels(content: bytes, images: Sequence[Image]) -> list[NDArray[np.float32]]:
    """The pixels [Y, X] of some images of one file, rescaled, larger always brighter.

    Raises:
        DataError: truncated, compressed in a way that no installed decoder reads, or not what the header states.
    """
    name = images[0].name
    with _readable(name):
        data = _dataset(content, name)
        if "PixelData" not in data:
            raise DataError("the file holds no pixels", name, "export the series again with its pixels")
        stored = _decoded(data, name)
        if stored.shape[1:] != images[0].shape or len(stored) <= max(image.frame for image in images):
            raise DataError(f"pixels of shape {stored.shape} against its header", name, "export the series again")
        return [_rescaled(stored[image.frame], _Attributes(data, image.frame, name)) for image in images]


class _Attributes:
    """What a file says of one of its frames: by frame, else for all frames, else at the top of the file."""

    def __init__(self, data: Dataset, frame: int, name: str):
        per_frame, shared = data.get("PerFrameFunctionalGroupsSequence"), data.get("SharedFunctionalGroupsSequence")
        groups = [*([per_frame[frame]] if per_frame else []), *(shared or [])[:1]]
        items = (group.get(sequence) for group in groups for sequence in GROUPS)
        self.places = [*(item[0] for item in items if item), data]
        self.name = name

    def get(self, keyword: str) -> Any:
        """The value, None where it is absent or empty."""
        values = (place.get(keyword) for place in self.places)
        return next((value for value in values if value is not None and value != ""), None)

    def number(self, keyword: str) -> float | None:
        """One finite number; None where it is absent or something else."""
        try:
            value = float(self.get(keyword))
        except (TypeError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def positive(self, keyword: str) -> float | None:
        """One number above 0; None where it is absent or something else."""
        value = self.number(keyword)
        return value if value is not None and value > 0 else None

    def vector(self, keyword: str, length: int) -> NDArray[np.float64]:
        """`length` numbers, none of an absurd size.

        Raises:
            DataError: absent or something else.
        """
        value = self.get(keyword)
        if value is None:
            raise DataError(f"{keyword} is missing", self.name, "export the series with its geometry")
        vector = np.asarray(value, np.float64).reshape(-1)
        if vector.shape != (length,) or not (np.abs(vector) < MAX_MM).all():
            raise DataError(f"{keyword} is {value}", self.name, "export the series again")
        return vector


def _image(tags: _Attributes, name: str, frame: int) -> Image:
    axes = tags.vector("ImageOrientationPatient", 6).reshape(2, 3)
    if np.abs(axes @ axes.T - np.eye(2)).max() > UPRIGHT:
        raise DataError("ImageOrientationPatient is no pair of perpendicular unit vectors", name, "export again")
    dy, dx = tags.vector("PixelSpacing", 2).tolist()
    sex = str(tags.get("PatientSex") or "").strip().upper()
    height_m, interval_ms = tags.positive("PatientSize"), tags.positive("NominalInterval")
    in_file = tags.get("PerFrameFunctionalGroupsSequence") is not None
    instance = frame + 1 if in_file else int(tags.number("InstanceNumber") or 0)
    times = [tags.number(keyword) for keyword in TIME_KEYWORDS[:-2]]
    colours = str(tags.get("PhotometricInterpretation") or "MONOCHROME2")
    return Image(
        name=name,
        frame=frame,
        study=str(tags.get("StudyInstanceUID") or ""),
        series=str(tags.get("SeriesInstanceUID") or ""),
        series_number=int(tags.number("SeriesNumber") or 0),
        description=str(tags.get("SeriesDescription") or "").strip(),
        instance=instance,
        position=tags.vector("ImagePositionPatient", 3),
        axes=axes / np.linalg.norm(axes, axis=1, keepdims=True),
        spacing=(dy, dx),
        shape=(int(tags.get("Rows")), int(tags.get("Columns"))),
        grey=tags.number("SamplesPerPixel") in (None, 1) and colours.startswith("MONOCHROME"),
        times=(*times, float(instance) if instance else None, _seconds(tags.get("AcquisitionTime"))),
        spacing_between=tags.positive("SpacingBetweenSlices"),
        thickness=tags.positive("SliceThickness"),
        sex=sex if sex in ("M", "F") else None,
        age_years=_years(tags.get("PatientAge")),
        height_cm=None if height_m is None else height_m * 100,
        weight_kg=tags.positive("PatientWeight"),
        heart_rate_bpm=tags.positive("HeartRate") or (60000 / interval_ms if interval_ms else None),
    )


def _check_size(data: Dataset, n_frames: int, name: str) -> None:
    for keyword in ("Rows", "Columns"):
        value = data.get(keyword)
        if not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
            what = f"{keyword} is {'missing' if value is None else value}"
            raise DataError(what, name, f"export the image again (1 to {MAX_SIDE} pixels)")
    if data.Rows * data.Columns * n_frames > MAX_PIXELS:
        what = f"{n_frames} frames of {data.Rows} x {data.Columns} pixels"
        raise DataError(what, name, "export one slice or one image a file")


def _decoded(data: Dataset, name: str) -> NDArray[Any]:
    """The stored values [frames, Y, X]."""
    syntax = UID(data.file_meta.TransferSyntaxUID)
    try:
        values = np.asarray(data.pixel_array)
    except Exception as error:
        if not syntax.is_compressed:
            raise
        what = f"pixels are compressed ({syntax.name}) and cannot be decoded here: {error}"
        raise DataError(what[:300], name, "export uncompressed, or convert with gdcmconv --raw") from error
    return values.reshape(-1, *values.shape[-2:])


def _rescaled(stored: NDArray, tags: _Attributes) -> NDArray[np.float32]:
    slope, intercept = tags.number("RescaleSlope"), tags.number("RescaleIntercept")
    values = stored.astype(np.float32)
    if tags.get("PhotometricInterpretation") == "MONOCHROME1":
        top = -1 if tags.get("PixelRepresentation") else 2 ** int(tags.get("BitsStored")) - 1
        values = np.float32(top) - values
    scaled = values * np.float32(1 if slope is None else slope) + np.float32(intercept or 0)
    return scaled.astype(np.float32)


def _dataset(content: bytes, name: str, stop_before_pixels: bool = False) -> Dataset:
    """Read from memory, so that a length that a broken header states is never allocated."""
    if len(content) > MAX_FILE_BYTES:
        raise DataError(f"file of {len(content) >> 20} MiB", name, "export one image a file")
    if DeflatedExplicitVRLittleEndian.encode() in content:  # may unpack to any size
        raise DataError("the whole file is deflated", name, "export uncompressed, or convert with gdcmconv --raw")
    return dcmread(io.BytesIO(content), stop_before_pixels=stop_before_pixels)


def _years(age: Any) -> float | None:
    """Years of an age such as 045Y, 018M, 003W or 010D."""
    text = str(age or "").strip()
    unit = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}.get(text[-1:])
    return int(text[:-1]) * unit if unit and text[:-1].isdecimal() else None


def _seconds(time: Any) -> float | None:
    """Seconds since midnight of HHMMSS.FFFFFF."""
    text = str(time or "").strip()
    try:
        return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])
    except ValueError:
        return None


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Every way in which broken bytes make pydicom fail, as one named error; its remarks on values stay unsaid."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception as error:  # pydicom documents no closed set: ValueError, KeyError, struct.error, ...
        what = f"cannot be read as DICOM: {error or type(error).__name__}"
        raise DataError(what[:300], name, "copy or export the file again") from error
