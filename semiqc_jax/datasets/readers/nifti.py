"""Reader of any folder of 3-D or 4-D NIfTI, with labels beside the images where there are any."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from semiqc_jax.anatomy import to_canonical
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.readers.nifti_file import frame_times_s, is_nifti, read_image, read_label, stem
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.study import Study, uniform_positions

OUTPUT_SUFFIX = "_seg"  # what launch/segment.py writes: neither an image nor a reference


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Images at or below `source` (a file or a folder), each with its label `NAME_gt` or `NAME_label` if any.

    A subject's id is its file's name, or its path below `source` where that name is not unique.

    Args:
        source: a NIfTI file or a folder.
        options: task, codes and suffixes of the labels.

    Raises:
        NothingUsableError: there is no image.
    """
    source = Path(source)
    root = source.parent if source.is_file() else source
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*.nii*") if p.is_file())
    other = (*options.label_suffixes, OUTPUT_SUFFIX)
    images = [p for p in files if is_nifti(p) and not stem(p).endswith(other)]
    if not images:
        raise NothingUsableError("no NIfTI image", source, "give a .nii or .nii.gz file or a folder of those")
    count = Counter(stem(p) for p in images)
    found = []
    for path in images:
        name = stem(path) if count[stem(path)] == 1 else stem(Path("_".join(path.relative_to(root).parts)))
        subject_id = re.sub(r"[^A-Za-z0-9._-]+", "_", name)
        label_path = _label_of(path, options)
        read_files = (path,) if label_path is None else (path, label_path)
        found.append(Found(subject_id, path, partial(read, path, subject_id, options), read_files))
    return found


def read(path: Path, subject_id: str, options: ReaderOptions = DEFAULT) -> Study:
    """Read one image and the label beside it.

    ED and ES are the drawn frames with the largest and the smallest LV, where the LV is drawn on two or more.

    Raises:
        DataError: names the file and the mend.
    """
    image = read_image(path)
    n_slices = image.data.shape[1]
    label_path = _label_of(path, options)
    label, labelled = None, None
    if label_path is not None and options.label_codes is not None:
        label = to_canonical(read_label(label_path, image, path), options.label_codes, label_path)
        labelled = drawn(label, options.task.n_classes)
    ed_frame, es_frame = (None, None) if label is None else _phases(label)
    return Study(
        subject_id=subject_id,
        image=image.data,
        spacing_mm=image.spacing_mm,
        slice_position_mm=uniform_positions(n_slices, image.spacing_mm[0]),
        affine=image.affine,
        task=options.task,
        frame_time_s=frame_times_s(image),
        label=label,
        labelled=labelled,
        ed_frame=ed_frame,
        es_frame=es_frame,
        warnings=_warnings(image.affine, image.spacing_mm),
    )


def drawn(label: UInt8[ndarray, "T Z Y X"], n_classes: int) -> Bool[ndarray, "T Z C"]:
    """Which classes count as drawn on which slices, when all that is known is the label volume itself.

    A frame that holds class c anywhere has it drawn on every slice (beyond the first and the last that hold
    it, it is truly absent), but not in a gap between those: a structure does not pause, so such a slice was
    left out. A class that a frame never holds is not drawn there.
    """
    codes = np.arange(1, n_classes + 1, dtype=np.uint8)
    holds = np.stack([(label == code).any((2, 3)) for code in codes], axis=-1)  # [T, Z, C]
    from_first = np.logical_or.accumulate(holds, axis=1)
    to_last = np.logical_or.accumulate(holds[:, ::-1], axis=1)[:, ::-1]
    gap = from_first & to_last & ~holds
    return holds.any(axis=1, keepdims=True) & ~gap


def _phases(label: UInt8[ndarray, "T Z Y X"]) -> tuple[int | None, int | None]:
    volume = (label == 1).sum((1, 2, 3))
    frames = np.flatnonzero(volume)
    if len(frames) < 2:
        return None, None
    return int(frames[volume[frames].argmax()]), int(frames[volume[frames].argmin()])


def _label_of(path: Path, options: ReaderOptions) -> Path | None:
    if options.label_codes is None:
        return None
    names = (f"{stem(path)}{suffix}{end}" for suffix in options.label_suffixes for end in (".nii.gz", ".nii"))
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def _warnings(affine: ndarray, spacing_mm: tuple[float, float, float]) -> tuple[str, ...]:
    of_affine = np.sqrt((affine[:3, :3] ** 2).sum(0))[::-1]
    if np.allclose(of_affine, spacing_mm, rtol=0.01):
        return ()
    shown = ", ".join(f"{v:.3g}" for v in of_affine)
    return (f"the affine's voxel size ({shown}) mm differs from the header's; the header's is used",)
