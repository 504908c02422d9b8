"""Selection over N subjects: one vectorised call against a NumPy loop over the subjects."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.segmentation.assemble import BY_CLASS
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.selection import Policy, select

N_FRAMES, N_SLICES, N_CLASSES = 2, 12, 3


def selecting(folder: Path, n_subjects: int = 10_000) -> Contest:
    """Take the more confident half of a pool: evidence -> weights [N, T, Z]. Writes nothing to `folder`."""
    evidence, policy = random_evidence(n_subjects), Policy("top_fraction", fraction=0.5)
    on_device = jax.device_put(evidence)
    return Contest(
        ours=lambda: select("confidence", policy, on_device).weight,
        reference=partial(select_in_a_loop, evidence, policy.fraction),
        reference_name="a NumPy loop over subjects",
        items=n_subjects,
        unit="subjects",
    )


def random_evidence(n_subjects: int) -> Evidence:
    """NumPy evidence with random confidence, in steps that float32 adds exactly, whatever the order."""
    random = np.random.default_rng(0)
    profile = (n_subjects, N_FRAMES, N_SLICES)
    values: dict[str, Any] = {name: np.zeros(profile, np.float32) for name in Evidence._fields}
    for name in BY_CLASS:
        values[name] = np.zeros((*profile, N_CLASSES), np.float32)
    values["centroid_mm"] = np.zeros((*profile, N_CLASSES, 2), np.float32)
    values["slice_extent_mm"] = np.full((n_subjects, N_SLICES), 10, np.float32)
    values["frame_time_s"] = np.full((n_subjects, N_FRAMES), np.nan, np.float32)
    values["frame_mask"] = np.ones((n_subjects, N_FRAMES), bool)
    values["slice_mask"] = np.arange(N_SLICES) < random.integers(6, N_SLICES + 1, (n_subjects, 1))
    values["confidence"] = random.integers(128, 257, profile).astype(np.float32) / 256
    values["uncertain_pixels"] = random.integers(0, 512, profile).astype(np.float32)
    return Evidence(**values)


def select_in_a_loop(evidence: Evidence, fraction: float) -> Float[np.ndarray, "N T Z"]:
    """The same selection written subject by subject."""
    masks = [np.outer(frames, slices) for frames, slices in zip(evidence.frame_mask, evidence.slice_mask)]
    scores = []
    for mask, confidence, count in zip(masks, evidence.confidence, evidence.uncertain_pixels):
        pixels = count * mask
        total = pixels.sum()
        scores.append((confidence * pixels).sum() / total if total > 0 else np.float32(0))
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    kept = set(order[: max(1, int(fraction * len(scores) + 0.5))])
    return np.stack([mask.astype(np.float32) * (i in kept) for i, mask in enumerate(masks)])
