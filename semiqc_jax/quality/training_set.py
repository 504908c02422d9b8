"""Training data for learned quality control, from masks alone: broken copies and their true Dice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from numpy.typing import NDArray

from semiqc_jax.quality.corruptions import corrupt, mean_dice
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics


@partial(jax.jit, static_argnames="n_classes")
def _broken_copy(
    key: PRNGKeyArray,
    label: Int[Array, "T Z Y X"],
    shape: Int[Array, " 2"],
    pixel_mm: Float[Array, ""],
    n_classes: int,
) -> tuple[dict[str, Float[Array, ...]], Float[Array, ""]]:
    n_frames, n_slices = shape
    exists = (jnp.arange(label.shape[1]) < n_slices)[:, None, None]
    grade, damage = jax.random.split(key)
    broken = corrupt(damage, label, jax.random.uniform(grade), n_classes, n_frames) * exists
    broken = jax.lax.optimization_barrier(broken)
    statistics = jax.vmap(jax.vmap(lambda slice_: label_statistics(slice_, n_classes, pixel_mm)))(broken)
    return statistics, mean_dice(label, broken, n_classes, jnp.arange(label.shape[0]) < n_frames)


def corrupted_training_set(
    key: PRNGKeyArray,
    labels: Sequence[NDArray],
    pixel_mm: float,
    extents: Sequence[NDArray],
    n: int,
    n_classes: int = 3,
) -> tuple[Evidence, Float[Array, " n"]]:
    """`n` broken copies of reference masks, their severity uniform in [0, 1].

    Copy i is made from `labels[i % len(labels)]`: use that as the group when cross-validating.

    Args:
        labels: each [T, Z, Y, X], canonical codes, all frames and slices drawn, on the network's square grid.
        pixel_mm: pixel of that grid.
        extents: for each label the length that each slice stands for, mm [Z].

    Returns:
        The evidence (confidence 1, entropy 0: a mask has no softmax) and the Dice [n], mean over frames and
        classes.
    """
    longest = np.max([label.shape[:2] for label in labels], axis=0)
    padded = []
    for label in labels:
        t, z = (int(most) - own for most, own in zip(longest, label.shape[:2], strict=True))
        padded.append(jnp.asarray(np.pad(label, ((0, t), (0, z), (0, 0), (0, 0))), jnp.int32))
    per_study, dice = [], []
    for i, sample_key in enumerate(jax.random.split(key, n)):
        source = i % len(labels)
        n_frames, n_slices = shape = labels[source].shape[:2]
        statistics, value = _broken_copy(
            sample_key, padded[source], jnp.array(shape), jnp.float32(pixel_mm), n_classes
        )
        per_study.append({k: np.asarray(v)[:n_frames, :n_slices] for k, v in statistics.items()})
        dice.append(value)
    return assemble_evidence(per_study, [extents[i % len(labels)] for i in range(n)]), jnp.stack(dice)
