"""The predictions for a slice and for its mirror images, turned back and taken together: mean and agreement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Mirrored(NamedTuple):
    """What is kept of F predictions of the same pixels; no more than one softmax volume, however large F is."""

    probability: Float[Array, "... H W K"]  # mean softmax
    votes: Float[Array, "... H W C"]  # how many of the F predict the class
    variance: Float[Array, "... H W"]  # of the softmax over the F, summed over the K codes
    predictions: Float[Array, ...]  # F


def taken_together(predictions: Iterable[Float[Array, "... H W K"]]) -> Mirrored:
    """One pass over F >= 1 softmax volumes."""
    total = votes = square = jnp.zeros(())
    count = 0
    for softmax in predictions:
        code = jax.lax.optimization_barrier(softmax.argmax(-1))  # XLA would recompute it for each class
        total, count = total + softmax, count + 1
        votes = votes + (code[..., None] == jnp.arange(1, softmax.shape[-1])).astype(jnp.float32)
        square = square + jnp.sum(softmax**2, -1)
    mean = total / count
    variance = jnp.maximum(square / count - jnp.sum(mean**2, -1), 0.0)
    return Mirrored(mean, votes, variance, jnp.full(mean.shape[:-3], float(count)))


def agreement_statistics(
    mirrored: Mirrored, uncertain: Bool[Array, "H W"], pixel_mm: float | Float[Array, ""]
) -> dict[str, Float[Array, ...]]:
    """What `Evidence` holds of the agreement of one slice's predictions: `flips` and the fields that begin with flip_.

    Of F predictions n say that a pixel is of a class: n (n - 1) of the F (F - 1) ordered pairs share it.
    """
    votes, count = mirrored.votes, mirrored.predictions
    pairs = jnp.maximum(count * (count - 1), 1.0)
    compared = (count > 1).astype(jnp.float32)
    of_pixels = jnp.sum(mirrored.variance * uncertain) / jnp.maximum(uncertain.sum(), 1)
    return {
        "flips": count,
        "flip_overlap_mm2": jnp.sum(votes * (votes - 1), (0, 1)) / pairs * pixel_mm**2 * compared,
        "flip_area_mm2": votes.sum((0, 1)) / count * pixel_mm**2 * compared,
        "flip_variance": of_pixels * compared,
    }


def no_agreement(n_classes: int) -> dict[str, Float[Array, ...]]:
    """`agreement_statistics` of a single prediction, or of a mask that no network made."""
    zeros, zero = jnp.zeros(n_classes), jnp.float32(0)
    return {"flips": jnp.float32(1), "flip_overlap_mm2": zeros, "flip_area_mm2": zeros, "flip_variance": zero}
