"""Reference labels spoiled on purpose, the way files and readers spoil them: what a check of labels has to notice.

Each fault takes a labelled short-axis study and gives the label [T, Z, Y, X] that it would have had. Unlike
`quality.corruptions`, which imitates networks, these are mistakes of people, converters and contour tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, shift

from semiqc_jax.study import Study

LV, MYOCARDIUM, RV = 1, 2, 3
Label = UInt8[NDArray, "T Z Y X"]
Fault = Callable[[Study], Label]


def label_of(study: Study) -> Label:
    """The study's label, a copy."""
    return np.array(study.label)


def pixels(study: Study, mm: float) -> tuple[int, int]:
    """A length in whole pixels along rows and columns."""
    _, dy, dx = study.spacing_mm
    return round(mm / dy), round(mm / dx)


def moved(label: NDArray, rows: int, columns: int) -> NDArray:
    """Every slice moved; what enters is 0."""
    return shift(label, (0, 0, rows, columns), order=0)


def _shifted(study: Study, mm: float) -> Label:
    return moved(label_of(study), pixels(study, mm)[0], 0)


def _mirrored(study: Study) -> Label:
    return label_of(study)[..., ::-1]


def _upside_down(study: Study) -> Label:
    return label_of(study)[:, ::-1]


def _phases_exchanged(study: Study) -> Label:
    label = label_of(study)
    frames = [f for f in (study.ed_frame, study.es_frame) if f is not None]
    label[frames] = label[frames[::-1]]
    return label


def _codes(study: Study, codes: tuple[int, int, int, int]) -> Label:
    return np.array(codes, np.uint8)[label_of(study)]


def _outer_contours_moved(study: Study, mm: float) -> Label:
    """The wall drawn beside the cavity, as in one patient of the Sunnybrook data."""
    label = label_of(study)
    outer = moved((label == LV) | (label == MYOCARDIUM), pixels(study, mm)[0], 0)
    rest = np.where(label == RV, RV, 0)
    return np.where(label == LV, LV, np.where(outer, MYOCARDIUM, rest)).astype(np.uint8)


def _middle(study: Study) -> int:
    present = np.flatnonzero((label_of(study) == LV).any((0, 2, 3)))
    return int(present[len(present) // 2]) if len(present) else study.shape[1] // 2


def _slice_lost(study: Study) -> Label:
    label = label_of(study)
    label[:, _middle(study)] = 0
    return label


def _slice_of_another_level(study: Study) -> Label:
    """The middle slice of end-systole bears the label of the apical or basal slice with the smallest cavity."""
    label, at = label_of(study), _middle(study)
    frame = study.es_frame or 0
    areas = (label[frame] == LV).sum((1, 2))
    present = np.flatnonzero(areas)
    if len(present):
        label[frame, at] = label[frame, present[np.argmin(areas[present])]]
    return label


def _resized(study: Study, mm: float) -> Label:
    """The cavity drawn larger (mm > 0) or smaller, the other structures as they are."""
    label, cavity = label_of(study), label_of(study) == LV
    ball = _disc(abs(mm), study)
    new = binary_dilation(cavity, ball) if mm > 0 else binary_erosion(cavity, ball)
    return np.where(new, LV, np.where(cavity, MYOCARDIUM, label)).astype(np.uint8)


def _disc(mm: float, study: Study) -> Bool[NDArray, "1 1 H W"]:
    _, dy, dx = study.spacing_mm
    rows, columns = (np.arange(-int(mm / d), int(mm / d) + 1) * d for d in (dy, dx))
    return (rows[:, None] ** 2 + columns**2 <= mm**2)[None, None]


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "shifted by 6 mm": lambda study: _shifted(study, 6),
        "shifted by 12 mm": lambda study: _shifted(study, 12),
        "mirrored": _mirrored,
        "slices in reverse order": _upside_down,
        "ED and ES exchanged": _phases_exchanged,
        "LV and RV exchanged": lambda study: _codes(study, (0, RV, MYOCARDIUM, LV)),
        "cavity and wall exchanged": lambda study: _codes(study, (0, MYOCARDIUM, LV, RV)),
        "wall moved by 8 mm": lambda study: _outer_contours_moved(study, 8),
        "RV missing": lambda study: _codes(study, (0, LV, MYOCARDIUM, 0)),
        "one slice lost": _slice_lost,
        "a slice of another level": _slice_of_another_level,
        "cavity drawn 3 mm too large": lambda study: _resized(study, 3),
        "cavity drawn 3 mm too small": lambda study: _resized(study, -3),
    }
)
