"""From source intensities to the stored 8 bits: one window per study, for building and inference alike."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

PERCENTILES = (0.5, 99.5)


def intensity_window(image: Float[ndarray, "T Z Y X"]) -> tuple[float, float]:
    """The source intensities (low, high) that 0 and 255 stand for: percentiles 0.5 and 99.5 over the study.

    Falls back to the full range where those coincide (a study that is almost all background).
    """
    low, high = (float(v) for v in np.percentile(image, PERCENTILES))
    if high <= low:
        low, high = float(image.min()), float(image.max())
    return low, high


def to_uint8(image: Float[ndarray, "*shape"], window: tuple[float, float]) -> UInt8[ndarray, "*shape"]:
    """Map intensities linearly so that `window` becomes 0 to 255; what lies outside is clipped."""
    low, high = window
    scale = 255.0 / (high - low) if high > low else 0.0
    scaled = (image.astype(np.float32) - np.float32(low)) * np.float32(scale)
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
