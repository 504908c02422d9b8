"""A beating heart of ellipsoids on a small grid, and its evidence."""

import jax
import numpy as np

from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics

SIDE, PIXEL_MM, DZ_MM = 48, 3.0, 10.0
CHUNK = 32  # slices in one call: every label volume uses the same compiled function
statistics = jax.jit(jax.vmap(lambda slice_: label_statistics(slice_, 3, PIXEL_MM)))


def heart(n_frames=2, n_slices=8, radius_mm=25.0, wall_mm=9.0, squeeze=0.25, centre=(0.0, 8.0)):
    """Label [T, Z, Y, X]: a half-ellipsoid LV in a wall of constant area, an RV crescent to its left."""
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * PIXEL_MM
    y, x = y - centre[0], x - centre[1]
    label = np.zeros((n_frames, n_slices, SIDE, SIDE), np.int32)
    for t in range(n_frames):
        systole = squeeze * np.sin(np.pi * t / n_frames) ** 2
        for z in range(n_slices):
            scale = np.sqrt(1 - ((z + 0.5) / (n_slices + 0.5)) ** 2)
            inner = scale * radius_mm * (1 - systole)
            outer = np.sqrt(inner**2 + scale**2 * (2 * radius_mm + wall_mm) * wall_mm)
            distance = np.hypot(y, x)
            rv_radius = scale * (radius_mm + wall_mm) * (0.95 - systole / 2)
            crescent = np.hypot(y / 1.2, x + 0.8 * outer) < rv_radius
            label[t, z] = np.where(distance < inner, 1, np.where(distance < outer, 2, 3 * crescent))
    return label


def measured(label):
    """`label_statistics` of every slice, each [T, Z, ...]."""
    slices = label.reshape(-1, SIDE, SIDE)
    padded = np.pad(slices, ((0, -len(slices) % CHUNK), (0, 0), (0, 0)))
    parts = [statistics(padded[i : i + CHUNK]) for i in range(0, len(padded), CHUNK)]
    whole = jax.tree.map(lambda *x: np.concatenate(x)[: len(slices)], *parts)
    return {name: x.reshape(*label.shape[:2], *x.shape[1:]) for name, x in whole.items()}


def evidence_of(*labels):
    """`Evidence` of label volumes."""
    return assemble_evidence([measured(x) for x in labels], [np.full(x.shape[1], DZ_MM) for x in labels])
