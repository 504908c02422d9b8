"""The heart beat in time: how far the ventricle has contracted at any phase of the cardiac cycle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Timing(NamedTuple):
    """The volume-time curve, as fractions of the cardiac cycle that starts at end-diastole."""

    systole: Any  # end-systole
    filling_start: Any  # mitral valve opens after isovolumic relaxation
    filling_end: Any  # early filling ends, diastasis begins
    kick_start: Any  # atrial contraction
    early: Any  # share of the stroke volume that fills early; the atrial kick brings the rest
    rv_lag: Any  # by how much the right ventricle comes later


def ramp(x: Any) -> Any:
    """Smooth step from 0 at x <= 0 to 1 at x >= 1, flat at both ends."""
    x = x.clip(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def contraction(phase: Any, timing: Timing) -> Any:
    """Ejected share of the stroke volume: 0 at end-diastole (phase 0), 1 at `timing.systole`; periodic.

    Args:
        phase: array of any shape (NumPy or JAX), in cardiac cycles; whole cycles do not matter.
        timing: one subject's; its fields broadcast with `phase`.
    """
    t = phase % 1.0
    ejected = ramp(t / timing.systole)
    early = ramp((t - timing.filling_start) / (timing.filling_end - timing.filling_start))
    kick = ramp((t - timing.kick_start) / (1.0 - timing.kick_start))
    return ejected - timing.early * early - (1.0 - timing.early) * kick


def sample_timing(rng: np.random.Generator) -> Timing:
    """Draw one subject's timing."""
    systole = rng.uniform(0.31, 0.42)
    filling_start = systole + rng.uniform(0.03, 0.08)
    return Timing(
        systole=systole,
        filling_start=filling_start,
        filling_end=filling_start + rng.uniform(0.18, 0.26),
        kick_start=rng.uniform(0.82, 0.88),
        early=rng.uniform(0.62, 0.85),
        rv_lag=rng.uniform(-0.02, 0.02),
    )
