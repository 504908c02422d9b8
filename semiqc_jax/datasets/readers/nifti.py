"""Reader of any folder of NIfTI: 3-D, 4-D or one file a frame, with labels beside the images where there are any."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task, to_canonical
from semiqc_jax.datasets.readers.folders import entries_below
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.readers.frame_files import Series, gap_warnings, read_series, series_of
from semiqc_jax.datasets.readers.nifti_file import Volume, is_nifti, is_there, read_label, stem
from semiqc_jax.datasets.readers.nifti_study import nifti_study
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.study import Study

OUTPUT_SUFFIX = "_seg"  # what launch/segment.py writes: neither an image nor a reference
PATIENT = re.compile(r"sub-[A-Za-z0-9]+")  # the patient's entity in names as of BIDS


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Cines at or below `source` (a file or a folder), each with its label `NAME_gt` or `NAME_label` if any.

    Files of one frame each are joined as `series_of` says. A subject's id is its name, or its path below
    `source` where that name is not unique. Files of one `sub-NAME` are of one patient.

    Args:
        source: a NIfTI file or a folder.
        options: task, codes and suffixes of the labels.

    Raises:
        NothingUsableError: there is no image.
    """
    source = Path(source)
    root = source.parent if source.is_file() else source
    files = [source] if source.is_file() else [p for p in entries_below(source) if is_there(p)]
    other = (*options.label_suffixes, OUTPUT_SUFFIX)
    images = [p for p in files if is_nifti(p) and not p.name.startswith(".") and not stem(p).endswith(other)]
    if not images:
        raise NothingUsableError("no NIfTI image", source, "give a .nii or .nii.gz file or a folder of those")
    cines = series_of(images)
    count = Counter(series.name for series in cines)
    found = []
    for series in cines:
        path = series.paths[0]
        below = path.relative_to(root)
        name = series.name if count[series.name] == 1 else "_".join((*below.parts[:-1], series.name))
        subject_id = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
        labels = tuple(label for path in series.paths if (label := _label_of(path, options)) is not None)
        patient = PATIENT.search(str(below))
        found.append(
            Found(
                subject_id,
                path,
                partial(read, series, subject_id, options),
                (*series.paths, *labels),
                patient_id=patient and patient[0],
            )
        )
    return found


def read(series: Series, subject_id: str, options: ReaderOptions = DEFAULT) -> Study:
    """Read one cine and the labels beside its files.

    ED and ES are the drawn frames with the largest and the smallest LV (for the aorta: with the smallest and the
    largest ascending aorta), where it is drawn on two or more. A frame without a label is not drawn.

    Raises:
        DataError: names the file and the mend.
    """
    image = read_series(series)
    label = _read_labels(series, image, options)
    if _is_plane_over_time(image, options.task):
        image = image._replace(data=_as_frames(image.data))
        label = None if label is None else _as_frames(label)
    return nifti_study(subject_id, image, label, options.task, gap_warnings(series.numbers))


def _read_labels(series: Series, image: Volume, options: ReaderOptions) -> NDArray[np.uint8] | None:
    """The canonical label [T, Z, Y, X] of a cine, 0 on frames that have none; None where no frame has one."""
    paths = [_label_of(path, options) for path in series.paths]
    if options.label_codes is None or not any(paths):
        return None
    label = np.zeros(image.data.shape, np.uint8)
    for i, (path, image_path) in enumerate(zip(paths, series.paths, strict=True)):
        frames = slice(i, i + 1) if series.numbers else slice(None)
        if path is not None:
            stored = read_label(path, image._replace(data=image.data[frames]), image_path)
            label[frames] = to_canonical(stored, options.label_codes, path)
    return label


def _is_plane_over_time(image: Volume, task: Task) -> bool:
    """Whether a 3-D file is (x, y, t): a task of one plane knows no stack of slices."""
    n_frames, n_slices = image.data.shape[:2]
    return task.curve == "mm2" and n_frames == 1 and n_slices > 1


def _as_frames(volume: NDArray) -> NDArray:
    return np.ascontiguousarray(volume.swapaxes(0, 1))


def _label_of(path: Path, options: ReaderOptions) -> Path | None:
    if options.label_codes is None:
        return None
    names = (f"{stem(path)}{suffix}{end}" for suffix in options.label_suffixes for end in (".nii.gz", ".nii"))
    return next((path.with_name(name) for name in names if is_there(path.with_name(name))), None)
