"""Training data for learned quality control, from masks alone: broken copies and their true Dice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.quality.corruptions import corrupt, mean_dice
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics

MARGIN = 10  # pixels around the structures: room to move and to grow
SIDES = 8  # windows have sides of a multiple of this: few shapes are compiled


@partial(jax.jit, static_argnames=("task", "field"))
def _broken_copy(
    key: PRNGKeyArray,
    label: Int[Array, "T Z Y X"],
    shape: Int[Array, " 2"],
    pixel_mm: Float[Array, ""],
    task: Task,
    field: int,
) -> tuple[dict[str, Float[Array, ...]], Float[Array, ""]]:
    n_frames, n_slices = shape
    exists = (jnp.arange(label.shape[1]) < n_slices)[:, None, None]
    grade, damage = jax.random.split(key)
    broken = corrupt(damage, label, jax.random.uniform(grade), task, n_frames, field) * exists
    # Frame by frame: what one frame needs stays in the processor's cache, and its components are soon found.
    statistics = jax.lax.map(jax.vmap(lambda slice_: label_statistics(slice_, task.n_classes, pixel_mm)), broken)
    return statistics, mean_dice(label, broken, task.n_classes, jnp.arange(label.shape[0]) < n_frames)


def _windows(labels: Sequence[NDArray]) -> list[NDArray]:
    """Square windows around the structures, one size for all; whole labels where that is no smaller."""
    boxes = []
    for label in labels:
        ends = [np.flatnonzero((label > 0).any(axis))[[0, -1]] for axis in ((0, 1, 3), (0, 1, 2)) if label.any()]
        boxes.append(ends or [np.array([side // 2] * 2) for side in label.shape[2:]])
    largest = max(int(last - first) + 1 for ends in boxes for first, last in ends) + 2 * MARGIN
    side = -(-largest // SIDES) * SIDES
    windows = []
    for label, ends in zip(labels, boxes, strict=True):
        cut = [
            slice(start := min(max(0, (int(first + last) + 1 - side) // 2), max(0, n - side)), start + side)
            for (first, last), n in zip(ends, label.shape[2:], strict=True)
        ]
        windows.append(label[:, :, cut[0], cut[1]])
    return windows


def corrupted_training_set(
    key: PRNGKeyArray,
    labels: Sequence[NDArray],
    pixel_mm: float,
    extents: Sequence[NDArray],
    n: int,
    task: Task,
) -> tuple[Evidence, Float[Array, " n"]]:
    """`n` broken copies of reference masks, their severity uniform in [0, 1].

    Copy i is made from `labels[i % len(labels)]`: use that as the group when cross-validating. Only a window around
    the structures is looked at, so `centroid_mm` counts from that window's centre.

    Args:
        labels: each [T, Z, Y, X], canonical codes, all frames and slices drawn, on the network's square grid.
        pixel_mm: pixel of that grid.
        extents: for each label the length that each slice stands for, mm [Z].
        task: whose classes the labels hold.

    Returns:
        The evidence (confidence 1, entropy 0, intensities 1: a mask has neither softmax nor image) and the Dice [n],
        mean over frames and classes.
    """
    field = max(labels[0].shape[2:])
    longest = np.max([label.shape[:2] for label in labels], axis=0)
    padded = []
    for label in _windows(labels):
        t, z = (int(most) - own for most, own in zip(longest, label.shape[:2], strict=True))
        padded.append(jnp.asarray(np.pad(label, ((0, t), (0, z), (0, 0), (0, 0))), jnp.int32))
    per_study, dice = [], []
    for i, sample_key in enumerate(jax.random.split(key, n)):
        source = i % len(labels)
        n_frames, n_slices = shape = labels[source].shape[:2]
        statistics, value = _broken_copy(
            sample_key, padded[source], jnp.array(shape), jnp.float32(pixel_mm), task, field
        )
        per_study.append({k: np.asarray(v)[:n_frames, :n_slices] for k, v in statistics.items()})
        dice.append(value)
    return assemble_evidence(per_study, [extents[i % len(labels)] for i in range(n)]), jnp.stack(dice)
