"""A beating heart of ellipsoids on a small grid, and its evidence."""

import jax
import numpy as np

from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics

SIDE, PIXEL_MM, DZ_MM = 48, 3.0, 10.0
statistics = jax.jit(
    jax.vmap(jax.vmap(lambda slice_: label_statistics(slice_, 3, PIXEL_MM))), static_argnums=()
)


def heart(n_frames=2, n_slices=8, radius_mm=25.0, wall_mm=9.0, squeeze=0.3, centre=(0.0, 8.0)):
    """Label [T, Z, Y, X]: LV a half ellipsoid, an even wall, an RV crescent to its left; no slice above the base."""
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * PIXEL_MM
    y, x = y - centre[0], x - centre[1]
    label = np.zeros((n_frames, n_slices, SIDE, SIDE), np.int32)
    for t in range(n_frames):
        systole = np.sin(np.pi * t / n_frames) ** 2
        for z in range(n_slices):
            scale = np.sqrt(max(0.0, 1 - ((z + 0.5) / (n_slices + 0.5)) ** 2))
            outer = scale * (radius_mm + wall_mm)
            inner = scale * radius_mm * (1 - squeeze * systole)
            distance = np.hypot(y, x)
            crescent = np.hypot(y / 1.2, x + 0.8 * outer) < outer * (0.95 - squeeze * systole / 2)
            label[t, z] = np.where(distance < inner, 1, np.where(distance < outer, 2, 3 * crescent))
    return label


def evidence_of(*labels):
    """`Evidence` of label volumes."""
    measured = [jax.tree.map(np.asarray, statistics(label)) for label in labels]
    return assemble_evidence(measured, [np.full(label.shape[1], DZ_MM) for label in labels])
