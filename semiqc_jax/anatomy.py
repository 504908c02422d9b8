"""The tasks: which structures are segmented, their codes, colours and curves, and each data set's own codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.errors import DataError


@dataclass(frozen=True)
class Task:
    """One segmentation task. Class c of `classes` has the canonical label code c + 1; 0 is background."""

    name: str
    classes: tuple[str, ...]  # short names used in files: lv, myo, rv, aao, dao
    titles: tuple[str, ...]  # names for people
    colours: tuple[str, ...]  # one hex colour a class, the same in every plot and overlay
    curve: str  # what a class yields over the cardiac cycle: "ml" (volume) or "mm2" (area)
    indices: tuple[str, ...]  # clinical indices, the columns of `indices.csv`
    end_diastole: str  # "largest" or "smallest": the frame of the first class that is ED; ES is the other one
    phase_titles: tuple[str, str]  # what ED and ES are called for people
    read_at: str  # indices are read at "phases" (ED and ES, the same for all classes) or each class's "extremes"

    @property
    def n_classes(self) -> int:
        """Number of foreground classes C."""
        return len(self.classes)

    @property
    def curve_names(self) -> tuple[str, ...]:
        """Column names of the curves: `lv_ml, myo_ml, rv_ml` or `aao_mm2, dao_mm2`."""
        return tuple(f"{name}_{self.curve}" for name in self.classes)


SHORT_AXIS = Task(
    name="short_axis",
    classes=("lv", "myo", "rv"),
    titles=("LV cavity", "LV myocardium", "RV cavity"),
    colours=("#d62728", "#2ca02c", "#1f77b4"),
    curve="ml",
    indices=(
        *("lvedv_ml", "lvesv_ml", "lvsv_ml", "lvef_pct", "lvm_g"),
        *("rvedv_ml", "rvesv_ml", "rvsv_ml", "rvef_pct"),
    ),
    end_diastole="largest",
    phase_titles=("end-diastole", "end-systole"),
    read_at="phases",
)
AORTA = Task(
    name="aorta",
    classes=("aao", "dao"),
    titles=("Ascending aorta", "Descending aorta"),
    colours=("#d62728", "#1f77b4"),
    curve="mm2",
    indices=tuple(
        f"{vessel}_{index}"
        for vessel in ("aao", "dao")
        for index in ("max_mm2", "min_mm2", "strain_pct", "distensibility_1e3_per_mmhg")
    ),
    end_diastole="smallest",  # the ascending aorta is narrowest before ejection, widest at the end of it
    phase_titles=("smallest area", "largest area"),
    read_at="extremes",
)
TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in (SHORT_AXIS, AORTA)})

# What each data set stores -> canonical code. Only readers use this; nothing after them knows.
LABEL_CODES: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        "canonical": MappingProxyType({0: 0, 1: 1, 2: 2, 3: 3}),
        "acdc": MappingProxyType({0: 0, 1: 3, 2: 2, 3: 1}),
    }
)


def to_canonical(label: NDArray, codes: str, where: object) -> NDArray[np.uint8]:
    """Map a data set's label codes to the canonical ones.

    Args:
        label: any shape, integer valued (floats that hold whole numbers are taken).
        codes: a key of `LABEL_CODES`.
        where: file or subject that an error names.

    Raises:
        DataError: a value is no code of this data set.
    """
    mapping = LABEL_CODES[codes]
    values = np.unique(label)
    unknown = [v.item() for v in values if not np.isfinite(v) or v != int(v) or int(v) not in mapping]
    if unknown:
        raise DataError(
            f"unknown label codes {unknown[:5]}", where, f"labels of '{codes}' hold only {sorted(mapping)}"
        )
    table = np.zeros(max(mapping) + 1, np.uint8)
    for source, target in mapping.items():
        table[source] = target
    return table[label.astype(np.int64)]
