"""Makes small DICOM files for the readers' tests: cines on an oblique grid of known geometry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

# An oblique plane: the unit vectors along a row (x) and down a column (y), and the normal, in LPS.
X, Y = np.array([0.8, 0.6, 0.0]), np.array([0.36, -0.48, -0.8])
NORMAL = np.cross(X, Y)
ORIGIN = np.array([-120.5, 33.25, 210.125])
ROWS, COLUMNS, N_FRAMES, N_SLICES, DZ = 12, 10, 4, 5, 9.5
SPACING = (1.5, 1.25)  # (dy, dx)
STUDY, SERIES = generate_uid(entropy_srcs=["study"]), generate_uid(entropy_srcs=["series"])


def pixels(t: int, z: int) -> NDArray[np.uint16]:
    """Stored values [Y, X] that differ for each frame and slice."""
    return (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + 200 * t + 500 * z).astype(np.uint16)


def image(t: int, z: int, **tags: Any) -> Dataset:
    """One classic MR image; `tags` replace or, where None, remove attributes."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values = pixels(t, z)
    attributes: dict[str, Any] = {
        "SOPClassUID": MRImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "SeriesNumber": 7,
        "SeriesDescription": "cine sax",
        "PatientName": "Doe^Jane",
        "PatientID": "secret",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "PatientAge": "045Y",
        "PatientSize": "1.7",
        "PatientWeight": "65",
        "NominalInterval": "800",
        "InstanceNumber": 1 + t + N_FRAMES * z,
        "TriggerTime": str(20 + 50 * t),
        "ImagePositionPatient": [float(v) for v in ORIGIN + z * DZ * NORMAL],
        "ImageOrientationPatient": [float(v) for v in (*X, *Y)],
        "PixelSpacing": list(SPACING),
        "SliceThickness": "6",
        "Rows": ROWS,
        "Columns": COLUMNS,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": values.tobytes(),
        **tags,
    }
    for keyword, value in attributes.items():
        if value is not None:
            setattr(data, keyword, value)
    return data


def cine(change: Callable[[int, int], dict[str, Any] | None] = lambda t, z: {}) -> list[Dataset]:
    """All images of a cine; `change(t, z)` gives the tags to replace, or None to leave the image out."""
    changes = {(t, z): change(t, z) for z in range(N_SLICES) for t in range(N_FRAMES)}
    return [image(t, z, **tags) for (t, z), tags in changes.items() if tags is not None]


def save(folder: Path, images: list[Dataset], seed: int = 0) -> Path:
    """Write the images under names that say nothing, in a shuffled order, some without a suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, i in enumerate(np.random.default_rng(seed).permutation(len(images))):
        write(images[i], folder / (f"f{n:03d}" if n % 2 else f"f{n:03d}.dcm"))
    return folder


def write(data: Dataset, path: Path) -> Path:
    """Write one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path
