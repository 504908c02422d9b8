"""Reader of the Sunnybrook Cardiac Data as distributed: DICOM cines and contours in text files.

Radau et al., "Evaluation framework for algorithms segmenting short axis cardiac MRI", MIDAS Journal, 2009.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.readers.contours import fill, read_contour
from semiqc_jax.datasets.readers.dicom import contents_of, dicom_files, read_cine, study_of
from semiqc_jax.datasets.readers.dicom_cine import Cine
from semiqc_jax.datasets.readers.drawn import drawn_phases
from semiqc_jax.datasets.readers.folders import entries_below, named_folder
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions, short_axis_only
from semiqc_jax.datasets.readers.table import number, read_rows
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import Study

PATIENT = re.compile(r"SCD\d+|SC-(?:HF-NI|HF-I|HYP|N)-\d+")
CONTOUR = re.compile(r".*-(?P<image>\d+)-(?P<kind>[io])contour-manual\.txt")
IMAGE = re.compile(r".*IM-\d+-(?P<image>\d+)(\.dcm)?", re.IGNORECASE)
TABLE = "scd_patientdata.csv"
LV, MYOCARDIUM = 1, 2


@dataclass(frozen=True)
class Patient:
    """The files and the table's row of one patient."""

    subject_id: str
    folder: Path
    images: tuple[Path, ...]
    contours: tuple[Path, ...]
    row: Mapping[str, str]


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Patients at any depth below `source`: folders `SCD0000101` (or `SC-HF-I-1`) that hold DICOM files.

    Contours are the `IM-0001-NNNN-icontour-manual.txt` and `-ocontour-manual.txt` below the patient's folder, or below
    another folder of the patient's name or of the OriginalID that `scd_patientdata.csv` states (SC-HF-I-1 and
    SC-HF-I-01 are one name). They are left unread where `options.label_codes` is None.

    Raises:
        NothingUsableError: there is no patient.
        ConfigError: a task other than the short axis.
        DataError: the table cannot be read.
    """
    short_axis_only(options, "Sunnybrook")
    source = named_folder(source)
    rows = _table(source)
    folders = [path for path in (source, *entries_below(source)) if path.is_dir()]
    named = [folder for folder in folders if PATIENT.fullmatch(folder.name)]
    contours: dict[str, list[Path]] = {}
    for folder in named if options.label_codes is not None else []:
        contours.setdefault(_key(folder.name), []).extend(
            path for path in entries_below(folder) if CONTOUR.fullmatch(path.name)
        )
    found = []
    for folder in named:
        images, subject_id = tuple(dicom_files(folder)), folder.name
        row = rows.get(_key(subject_id), {})
        drawn = contours.get(_key(subject_id)) or contours.get(_key(row.get("OriginalID", "")), [])
        if images:
            patient = Patient(subject_id, folder, images, tuple(drawn), row)
            found.append(Found(subject_id, folder, partial(read, patient), (*images, *drawn)))
    if not found:
        raise NothingUsableError("no Sunnybrook patient", source, "give the folder above SCD0000101/ and the others")
    return found


def read(patient: Patient) -> Study:
    """Read the short-axis cine of one patient with its contours.

    The inner contour bounds the LV cavity (papillary muscles included), the outer one the myocardium. A slice counts as
    drawn where there is a contour: the cavity by the inner one, the myocardium by both. The RV is never drawn.

    Raises:
        DataError: names the file and the mend.
    """
    cine, pixels = read_cine(contents_of(patient.images), SHORT_AXIS, patient.folder)
    study = study_of(cine, pixels, patient.subject_id, SHORT_AXIS)
    age, sex = number(patient.row.get("Age")), patient.row.get("Gender", "")[:1].upper()
    study = replace(
        study,
        group=patient.row.get("Pathology") or None,
        sex=sex if sex in ("M", "F") else study.sex,
        age_years=age or study.age_years,
    )
    if not patient.contours:
        return study
    label, labelled, warnings = _labels(patient, cine)
    ed_frame, es_frame = drawn_phases(label, SHORT_AXIS)
    return replace(
        study,
        label=label,
        labelled=labelled,
        ed_frame=ed_frame,
        es_frame=es_frame,
        warnings=(*study.warnings, *warnings),
    )


def _labels(patient: Patient, cine: Cine) -> tuple[UInt8[ndarray, "T Z Y X"], Bool[ndarray, "T Z C"], list[str]]:
    """Labels, what is drawn, and what is odd about the contours."""
    n_frames, n_slices, shape = len(cine.slices[0]), len(cine.slices), cine.slices[0][0].shape
    label = np.zeros((n_frames, n_slices, *shape), np.uint8)
    labelled = np.zeros((n_frames, n_slices, SHORT_AXIS.n_classes), bool)
    places, crossing, alone = _places(cine, patient.folder), [], []
    paths = {(int(match["image"]), match["kind"]): path for match, path in _matches(patient.contours)}
    for image in sorted({image for image, _ in paths}):
        inner, outer = paths.get((image, "i")), paths.get((image, "o"))
        if image not in places:
            what = f"contour of image {image}, which is not in the cine"
            raise DataError(what, inner or outer, "complete the images, or remove the contour")
        t, z = places[image]
        if inner is None:
            alone.append(image)
            continue
        cavity = fill(read_contour(inner, shape), shape)
        label[t, z][cavity] = LV
        labelled[t, z, LV - 1] = True
        if outer is not None:
            heart = fill(read_contour(outer, shape), shape)
            label[t, z][heart & ~cavity] = MYOCARDIUM
            labelled[t, z, MYOCARDIUM - 1] = True
            crossing += [image] if (cavity & ~heart).any() else []
    warnings = []
    if crossing:
        warnings.append(f"the outer contour does not enclose the inner one on images {_shown(crossing)}")
    if alone:
        warnings.append(f"images {_shown(alone)} have an outer contour only and count as not drawn")
    return label, labelled, warnings


def _matches(paths: Iterable[Path]) -> list[tuple[re.Match[str], Path]]:
    return [(match, path) for path in paths if (match := CONTOUR.fullmatch(path.name))]


def _places(cine: Cine, where: Path) -> dict[int, tuple[int, int]]:
    """Number of an image, as contours name it -> (frame, slice).

    It is the last number of the image's file name (IM-0003-0048.dcm), else its rank by InstanceNumber, from 1.

    Raises:
        DataError: two images have one number.
    """
    by_image = [(image, (t, z)) for z, images in enumerate(cine.slices) for t, image in enumerate(images)]
    named = [IMAGE.fullmatch(Path(image.name).name) for image, _ in by_image]
    if all(named):
        numbers = [int(match["image"]) for match in named if match]
    else:
        ranked = sorted(image.instance for image, _ in by_image)
        numbers = [ranked.index(image.instance) + 1 for image, _ in by_image]
    if len(set(numbers)) < len(numbers):
        raise DataError("several images have one number", where, "keep one short-axis series in the folder")
    return dict(zip(numbers, (place for _, place in by_image), strict=True))


def _table(source: Path) -> dict[str, dict[str, str]]:
    """The rows of `scd_patientdata.csv` by PatientID and by OriginalID; empty where there is none."""
    path = next((folder / TABLE for folder in (source, source.parent) if (folder / TABLE).is_file()), None)
    rows = [] if path is None else read_rows(path, "copy it from the archive")
    rows = [{name: cell.strip() for name, cell in row.items()} for row in rows]
    return {_key(row[column]): row for row in rows for column in ("OriginalID", "PatientID") if row.get(column)}


def _key(name: str) -> str:
    """A patient's name without the zeros that lead its numbers."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", name.strip().upper())


def _shown(images: Sequence[int]) -> str:
    return ", ".join(map(str, images[:5])) + (", ..." if len(images) > 5 else "")
