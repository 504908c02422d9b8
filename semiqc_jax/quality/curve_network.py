"""A small Flax network that judges curves: convolutions around the cycle, joined with the curves' features.

Windows are gathered by rotation and multiplied as matrices: the gradient of a convolution inside a compiled loop is
many times slower on CPUs, and this way a whole ensemble trains as one program.
"""

from __future__ import annotations

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semiqc_jax.quality.blocks import by_blocks
from semiqc_jax.quality.curve_judge import BEST, WORST
from semiqc_jax.quality.fitting import Params, fit_ensemble

WIDTH, REACH, LAYERS = 24, 2, 2  # a window holds 2 x REACH + 1 samples
UPDATES, BATCH = 300, 128
ENSEMBLE = 2
ROTATION, NOISE = 3, 0.1  # augmentation: +-samples of 32; sd of standardised features


class CurveNetwork(nn.Module):
    """Severities of the EF error and of the EDV error, [N, 2], from curves [N, S, C] and features [N, F]."""

    @nn.compact
    def __call__(self, curves: Float[Array, "N S C"], features: Float[Array, "N F"], train: bool) -> Array:
        bend = jnp.roll(curves, 1, 1) + jnp.roll(curves, -1, 1) - 2 * curves
        x = jnp.concatenate([curves, 8 * bend], -1)
        for _ in range(LAYERS):
            window = [jnp.roll(x, shift, 1) for shift in range(-REACH, REACH + 1)]
            x = nn.relu(nn.Dense(WIDTH)(jnp.concatenate(window, -1)))
        pooled = jnp.concatenate([x.mean(1), x.max(1)], -1)
        dropped = [nn.Dropout(rate)(y, deterministic=not train) for rate, y in ((0.2, pooled), (0.3, features))]
        x = nn.relu(nn.Dense(32)(jnp.concatenate(dropped, -1)))
        return nn.Dense(2)(nn.Dropout(0.3)(x, deterministic=not train))


@partial(jax.jit, static_argnames=("size", "updates"))
def fit_networks(
    key: Array,
    curves: Float[Array, "N S C"],
    features: Float[Array, "N F"],
    severities: Float[Array, "N 2"],
    weights: Float[Array, " N"],
    size: int = ENSEMBLE,
    updates: int = UPDATES,
) -> Params:
    """Parameters of an ensemble of networks, stacked; one program for every set of training curves.

    Args:
        curves: of `resampled_curves`.
        features: standardised.
        severities: of the EF error and of the EDV error alone.
        weights: how often each curve is drawn, not negative; 0 leaves it out.
    """
    network = CurveNetwork()

    def init(key: Array) -> Params:
        return network.init(key, curves[:1], features[:1], False)

    def loss(params: Params, rows: Array, turn: Array, noise: Array, drop: Array) -> Array:
        shift = jax.random.randint(turn, (BATCH,), -ROTATION, ROTATION + 1)
        turned = jax.vmap(lambda x, s: jnp.roll(x, s, 0))(curves[rows], shift)
        blurred = features[rows] + NOISE * jax.random.normal(noise, (BATCH, features.shape[1]))
        out = jnp.asarray(network.apply(params, turned, blurred, True, rngs={"dropout": drop}))
        return jnp.mean((out - severities[rows]) ** 2)

    return fit_ensemble(key, init, loss, weights, size, updates, BATCH, draws=3)


@jax.jit
def network_severity(
    params: Params, curves: Float[Array, "N S C"], features: Float[Array, "N F"]
) -> Float[Array, " N"]:
    """The larger of the two severities that an ensemble expects; the mean over its networks, cut to [-2, 2]."""

    def block(curves: Array, features: Array) -> Array:
        each = jax.vmap(lambda p: jnp.asarray(CurveNetwork().apply(p, curves, features, False)).max(-1))(params)
        return jnp.clip(each.mean(0), BEST, WORST)

    return by_blocks(block, curves, features)
