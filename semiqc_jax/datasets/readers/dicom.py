"""Reader of DICOM series of any scanner: a folder of files a subject, in any order and under any names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.readers.dicom_cine import Cine, sort_cine
from semiqc_jax.datasets.readers.dicom_file import MAX_FILE_BYTES, Image, is_dicom, read_headers, read_pixels
from semiqc_jax.datasets.readers.dicom_stack import choose_stack
from semiqc_jax.datasets.readers.folders import entries_below, named_folder
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import Study

MAX_PIXELS = 2**27  # of a study: 512 MiB as float32

Contents = Mapping[str, Callable[[], bytes]]  # name of a file -> what reads it whole
Choice = Callable[[list[Image]], tuple[list[Image], list[str]]]  # images -> those wanted, and warnings


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Subjects of `source`: each of its folders that holds DICOM files at any depth, or `source` itself.

    `source` is one subject where it is a file, where files lie directly in it, or where its folders are the series
    of one study. A subject's id is its folder's name. DICOMDIR and other files are passed over.

    Raises:
        NothingUsableError: there is no DICOM file.
    """
    source = Path(source)
    single = source.is_file() and _is_dicom_file(source)
    groups = {source: [source]} if single else _subjects(source)
    if not any(groups.values()):
        raise NothingUsableError("no DICOM file", source, "give a folder with one folder of DICOM files a subject")
    return [
        Found(safe_id(where), where, partial(read, where, tuple(files), options.task), tuple(files))
        for where, files in groups.items()
        if files
    ]


def read(where: Path, files: Sequence[Path], task: Task) -> Study:
    """Read the cine of one subject from its files.

    Raises:
        DataError: names the file or folder and the mend.
    """
    cine, pixels = read_cine(contents_of(files), task, where)
    return study_of(cine, pixels, safe_id(where), task)


def read_cine(
    contents: Contents, task: Task, where: object, choice: Choice = lambda images: (images, [])
) -> tuple[Cine, Float32[ndarray, "T Z Y X"]]:
    """Find the task's cine among files and read its pixels, one file in memory at a time.

    Args:
        contents: the files.
        task: says which geometry is wanted.
        where: folder or archive that errors name.
        choice: which of the images may be taken.

    Raises:
        DataError: names the file or `where` and the mend.
    """
    headers = [read_headers(contents[name](), name) for name in sorted(contents)]
    images, notes = choice([image for of_file in headers for image in of_file])
    passed = headers.count([])
    if passed:
        notes = [*notes, f"passed over, since they hold no MR image: {passed} DICOM file{'s' if passed > 1 else ''}"]
    stack, left_out = choose_stack(images, task, where)
    cine = sort_cine(stack, where)
    pixels = _pixels(contents, cine, where)
    return replace(cine, warnings=(*notes, *left_out, *cine.warnings)), pixels


def study_of(cine: Cine, pixels: Float32[ndarray, "T Z Y X"], subject_id: str, task: Task) -> Study:
    """The study that a cine makes, without labels."""
    images = [image for images in cine.slices for image in images]
    rates = [image.heart_rate_bpm for image in images if image.heart_rate_bpm is not None]
    return Study(
        subject_id=subject_id,
        image=pixels,
        spacing_mm=cine.spacing_mm,
        slice_position_mm=cine.slice_position_mm,
        affine=cine.affine,
        task=task,
        frame_time_s=cine.frame_time_s,
        sex=next((i.sex for i in images if i.sex is not None), None),
        age_years=next((i.age_years for i in images if i.age_years is not None), None),
        height_cm=next((i.height_cm for i in images if i.height_cm is not None), None),
        weight_kg=next((i.weight_kg for i in images if i.weight_kg is not None), None),
        heart_rate_bpm=float(np.median(rates)) if rates else None,
        warnings=cine.warnings,
    )


def contents_of(files: Iterable[Path]) -> Contents:
    """Files as `read_cine` takes them."""
    return {str(path): partial(_file_bytes, path) for path in files}


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files at any depth below a folder, sorted."""
    return [path for path in entries_below(folder) if path.is_file() and _is_dicom_file(path)]


def safe_id(path: Path) -> str:
    """A subject id from the name of a folder or file: letters, digits, '.', '_' and '-'."""
    name = named_folder(path).name.removesuffix(".dcm")
    return re.sub(r"\.{2,}|[^A-Za-z0-9._-]+", "_", name).lstrip("._-")[:128] or "subject"


def _subjects(source: Path) -> dict[Path, list[Path]]:
    """Folder -> its DICOM files."""
    entries = sorted(source.iterdir()) if source.is_dir() else []
    if any(path.is_file() and _is_dicom_file(path) for path in entries):
        return {source: dicom_files(source)}
    groups = {folder: dicom_files(folder) for folder in entries if folder.is_dir()}
    studies = [_study_uid(files[0]) for files in groups.values() if files]
    if len(studies) > 1 and studies[0] and len(set(studies)) == 1:
        return {source: [path for files in groups.values() for path in files]}
    return groups


def _study_uid(path: Path) -> str | None:
    """The study of a file's first image, None where it cannot be read."""
    try:
        images = read_headers(_file_bytes(path), path.name)
    except DataError:
        return None
    return images[0].study if images else None


def _is_dicom_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        start = b""
    return is_dicom(path.name, start)


def _file_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise DataError(f"file of {size >> 20} MiB", path, "export one image a file")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path, "check the file and its permissions") from error


def _pixels(contents: Contents, cine: Cine, where: object) -> Float32[ndarray, "T Z Y X"]:
    """Read all images, a file at a time; images that are there twice must be equal."""
    place = {(i.name, i.frame): (t, z) for z, images in enumerate(cine.slices) for t, i in enumerate(images)}
    twin = {(other.name, other.frame): kept for kept, other in cine.duplicates}
    by_file: dict[str, list[Image]] = {}
    for image in [*(i for images in cine.slices for i in images), *(other for _, other in cine.duplicates)]:
        by_file.setdefault(image.name, []).append(image)
    shape = (len(cine.slices[0]), len(cine.slices), *cine.slices[0][0].shape)
    if np.prod(shape, dtype=float) > MAX_PIXELS:
        raise DataError(f"a cine of {shape} (frames, slices, rows, columns)", where, "give one subject a folder")
    pixels = np.empty(shape, np.float32)
    extra = []
    for name, images in by_file.items():
        for image, values in zip(images, read_pixels(contents[name](), images), strict=True):
            key = (image.name, image.frame)
            if key in place:
                pixels[place[key]] = values
            else:
                extra.append((image, twin[key], values))
    for image, kept, values in extra:
        if not np.array_equal(values, pixels[place[kept.name, kept.frame]]):
            what = f"images {kept.instance} and {image.instance} have one place and time but other pixels"
            raise DataError(what, image.name, f"remove one of it and {kept.name}")
    return pixels
