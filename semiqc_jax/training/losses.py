"""Losses that know what is drawn: cross-entropy marginalised over undrawn classes, and soft Dice.

Numerators and denominators are summed over the devices before the division, so that each device holds the same
loss and `pmean` of its gradients is the exact gradient of the global batch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int


def _psum(x: Array, axis_name: str | None) -> Array:
    return lax.psum(x, axis_name) if axis_name else x


def marginal_cross_entropy(
    logits: Float[Array, "B S S C1"], label: Int[Array, "B S S"], labelled: Bool[Array, "B C"]
) -> Float[Array, "B S S"]:
    """Cross-entropy a pixel. Where the label is 0, a class that is not drawn may hide there: it is summed in.

    With every class drawn this is the plain cross-entropy.
    """
    classes = jnp.arange(logits.shape[-1])
    undrawn = jnp.concatenate([jnp.zeros_like(labelled[:, :1]), ~labelled], axis=-1)[:, None, None]
    allowed = (classes == label[..., None]) | ((label[..., None] == 0) & undrawn)
    inside = jax.nn.logsumexp(jnp.where(allowed, logits, -jnp.inf), axis=-1)
    return jax.nn.logsumexp(logits, axis=-1) - inside


def dice_sums(
    probability: Float[Array, "B S S C1"], label: Int[Array, "B S S"], labelled: Bool[Array, "B C"]
) -> tuple[Float[Array, " C"], Float[Array, " C"]]:
    """Numerator and denominator of the Dice of each foreground class, over the batch, where it is drawn."""
    drawn = labelled[:, None, None].astype(probability.dtype)
    truth = (label[..., None] == jnp.arange(1, probability.shape[-1])) * drawn
    guess = probability[..., 1:] * drawn
    axes = (0, 1, 2)
    return 2 * (truth * guess).sum(axes), (truth + guess).sum(axes)


def segmentation_loss(
    logits: Float[Array, "B S S C1"],
    label: Int[Array, "B S S"],
    labelled: Bool[Array, "B C"],
    axis_name: str | None,
) -> tuple[Float[Array, ""], dict[str, tuple[Array, Array]]]:
    """(Cross-entropy + 1 - soft Dice) / 2 over the batch of all devices, as in SSL4MIS.

    Returns:
        The loss and metric sums {name: (numerator, denominator)}, both already summed over the devices.
    """
    entropy = marginal_cross_entropy(logits, label, labelled)
    entropy_sum = _psum(entropy.sum(), axis_name)
    pixels = _psum(jnp.float32(entropy.size), axis_name)
    numerator, denominator = (
        _psum(x, axis_name) for x in dice_sums(jax.nn.softmax(logits), label, labelled)
    )
    dice = (numerator + 1.0) / (denominator + 1.0)
    loss = (entropy_sum / pixels + 1 - dice.mean()) / 2
    hard = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1])
    hard_sums = tuple(_psum(x, axis_name) for x in dice_sums(hard, label, labelled))
    one = jnp.float32(1)
    return loss, {"loss": (loss, one), "cross_entropy": (entropy_sum, pixels), "dice": hard_sums}  # type: ignore[dict-item]
