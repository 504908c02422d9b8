"""Hearts of concentric discs, and networks small enough to train in a test."""

from __future__ import annotations

import jax
import numpy as np

from semiqc_jax.inputs.grid import Geometry, Grid
from semiqc_jax.inputs.slices import Slices
from semiqc_jax.models.build import NetworkSpec

GRID = Grid(16, 2.0)
UNET = NetworkSpec("unet", n_classes=3, base=2, depth=2, norm="batch", dropout=0.0)


def heart(shape, pixel_mm=(1.0, 1.0), radius_mm=8.0, centre_mm=(0.0, 0.0)):
    """Image uint8 and label uint8 [Y, X]: a bright LV in its myocardium, and an RV on one side."""
    axes = [(np.arange(n) - (n - 1) / 2) * size - c for n, size, c in zip(shape, pixel_mm, centre_mm, strict=True)]
    y, x = np.meshgrid(*axes, indexing="ij")
    label = np.where(np.hypot(y, x - 1.5 * radius_mm) < radius_mm, 3, 0)
    label = np.where(np.hypot(y, x) < radius_mm, 2, label)
    label = np.where(np.hypot(y, x) < 0.6 * radius_mm, 1, label)
    return np.array([20, 240, 90, 180], np.uint8)[label], label.astype(np.uint8)


def heart_slices(n, canvas=(32, 32), seed=0, window=1):
    """`Slices` of n noisy hearts of different sizes, places, extents and pixels; some classes are not drawn.

    The frames of a window are one heart with different noise.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        shape = tuple(rng.integers(20, 32, 2))
        pixel = rng.uniform(0.9, 1.6, 2).astype(np.float32)
        image, label = heart(shape, pixel, rng.uniform(5, 9), rng.uniform(-3, 3, 2))
        noisy = np.clip(image + rng.normal(0, 15, (window, *shape)), 0, 255).astype(np.uint8)
        drawn = np.array([True, True, i % 3 > 0])
        pad = [(0, c - s) for c, s in zip(canvas, shape, strict=True)]
        geometry = Geometry(np.array(shape, np.float32), pixel)
        label *= np.append(True, drawn)[label]
        rows.append(Slices(np.pad(noisy, [(0, 0), *pad]), np.pad(label, pad), drawn, geometry))
    return jax.tree.map(lambda *x: np.stack(x), *rows)


def dice(a, b):
    """Dice of two masks."""
    return 2 * np.sum(a & b) / (np.sum(a) + np.sum(b))


def assert_equal_trees(a, b):
    """Every array of two trees is bit-equal."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)
