"""Evidence of subjects whose slice areas and softmax are written down."""

import numpy as np

from semiqc_jax.segmentation.assemble import assemble_evidence


def one(area, **fields):
    """What is measured of a subject, each [T, Z, ...]: areas [T, Z, C]; round, in one piece, centred and confident."""
    area = np.asarray(area, np.float32)
    flat, ones = area[..., 0], np.ones(area.shape[:2], np.float32)
    measured = {
        "area_mm2": area,
        "centroid_mm": np.zeros((*area.shape, 2), np.float32),
        "perimeter_mm": 4 * np.sqrt(1.27 * area),
        "components": (area > 0).astype(np.float32),
        "largest_fraction": np.ones_like(area),
        "enclosure": ones,
        "contact": 0 * ones,
        "attachment": ones,
        "holes_mm2": 0 * ones,
        "confidence": 0.9 * ones,
        "entropy": 0.2 * ones,
        "uncertain_pixels": 50 * (area.sum(-1) > 0).astype(np.float32),
        "flips": ones,
        "flip_overlap_mm2": np.zeros_like(area),
        "flip_area_mm2": np.zeros_like(area),
        "flip_variance": 0 * ones,
        "intensity_mean": np.zeros_like(area),
        "intensity_max": np.zeros_like(area),
    }
    return measured | {name: np.asarray(x, np.float32) + 0 * measured[name] for name, x in fields.items()} | {"_": flat}


def evidence_of(*subjects):
    """`Evidence` of subjects of `one`, padded to the longest."""
    extents = [np.full(s["_"].shape[1], 10.0, np.float32) for s in subjects]
    return assemble_evidence(subjects, extents)


def tapering(n_frames=2, n_slices=6, n_classes=3):
    """Areas [T, Z, C] that grow and shrink along the stack, a little smaller in odd frames."""
    z = np.arange(n_slices)
    bump = 400 + 300 * np.sin(np.pi * (z + 0.7) / (n_slices + 0.5))
    frames = np.where(np.arange(n_frames) % 2, 0.7, 1.0)
    return frames[:, None, None] * bump[None, :, None] * np.linspace(1, 1.4, n_classes)


LONGEST = one(tapering(5, 8))


def beside_longest(*subjects):
    """`Evidence` of up to three subjects, filled up and padded to one shape: one compiled function serves all."""
    return evidence_of(*subjects, *[LONGEST] * (3 - len(subjects)))
