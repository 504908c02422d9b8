"""Two pulsating discs on a small grid, and their evidence."""

import jax
import numpy as np

from semiqc_jax.quality.aorta import AORTA_CHECKS as CHECKS
from semiqc_jax.quality.features import features
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import slice_statistics

SIDE, PIXEL_MM, T = 64, 2.0, 20
CENTRES = ((-30.3, -19.6), (29.7, 20.4))  # mm: 60 and 40 apart, on no symmetry of the pixels
statistics = jax.jit(jax.vmap(lambda label, image: slice_statistics(jax.nn.one_hot(label, 3), PIXEL_MM, image)))


def wave(n_frames):
    """From 0 at end-diastole to 1 at the end of ejection and back, one sample a frame."""
    phase = np.arange(n_frames) / max(n_frames, 1)
    return np.where(phase < 0.35, np.sin(np.pi / 2 * phase / 0.35) ** 2, np.cos(np.pi / 2 * (phase - 0.35) / 0.65) ** 2)


def aorta(n_frames=T, radius_mm=(16.0, 12.0), strain=0.2, lag=0):
    """Label [T, 1, Y, X] of a round ascending and descending aorta; the descending one lags by `lag` frames."""
    y, x = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * PIXEL_MM
    label = np.zeros((n_frames, 1, SIDE, SIDE), np.int32)
    for c, ((cy, cx), radius) in enumerate(zip(CENTRES, radius_mm, strict=True)):
        areas = 1 + strain * np.roll(wave(n_frames), lag * c)
        for t, area in enumerate(areas):
            label[t, 0][np.hypot(y - cy, x - cx) < radius * np.sqrt(area)] = c + 1
    return label


def evidence_of(*labels, image=None):
    """`Evidence` of labels [T, 1, Y, X]; the image is 0.5 everywhere unless given, [Y, X]."""
    per_study = []
    for label in labels:
        padded = np.pad(label[:, 0], ((0, -len(label) % T), (0, 0), (0, 0)))  # one compiled function serves all
        pixels = np.broadcast_to(np.full((SIDE, SIDE), 0.5) if image is None else image, padded.shape)
        per_study.append({k: np.asarray(v)[: len(label), None] for k, v in statistics(padded, pixels).items()})
    return assemble_evidence(per_study, [np.full(1, 6.0)] * len(labels))


def measure(*labels, image=None):
    """Features by name, an array over the labels."""
    values = np.asarray(features(evidence_of(*labels, image=image), CHECKS))
    return {feature.name: values[:, i] for i, feature in enumerate(CHECKS.features)}
