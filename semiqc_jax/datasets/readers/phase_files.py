"""A cine whose ED and ES frames, and their labels, lie in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task, to_canonical
from semiqc_jax.datasets.readers.drawn import phase_warnings
from semiqc_jax.datasets.readers.nifti_file import Volume, existing, grid_difference, is_there, read_image, read_label
from semiqc_jax.datasets.readers.nifti_study import nifti_study
from semiqc_jax.errors import DataError
from semiqc_jax.study import Study

PHASES = ("ED", "ES")


class PhaseFiles(NamedTuple):
    """Where the files of one subject would lie; which of them are there is for `read_phase_files` to see."""

    cine: Path
    cine_label: Path | None  # of the whole cine, 0 on frames that are not drawn
    frames: tuple[Path, Path]  # ED and ES, 3-D
    labels: tuple[Path, Path]  # of those

    def there(self) -> tuple[Path, ...]:
        """Those that are there."""
        paths = (self.cine, *((self.cine_label,) if self.cine_label else ()), *self.frames, *self.labels)
        return tuple(path for path in map(existing, paths) if is_there(path))

    def usable(self) -> bool:
        """Whether there is an image: the cine, or ED or ES."""
        return any(is_there(existing(path)) for path in (self.cine, *self.frames))


class _Cine(NamedTuple):
    """What the images of a subject make."""

    image: Volume
    stills: dict[str, Path]  # the files of ED and ES that are there
    frames: dict[str, int]  # the frames of the image that they are
    whole: bool  # it is the whole cycle, not ED and ES alone
    warnings: tuple[str, ...]


def read_phase_files(files: PhaseFiles, subject_id: str, task: Task, codes: str | None, **known: Any) -> Study:
    """Read a subject: its whole cine where there is one, else ED and ES (T = 2, or 1 where one is missing).

    ED and ES are where their files hold the very pixels of a frame of the cine; where one does not, and the
    cine has no label of its own, the study is ED and ES alone, and a warning says so. A label of a frame that
    cannot be found is not used, and a warning says so.

    Args:
        files: where they lie.
        subject_id: its id.
        task: what is drawn.
        codes: a key of `LABEL_CODES`; None leaves labels unread.
        known: more fields of `Study`.

    Raises:
        DataError: names the file and the mend.
    """
    cine_label = None if codes is None or files.cine_label is None else existing(files.cine_label)
    whole_label = cine_label is not None and is_there(cine_label)
    cine = _read_cine(files, whole_label)
    label, warnings = None, cine.warnings
    if codes is not None and cine_label is not None and whole_label and cine.whole:
        label = to_canonical(read_label(cine_label, cine.image, existing(files.cine)), codes, cine_label)
    elif codes is not None:
        label, unused = _read_labels(files, cine, codes)
        warnings += unused
    ed, es = (cine.frames.get(phase) for phase in PHASES)
    warnings += phase_warnings(label, ed, es, task, "the files of ED and ES")
    return nifti_study(subject_id, cine.image, label, task, warnings, ed_frame=ed, es_frame=es, **known)


def _read_cine(files: PhaseFiles, whole_label: bool) -> _Cine:
    path, stills = existing(files.cine), _there(files.frames)
    warnings: tuple[str, ...] = ()
    if is_there(path):
        image = read_image(path)
        located = {phase: _frame_of(read_image(still), image) for phase, still in stills.items()}
        frames = {phase: frame for phase, frame in located.items() if frame is not None}
        lost = [still.name for phase, still in stills.items() if phase not in frames]
        if len(frames) == 2 and frames["ED"] == frames["ES"]:
            raise DataError("ED and ES are one and the same frame", stills["ES"], "cut out the ES frame again")
        if not lost:
            return _Cine(image, stills, frames, True, ())
        if whole_label:
            return _Cine(image, stills, frames, True, (f"{lost[0]} is no frame of {path.name} and not used",))
        warnings = (f"{lost[0]} is no frame of {path.name}: the study is ED and ES alone",)
    frames = {phase: i for i, phase in enumerate(stills)}
    return _Cine(_stacked(list(stills.values())), stills, frames, False, warnings)


def _read_labels(files: PhaseFiles, cine: _Cine, codes: str) -> tuple[NDArray[np.uint8] | None, tuple[str, ...]]:
    """The label of the cine, drawn on ED and ES as far as they are labelled, and a warning for each unused one."""
    labels = _there(files.labels)
    unused = [path.name for phase, path in labels.items() if phase not in cine.frames]
    warnings = tuple(f"{name} is not used: its frame of the cine is not known" for name in unused)
    if len(unused) == len(labels):
        return None, warnings
    label = np.zeros(cine.image.data.shape, np.uint8)
    for phase, frame in cine.frames.items():
        if phase in labels:
            still = cine.stills[phase]
            stored = read_label(labels[phase], read_image(still), still)
            label[frame] = to_canonical(stored[0], codes, labels[phase])
    return label, warnings


def _there(paths: tuple[Path, Path]) -> dict[str, Path]:
    """Phase -> its file, of those that are there."""
    pairs = zip(PHASES, map(existing, paths), strict=True)
    return {phase: path for phase, path in pairs if is_there(path)}


def _frame_of(still: Volume, cine: Volume) -> int | None:
    """The first frame of the cine that holds the very pixels of a still."""
    if len(still.data) != 1 or still.data.shape[1:] != cine.data.shape[1:]:
        return None
    same = np.flatnonzero((cine.data == still.data).all((1, 2, 3)))
    return int(same[0]) if len(same) else None


def _stacked(paths: list[Path]) -> Volume:
    volumes = [read_image(path) for path in paths]
    for path, volume in zip(paths, volumes, strict=True):
        difference = grid_difference(volume, volumes[0]) if len(volume.data) == 1 else "it is a cine"
        if difference is not None:
            what = f"ED and ES are not two frames of one cine: {difference}"
            raise DataError(what, path, "give two 3-D frames on one grid")
    return volumes[0]._replace(data=np.concatenate([v.data for v in volumes]), frame_step_s=None)
