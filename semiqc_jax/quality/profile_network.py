"""A small Flax network that judges slice-area profiles over the cycle, for any number of frames and slices.

Every slice of every frame is a row of numbers; a row sees its neighbours in space and time as their sum and their
absolute difference, so that nothing depends on the order from base to apex or on the sense of time. Rows are pooled
and joined with the features of the subject. All of it is matrix products: the gradient of a convolution inside a
compiled loop is many times slower on CPUs.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from semiqc_jax.quality.fitting import Params, fit_ensemble
from semiqc_jax.segmentation.evidence import Evidence

WIDTH, LAYERS, ENSEMBLE = 24, 2, 2
UPDATES, BATCH = 400, 64
NOISE = 0.1  # augmentation: sd of standardised features
WORST_IRREGULARITY, WORST_PIECES, FAR_MM = 10.0, 4.0, 60.0


class Profiles(NamedTuple):
    """What the network sees of N subjects' slices."""

    rows: Float[Array, "N T Z K"]  # 0 where there is no slice
    mask: Bool[Array, "N T Z"]
    frames: Array  # int [N], how many there are


@partial(jax.jit, static_argnames="softmax")
def profiles(evidence: Evidence, softmax: bool) -> Profiles:
    """Rows of numbers of order 1: sizes, outlines, pieces, places, borders and, with `softmax`, confidence."""
    seen = jax.tree.map(jnp.asarray, evidence)
    mask = seen.frame_mask[:, :, None] & seen.slice_mask[:, None]
    area = seen.area_mm2 * mask[..., None]
    there = area > 0
    middle = jnp.einsum("ntzc,ntzcd->nd", area, seen.centroid_mm) / jnp.maximum(area.sum((1, 2, 3)), 1.0)[:, None]
    place = jnp.clip(seen.centroid_mm - middle[:, None, None, None], -FAR_MM, FAR_MM) / 20.0 * there[..., None]
    irregular = jnp.clip((seen.perimeter_mm / 4) ** 2 / jnp.maximum(area, 1e-3), 1.0, WORST_IRREGULARITY)
    parts = [
        jnp.sqrt(area) / 30.0,
        there.astype(jnp.float32),
        jnp.log(irregular) * there,
        jnp.clip(seen.components - 1, 0, WORST_PIECES) * there,
        4 * (1 - seen.largest_fraction) * there,
        place.reshape(*mask.shape, 2 * area.shape[-1]),
        jnp.stack([1 - seen.enclosure, seen.contact], -1) * 2,
        jnp.broadcast_to(seen.slice_extent_mm[:, None, :, None] / 10.0, (*mask.shape, 1)),
    ]
    if softmax:
        parts.append(jnp.stack([5 * (1 - seen.confidence), 3 * seen.entropy, seen.uncertain_pixels / 1000], -1))
    return Profiles(jnp.concatenate(parts, -1) * mask[..., None], mask, seen.frame_mask.sum(1))


def _neighbours(x: Float[Array, "N T Z K"], frames: Array) -> Float[Array, "N T Z M"]:
    """Each row with the sum and the absolute difference of its neighbours: slices, and frames of the closed cycle."""
    low = jnp.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]
    high = jnp.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0)))[:, :, 1:]
    time = jnp.arange(x.shape[1])
    n = jnp.maximum(frames, 1)[:, None]
    before, after = (jax.vmap(lambda a, i: a[i])(x, (time + step) % n) for step in (-1, 1))
    pairs = ((low, high), (before, after))
    return jnp.concatenate([x, *(part for a, b in pairs for part in (a + b, jnp.abs(a - b)))], -1)


class ProfileNetwork(nn.Module):
    """Outputs [N, O] from profiles and standardised features [N, F]."""

    outputs: int

    @nn.compact
    def __call__(self, seen: Profiles, features: Float[Array, "N F"], train: bool) -> Array:
        mask = seen.mask[..., None]
        x = nn.relu(nn.Dense(WIDTH)(seen.rows)) * mask
        for _ in range(LAYERS):
            x = nn.relu(nn.Dense(WIDTH)(_neighbours(x, seen.frames))) * mask
        mean = x.sum((1, 2)) / jnp.maximum(seen.mask.sum((1, 2)), 1)[:, None]
        pooled = jnp.concatenate([mean, x.max((1, 2))], -1)
        dropped = [nn.Dropout(rate)(y, deterministic=not train) for rate, y in ((0.2, pooled), (0.3, features))]
        x = nn.relu(nn.Dense(32)(jnp.concatenate(dropped, -1)))
        return nn.Dense(self.outputs)(nn.Dropout(0.3)(x, deterministic=not train))


def _loss(out: Array, targets: Array, binary: bool) -> Array:
    known = ~jnp.isnan(targets)
    wanted = jnp.where(known, targets, 0.0)
    each = optax.sigmoid_binary_cross_entropy(out, wanted) if binary else (out - wanted) ** 2
    return jnp.sum(each * known) / jnp.maximum(known.sum(), 1)


@partial(jax.jit, static_argnames=("binary", "updates"))
def fit_profile_networks(
    key: Array,
    seen: Profiles,
    features: Float[Array, "N F"],
    targets: Float[Array, "N O"],
    weights: Float[Array, " N"],
    binary: bool,
    updates: int,
) -> Params:
    """Parameters of an ensemble, stacked; one program for every choice of training rows.

    Args:
        features: standardised.
        targets: 0 or 1 if `binary` (outputs are log-odds), otherwise any numbers; NaN teaches nothing.
        weights: how often each row is drawn, not negative; 0 leaves it out.
    """
    network = ProfileNetwork(targets.shape[1])

    def init(key: Array) -> Params:
        return network.init(key, jax.tree.map(lambda x: x[:1], seen), features[:1], False)

    def loss(params: Params, rows: Array, noise: Array, drop: Array) -> Array:
        batch = jax.tree.map(lambda x: x[rows], seen)
        blurred = features[rows] + NOISE * jax.random.normal(noise, (BATCH, features.shape[1]))
        out = jnp.asarray(network.apply(params, batch, blurred, True, rngs={"dropout": drop}))
        return _loss(out, targets[rows], binary)

    return fit_ensemble(key, init, loss, weights, ENSEMBLE, updates, BATCH, draws=2)


@jax.jit
def profile_outputs(params: Params, seen: Profiles, features: Float[Array, "N F"]) -> Float[Array, "N O"]:
    """The mean output of an ensemble."""
    outputs = params["params"][f"Dense_{LAYERS + 2}"]["bias"].shape[-1]
    network = ProfileNetwork(outputs)
    return jax.vmap(lambda p: jnp.asarray(network.apply(p, seen, features, False)))(params).mean(0)
