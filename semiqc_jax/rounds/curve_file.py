"""The judge of volume curves of a run: a file of `launch/train_curve_judge.py`, copied into the run at its start."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.files import write_arrays
from semiqc_jax.quality.curve_chance import CurveJudge, curve_judge_arrays, curve_judge_from
from semiqc_jax.quality.curve_judge import MIN_FRAMES
from semiqc_jax.settings import QualitySettings

FILE = Path("quality", "curve_judge.npz")
SETTING = "config.quality.curves"
MEND = "make one with launch/train_curve_judge.py"


def write_curve_judge(path: Path, judge: CurveJudge) -> None:
    """Write a judge of curves in one piece."""
    write_arrays(path, curve_judge_arrays(judge))


def read_curve_judge(path: Path, task: str = SHORT_AXIS.name) -> CurveJudge:
    """Read a judge of curves for a task.

    Raises:
        DataError: it is missing or damaged, no judge of curves, or one for another task or other features.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            return curve_judge_from(data, task, path, MEND)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError("the judge of curves cannot be read", path, MEND) from error


def keep_curve_judge(quality: QualitySettings, cohort: Cohort, folder: Path) -> None:
    """Copy the judge that the settings name into a run, unless it is there; nothing where they name none.

    Raises:
        DataError: see `read_curve_judge`.
        ConfigError: no subject of the cohort has a cycle to judge, or the judge learned from one that it is to judge.
    """
    path = folder / FILE
    if not quality.curves or path.is_file():
        return
    judge = read_curve_judge(Path(quality.curves), cohort.task.name)
    longest = max((s.n_frames for s in cohort.subjects), default=0)
    if longest < MIN_FRAMES:
        what = f"curves are judged from {MIN_FRAMES} frames on, and no subject has more than {longest}"
        raise ConfigError(what, SETTING, "leave it empty")
    judged = {i for name, ids in cohort.splits.items() if name != "test" for i in ids}
    if shared := sorted(judged & {*judge.patients}):
        what = f"{quality.curves} learned from {len(shared)} of the subjects that it is to judge, {shared[0]} first"
        raise ConfigError(what, SETTING, "name one that did not")
    write_curve_judge(path, judge)


def kept_curve_judge(quality: QualitySettings, folder: Path) -> CurveJudge | None:
    """The judge of curves that a run was begun with; None where its settings name none.

    Raises:
        DataError: see `read_curve_judge`.
    """
    return read_curve_judge(folder / FILE) if quality.curves else None
