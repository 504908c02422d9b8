"""What a label volume alone tells: which classes are drawn on which slices, and which drawn frame is ED and ES."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from semiqc_jax.anatomy import Task


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


def drawn_phases(label: UInt8[ndarray, "T Z Y X"], task: Task) -> tuple[int | None, int | None]:
    """ED and ES among the frames on which the task's first class is drawn; None where it is on fewer than two.

    The left ventricle is largest at ED and smallest at ES, the ascending aorta the other way round.
    """
    size = (label == 1).sum((1, 2, 3))
    frames = np.flatnonzero(size)
    if len(frames) < 2:
        return None, None
    largest, smallest = int(frames[size[frames].argmax()]), int(frames[size[frames].argmin()])
    return (largest, smallest) if task.end_diastole == "largest" else (smallest, largest)


def phase_warnings(
    label: UInt8[ndarray, "T Z Y X"] | None, ed: int | None, es: int | None, task: Task, source: str
) -> tuple[str, ...]:
    """A warning where the first class, drawn on both frames, contradicts the ED and ES that `source` states."""
    if label is None or ed is None or es is None:
        return ()
    at_ed, at_es = (int((label[frame] == 1).sum()) for frame in (ed, es))
    right = at_ed >= at_es if task.end_diastole == "largest" else at_ed <= at_es
    if right or not (at_ed and at_es):
        return ()
    size = "larger" if at_es > at_ed else "smaller"
    return (f"{source}: ED is frame {ed} and ES {es}, but the drawn {task.titles[0]} is {size} at ES",)
