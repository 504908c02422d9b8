"""A small Flax network that judges curves: convolutions around the cycle, joined with the curves' features.

Windows are gathered by rotation and multiplied as matrices: the gradient of a convolution inside a compiled loop is
many times slower on CPUs, and this way a whole ensemble trains as one program.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from semiqc_jax.quality.blocks import by_blocks
from semiqc_jax.quality.curve_judge import BEST, WORST

WIDTH, REACH, LAYERS = 24, 2, 2  # a window holds 2 x REACH + 1 samples
UPDATES, BATCH, RATE, DECAY = 300, 128, 3e-3, 0.05
ENSEMBLE = 2
ROTATION, NOISE = 3, 0.1  # augmentation: +-samples of 32; sd of standardised features

Params = Any  # a tree of arrays


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


def _fit_one(key: Array, curves: Array, features: Array, severities: Array, weights: Array, updates: int) -> Params:
    network = CurveNetwork()
    optimiser = optax.adamw(optax.cosine_decay_schedule(RATE, updates), weight_decay=DECAY)
    first, rest = jax.random.split(key)
    params = network.init(first, curves[:1], features[:1], False)

    def update(state: tuple[Params, Params], key: Array) -> tuple[tuple[Params, Params], None]:
        params, moments = state
        draw, turn, noise, drop = jax.random.split(key, 4)
        rows = jax.random.choice(draw, len(curves), (BATCH,), p=weights)
        shift = jax.random.randint(turn, (BATCH,), -ROTATION, ROTATION + 1)
        turned = jax.vmap(lambda x, s: jnp.roll(x, s, 0))(curves[rows], shift)
        blurred = features[rows] + NOISE * jax.random.normal(noise, (BATCH, features.shape[1]))

        def loss(params: Params) -> Array:
            out = jnp.asarray(network.apply(params, turned, blurred, True, rngs={"dropout": drop}))
            return jnp.mean((out - severities[rows]) ** 2)

        step, moments = optimiser.update(jax.grad(loss)(params), moments, params)
        return (optax.apply_updates(params, step), moments), None

    (params, _), _ = jax.lax.scan(update, (params, optimiser.init(params)), jax.random.split(rest, updates))
    return params


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
    weights = weights / weights.sum()
    keys = jax.random.split(key, size)
    return jax.vmap(lambda k: _fit_one(k, curves, features, severities, weights, updates))(keys)


@jax.jit
def network_severity(
    params: Params, curves: Float[Array, "N S C"], features: Float[Array, "N F"]
) -> Float[Array, " N"]:
    """The larger of the two severities that an ensemble expects; the mean over its networks, cut to [-2, 2]."""

    def block(curves: Array, features: Array) -> Array:
        each = jax.vmap(lambda p: jnp.asarray(CurveNetwork().apply(p, curves, features, False)).max(-1))(params)
        return jnp.clip(each.mean(0), BEST, WORST)

    return by_blocks(block, curves, features)
