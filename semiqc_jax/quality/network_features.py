"""Features of how sure the network is: its softmax, and the agreement of its predictions for mirrored slices.

Every function takes one subject's `Evidence` (no leading N) of any task and returns named scalars.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool

from semiqc_jax.quality.checks import FLIPS, OWN, SOFTMAX, Feature, Scalars
from semiqc_jax.quality.shape_features import masked_mean, valid_slices
from semiqc_jax.segmentation.evidence import Evidence


def mirrored(subject: Evidence) -> Bool[Array, ""]:
    """Whether mirrored slices were predicted as well; without flip averaging there is nothing to compare."""
    return jnp.any((jnp.asarray(subject.flips) > 1) & valid_slices(subject))


NETWORK_FEATURES: tuple[Feature, ...] = (
    Feature("confidence", "", "softmax", "mean largest probability, background < 0.95", SOFTMAX),
    Feature("entropy", "", "softmax", "mean entropy / log(C + 1) over the same pixels", SOFTMAX),
    Feature("flip_agreement", "", OWN, "Dice of pairs of mirrored predictions, mean over structures", FLIPS, mirrored),
    Feature("flip_agreement_worst", "", OWN, "the same of the structure that has the least", FLIPS, mirrored),
)


def confidence_features(subject: Evidence) -> Scalars:
    """Softmax confidence and entropy over all pixels that are not clearly background."""
    pixels = subject.uncertain_pixels * valid_slices(subject)
    return {
        "confidence": masked_mean(jnp.asarray(subject.confidence), pixels, 0.0),
        "entropy": masked_mean(jnp.asarray(subject.entropy), pixels, 1.0),
    }


def flip_features(subject: Evidence) -> Scalars:
    """Mean Dice of the pairs of mirrored predictions, in 3-D, over frames: of all classes, and of the worst.

    A class that none of them finds in a frame has 0 there. 1 where only one prediction was made.
    """
    valid = valid_slices(subject)[..., None]
    overlap, area = (jnp.sum(x * valid, 1) for x in (subject.flip_overlap_mm2, subject.flip_area_mm2))  # [T, C]
    dice = jnp.where(area == 0, 0.0, overlap / jnp.where(area == 0, 1.0, area))
    frames = jnp.asarray(subject.frame_mask)[:, None]
    by_class = jnp.sum(jnp.where(frames, dice, 0.0), 0) / jnp.maximum(frames.sum(), 1)
    there = mirrored(subject)
    return {
        "flip_agreement": jnp.where(there, by_class.mean(), 1.0),
        "flip_agreement_worst": jnp.where(there, by_class.min(), 1.0),
    }
