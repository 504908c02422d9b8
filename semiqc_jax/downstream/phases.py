"""End-diastole and end-systole from the left-ventricular volume curve."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int

from semiqc_jax.downstream.curves import namespace


def circular_median(curve: Float[Any, "*batch T"]) -> Float[Any, "*batch T"]:
    """Median of each frame and its two neighbours; the cycle closes, so the last frame precedes the first."""
    xp = namespace(curve)
    before, after = xp.roll(curve, 1, -1), xp.roll(curve, -1, -1)
    low, high = xp.minimum(before, after), xp.maximum(before, after)
    return xp.maximum(low, xp.minimum(high, curve))


def phases(lv_curve: Float[Any, "*batch T"]) -> tuple[Int[Any, "*batch"], Int[Any, "*batch"]]:
    """Frames of the largest (ED) and the smallest (ES) left-ventricular volume.

    The curve is first smoothed by a circular median of three frames, so that one bad frame is no phase. That
    levels a peak with its larger neighbour: of frames that are equal after smoothing, the one that is larger
    (smaller) before it counts, then the first. Three frames or fewer are not smoothed.

    Returns:
        (ed, es): frame numbers.
    """
    xp = namespace(lv_curve)
    smooth = circular_median(lv_curve) if lv_curve.shape[-1] > 3 else lv_curve
    largest = smooth == smooth.max(-1, keepdims=True)
    smallest = smooth == smooth.min(-1, keepdims=True)
    return (
        xp.argmax(xp.where(largest, lv_curve, -xp.inf), -1),
        xp.argmin(xp.where(smallest, lv_curve, xp.inf), -1),
    )
