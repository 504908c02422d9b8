"""The training of a small ensemble as one compiled program: what the networks that judge have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import optax
from jaxtyping import Array, Float

RATE, DECAY = 3e-3, 0.05  # of AdamW, with a cosine schedule

Params = Any  # a tree of arrays
Loss = Callable[..., Array]  # (parameters, numbers of the rows of a batch, then a key for each draw of its own)


def fit_ensemble(
    key: Array,
    init: Callable[[Array], Params],
    loss: Loss,
    weights: Float[Array, " N"],
    size: int,
    updates: int,
    batch: int,
    draws: int,
) -> Params:
    """Parameters of `size` networks, stacked.

    Args:
        init: key -> the parameters of one network.
        loss: of a batch.
        weights: how often each of the N rows is drawn, not negative; 0 leaves it out.
        updates: of each network.
        batch: rows of an update.
        draws: how many keys the loss takes.
    """
    weights = weights / weights.sum()
    optimiser = optax.adamw(optax.cosine_decay_schedule(RATE, updates), weight_decay=DECAY)

    def fit_one(key: Array) -> Params:
        first, rest = jax.random.split(key)
        params = init(first)

        def update(state: tuple[Params, Params], key: Array) -> tuple[tuple[Params, Params], None]:
            params, moments = state
            draw, *keys = jax.random.split(key, 1 + draws)
            rows = jax.random.choice(draw, len(weights), (batch,), p=weights)
            step, moments = optimiser.update(jax.grad(loss)(params, rows, *keys), moments, params)
            return (optax.apply_updates(params, step), moments), None

        (params, _), _ = jax.lax.scan(update, (params, optimiser.init(params)), jax.random.split(rest, updates))
        return params

    return jax.vmap(fit_one)(jax.random.split(key, size))
