"""The frames at which a cycle is read: end-diastole and end-systole, and the extremes of each class."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int

from semiqc_jax.anatomy import Task
from semiqc_jax.downstream.curves import namespace


def circular_median(curve: Float[Any, "*batch T"]) -> Float[Any, "*batch T"]:
    """Median of each frame and its two neighbours; the cycle closes, so the last frame precedes the first."""
    xp = namespace(curve)
    before, after = xp.roll(curve, 1, -1), xp.roll(curve, -1, -1)
    low, high = xp.minimum(before, after), xp.maximum(before, after)
    return xp.maximum(low, xp.minimum(high, curve))


def smooth_extremes(curve: Float[Any, "*batch T"]) -> tuple[Int[Any, "*batch"], Int[Any, "*batch"]]:
    """Frames of the largest and the smallest value of a curve, not misled by one bad frame.

    The curve is first smoothed by a circular median of three frames. That levels a peak with its larger
    neighbour: of frames that are equal after smoothing, the one that is larger (smaller) before it counts, then
    the first. Three frames or fewer are not smoothed.

    Returns:
        (largest, smallest): frame numbers.
    """
    xp = namespace(curve)
    smooth = circular_median(curve) if curve.shape[-1] > 3 else curve
    largest = smooth == smooth.max(-1, keepdims=True)
    smallest = smooth == smooth.min(-1, keepdims=True)
    return (
        xp.argmax(xp.where(largest, curve, -xp.inf), -1),
        xp.argmin(xp.where(smallest, curve, xp.inf), -1),
    )


def phases(curves: Float[Any, "*batch T C"], task: Task) -> tuple[Int[Any, "*batch"], Int[Any, "*batch"]]:
    """Frames of end-diastole and end-systole from the curve of a task's first class (`smooth_extremes`).

    The left ventricle is largest at ED and smallest at ES; the ascending aorta is smallest about ED and largest
    about ES, and its frames are named so.

    Returns:
        (ed, es): frame numbers.
    """
    largest, smallest = smooth_extremes(curves[..., 0])
    return (largest, smallest) if task.end_diastole == "largest" else (smallest, largest)


def reading_frames(
    curves: Float[Any, "*batch T C"], ed: Int[Any, "*batch"], es: Int[Any, "*batch"], task: Task
) -> tuple[Int[Any, "*batch C"], Int[Any, "*batch C"]]:
    """The two frames at which each class is read for the clinical indices.

    ED and ES for all classes where the task reads at its phases (the right ventricle at the left one's); where
    it reads at extremes, the frames of each class's own largest and smallest value over the cycle, unsmoothed,
    and the first that is NaN where there is one.
    """
    xp = namespace(curves)
    if task.read_at == "extremes":
        return xp.argmax(curves, -2), xp.argmin(curves, -2)
    shape = (*curves.shape[:-2], curves.shape[-1])
    first, second = (xp.broadcast_to(xp.asarray(frame)[..., None], shape) for frame in (ed, es))
    return first, second
