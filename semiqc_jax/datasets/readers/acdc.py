"""Reader of the ACDC data set in its official layout (Bernard et al., IEEE TMI 37(11), 2018)."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import SHORT_AXIS, to_canonical
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions, short_axis_only
from semiqc_jax.datasets.readers.nifti_file import (
    Volume,
    existing,
    frame_times_s,
    grid_difference,
    is_nifti,
    is_there,
    read_image,
    read_label,
)
from semiqc_jax.datasets.readers.nifti_study import check_order
from semiqc_jax.datasets.readers.text_file import read_text
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import Study, uniform_positions

PATIENT = re.compile(r"patient[0-9]+")
FRAME = re.compile(r"0*[1-9][0-9]{0,5}")
INFO = "Info.cfg"


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Patients below `source`: `training/` and `testing/` of `patientXXX/`, or a flat folder of those.

    Raises:
        NothingUsableError: there is none.
        ConfigError: the task is not the short axis.
    """
    short_axis_only(options, "ACDC")
    source = Path(source)
    folders = [
        folder
        for parent in (source, source / "training", source / "testing")
        if parent.is_dir()
        for folder in parent.iterdir()
        if (folder.is_dir() or folder.is_symlink()) and PATIENT.fullmatch(folder.name)
    ]
    if not folders:
        raise NothingUsableError("no ACDC patients", source, "give the folder above training/patientXXX/")
    folders.sort(key=lambda folder: (folder.name, str(folder)))
    return [Found(folder.name, folder, partial(read, folder), _files(folder)) for folder in folders]


def read(folder: Path) -> Study:
    """Read one patient: the whole cine where `_4d.nii[.gz]` is there, else its ED and ES frames (T = 2).

    Labels are those of ED and ES, complete on every slice. A warning says where they contradict `Info.cfg`.

    Raises:
        DataError: names the file and the mend.
    """
    patient, info = folder.name, _read_info(folder / INFO)
    numbers = [_frame_number(info, key, folder / INFO) for key in ("ED", "ES")]
    cine_path = existing(folder / f"{patient}_4d.nii.gz")
    warnings: list[str] = []
    if is_there(cine_path):
        cine, frames = read_image(cine_path), [n - 1 for n in numbers]
        check_order(cine.data, patient)
        for key, frame in zip(("ED", "ES"), frames, strict=True):
            if not 0 <= frame < len(cine.data):
                what = f"{key} is frame {frame + 1} of a cine of {len(cine.data)}"
                raise DataError(what, folder / INFO, "correct Info.cfg")
        if info.get("nbframe", str(len(cine.data))) != str(len(cine.data)):
            warnings.append(f"Info.cfg says {info['nbframe']} frames, the cine holds {len(cine.data)}")
    else:
        cine, frames = _ed_es_pair(folder, numbers), [0, 1]
    label, drawn = _read_labels(folder, numbers, frames, cine)
    warnings += _phase_warnings(label, frames, drawn, numbers)
    n_slices = cine.data.shape[1]
    labelled = np.zeros((len(cine.data), n_slices, SHORT_AXIS.n_classes), bool)
    labelled[drawn] = True
    return Study(
        subject_id=patient,
        image=cine.data,
        spacing_mm=cine.spacing_mm,
        slice_position_mm=uniform_positions(n_slices, cine.spacing_mm[0]),
        affine=cine.affine,
        frame_time_s=frame_times_s(cine),
        label=label if drawn else None,
        labelled=labelled if drawn else None,
        ed_frame=frames[0],
        es_frame=frames[1],
        group=info.get("group"),
        height_cm=_number(info.get("height")),
        weight_kg=_number(info.get("weight")),
        warnings=tuple(warnings),
    )


def _ed_es_pair(folder: Path, numbers: list[int]) -> Volume:
    ed, es = (read_image(_frame_path(folder, n)) for n in numbers)
    difference = grid_difference(es, ed) if len(ed.data) == 1 else "ED is a cine"
    if difference is not None:
        what = f"ED and ES are not two frames of one cine: {difference}"
        raise DataError(what, folder, "give two 3-D frames on one grid")
    return ed._replace(data=np.concatenate([ed.data, es.data]), frame_step_s=None)


def _read_labels(
    folder: Path, numbers: list[int], frames: list[int], cine: Volume
) -> tuple[NDArray[np.uint8], list[int]]:
    """The canonical labels [T, Z, Y, X] and the frames that have one."""
    label, drawn = np.zeros(cine.data.shape, np.uint8), []
    for number, frame in zip(numbers, frames, strict=True):
        image_path, path = _frame_path(folder, number), _frame_path(folder, number, "_gt")
        if is_there(path):
            image = _drawn_on(image_path, cine._replace(data=cine.data[frame : frame + 1]))
            label[frame] = to_canonical(read_label(path, image, image_path)[0], "acdc", path)
            drawn.append(frame)
    return label, drawn


def _drawn_on(path: Path, frame: Volume) -> Volume:
    """The image that a label was drawn on: the cut-out frame, else `frame` of the cine.

    What counts is that both hold the same pixels: their headers may then differ.
    """
    if not is_there(path):
        return frame
    image = read_image(path)
    difference = grid_difference(image, frame)
    if difference is not None and not np.array_equal(image.data, frame.data):
        raise DataError(f"it is not this frame of the cine: {difference}", path, "take both from one archive")
    return image


def _phase_warnings(label: NDArray, frames: list[int], drawn: list[int], numbers: list[int]) -> list[str]:
    if len(set(drawn)) < 2:
        return []
    ed, es = (int((label[frame] == 1).sum()) for frame in frames)
    if ed > es:
        return []
    return [f"Info.cfg says ED is frame {numbers[0]} and ES {numbers[1]}, but the drawn LV is larger at ES"]


def _files(folder: Path) -> tuple[Path, ...]:
    """What a patient is read from."""
    return tuple(sorted(p for p in folder.glob("*") if p.name == INFO or is_nifti(p)))


def _read_info(path: Path) -> dict[str, str]:
    """`Info.cfg`: lines of `Key: value`, keys in lower case."""
    lines = read_text(path, INFO, "copy it from the ACDC archive").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _frame_number(info: dict[str, str], key: str, path: Path) -> int:
    value = info.get(key.lower(), "")
    if not FRAME.fullmatch(value):
        what = f"{key} is {value!r}" if value else f"{key} is not given"
        raise DataError(what, path, f"write a line such as '{key}: 1' (frames count from 1)")
    return int(value)


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else 0.0
    except ValueError:
        return None
    return value if np.isfinite(value) and value > 0 else None


def _frame_path(folder: Path, number: int, suffix: str = "") -> Path:
    return existing(folder / f"{folder.name}_frame{number:02d}{suffix}.nii.gz")
