"""A subject's curves against its cohort's, as a small drawing that lies in a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

SAMPLES = 24  # phases of the cycle at which cohorts are compared
WIDTH, HEIGHT, GAP = 104, 60, 20  # of one class's panel, in pixels


class Band(NamedTuple):
    """What a cohort's curves are like at each phase of the cycle."""

    low: Float[NDArray, "S C"]  # 5th percentile
    median: Float[NDArray, "S C"]
    high: Float[NDArray, "S C"]  # 95th percentile


def in_phase(curve: Float[NDArray, "T C"]) -> Float[NDArray, "S C"]:
    """A closed curve from the largest value of its first class on, at `SAMPLES` phases of the cycle; NaN stays."""
    n = len(curve)
    started = np.roll(curve, -int(np.argmax(np.nan_to_num(curve[:, 0], nan=-np.inf))), 0)
    closed, at = np.concatenate([started, started[:1]]), np.arange(SAMPLES) / SAMPLES * n
    return np.stack([np.interp(at, np.arange(n + 1), values) for values in closed.T], -1)


def cohort_band(curves: Sequence[Float[NDArray, "T C"]]) -> Band:
    """Median and 5-95 % of curves, whatever their numbers of frames; NaN counts for nothing.

    Raises:
        ValueError: no curve.
    """
    if not curves:
        raise ValueError("no curves to compare with")
    stacked = np.stack([in_phase(np.asarray(curve, float)) for curve in curves])
    known = np.where(np.isfinite(stacked).any(0), stacked, 0.0)
    low, median, high = np.nanpercentile(known, (5, 50, 95), axis=0)
    return Band(low, median, high)


def curve_svg(curve: Float[NDArray, "T C"], band: Band, colours: Sequence[str], titles: Sequence[str]) -> str:
    """SVG text: a panel a class, the cohort's band in grey, its median dashed, the subject's curve in colour."""
    own = in_phase(np.asarray(curve, float))
    panels = []
    for c, (colour, title) in enumerate(zip(colours, titles, strict=True)):
        top = float(np.nanmax(np.concatenate([band.high[:, c], own[:, c], [1e-6]])))
        left = c * (WIDTH + GAP)
        area = _points(np.concatenate([band.low[:, c], band.high[::-1, c]]), top, left, turning=True)
        panels.append(f'<polygon points="{area}" fill="#dfe5ec"/>')
        for values, stroke, style in (
            (band.median[:, c], "#8896a5", ' stroke-dasharray="3 3"'),
            (own[:, c], colour, ' stroke-width="2"'),
        ):
            line = _points(values, top, left)
            panels.append(f'<polyline points="{line}" fill="none" stroke="{stroke}"{style}/>')
        words = f"{title}, to {top:.0f}"
        panels.append(f'<text x="{left}" y="{HEIGHT + 11}" font-size="10" fill="#5d6b7a">{words}</text>')
    width, height = len(titles) * (WIDTH + GAP), HEIGHT + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">{"".join(panels)}</svg>'
    )


def _points(values: Float[NDArray, " S"], top: float, left: float, turning: bool = False) -> str:
    """Points of a line from left to right, and back again where it is `turning`; values that are NaN are left out."""
    there = np.linspace(0, WIDTH, SAMPLES)
    x = left + (np.concatenate([there, there[::-1]]) if turning else there)
    y = HEIGHT * (1 - values / top)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
