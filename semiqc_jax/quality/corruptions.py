"""Label volumes broken on purpose, the way segmentation networks break them: what classifiers learn from.

Networks fail on whole slices near base and apex, move borders differently on every slice and frame, lose a
structure on a slice, go on past the heart's end and paint blobs elsewhere. Pure JAX: jit it, vmap it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

LABEL = Int[Array, "T Z Y X"]
# Chances per slice at full severity, before the slice's own severity.
CHANCE_NEIGHBOUR, CHANCE_FRAME, CHANCE_SWAP, CHANCE_LOST, CHANCE_BLOB = 0.35, 0.1, 0.06, 0.3, 0.3
SHIFT_SHARE, WARP_SHARE = 0.03, 0.03  # of the image's side
NOISE_FINE, NOISE_WIDE, NOISE_CONSTANT = 0.4, 0.6, 0.5  # of a probability
KINDS = ("misplaced", "warp", "fine", "wide", "constant", "lost", "swap", "blob")


def smooth_field(key: PRNGKeyArray, shape: tuple[int, ...], cells: int) -> Float[Array, "Y X"]:
    """Gaussian noise of unit variance at its nodes, about `cells` bumps along each side."""
    return jax.image.resize(jax.random.normal(key, (cells, cells)), shape, "cubic")


def slice_severity(key: PRNGKeyArray, label: LABEL, severity: Float[Array, ""]) -> Float[Array, "T Z"]:
    """How badly each slice is hit: most a little, some badly, those at the ends of the heart more often."""
    present = (label > 0).any((2, 3)).astype(jnp.int32)
    from_first = jnp.cumsum(present, 1)
    from_last = jnp.cumsum(present[:, ::-1], 1)[:, ::-1]
    at_end = (jnp.minimum(from_first, from_last) <= 2).astype(jnp.float32)
    by_slice, by_frame = jax.random.uniform(key, (2, *present.shape))
    shared = by_slice[:1]  # a slice that is hard in one frame is hard in the others
    extra = 0.5 * at_end * jnp.maximum(shared, by_frame)
    return severity * (0.2 + 0.5 * shared**2 + 0.3 * by_frame**2 + extra)


def misplaced_slices(
    key: PRNGKeyArray, label: LABEL, hit: Float[Array, "T Z"], n_frames: Int[Array, ""]
) -> LABEL:
    """Give some slices the segmentation of a neighbouring slice or of another frame."""
    n_t, n_z = label.shape[:2]
    keys = jax.random.split(key, 4)
    neighbour = jax.random.bernoulli(keys[0], jnp.clip(CHANCE_NEIGHBOUR * hit, 0, 1))
    step = jnp.where(jax.random.bernoulli(keys[1], 0.5, hit.shape), 1, -1)
    z = jnp.clip(jnp.arange(n_z) + neighbour * step, 0, n_z - 1)
    other = jax.random.bernoulli(keys[2], jnp.clip(CHANCE_FRAME * hit, 0, 1))
    t = jnp.where(other, jax.random.randint(keys[3], hit.shape, 0, n_frames), jnp.arange(n_t)[:, None])
    return label[t, z]


def warped(key: PRNGKeyArray, label: Int[Array, "Y X"], hit: Float[Array, ""]) -> Int[Array, "Y X"]:
    """Shift a slice and deform it smoothly."""
    shape, side = label.shape, max(label.shape)
    keys = jax.random.split(key, 3)
    bend = jnp.stack([smooth_field(k, shape, 5) for k in jax.random.split(keys[0])]) * WARP_SHARE
    shift = jax.random.normal(keys[1], (2, 1, 1)) * SHIFT_SHARE * jax.random.uniform(keys[2]) ** 2
    at = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape), indexing="ij")) + (bend + shift) * hit * side
    at = jnp.round(at).astype(jnp.int32)
    inside = jnp.all((at >= 0) & (at < jnp.array(shape)[:, None, None]), 0)
    return jnp.where(inside, label[at[0], at[1]], 0)


def unsure_borders(
    key: PRNGKeyArray, label: Int[Array, "Y X"], hit: Float[Array, " 3"], n_classes: int
) -> Int[Array, "Y X"]:
    """Blur one-hot maps, add smooth noise and take the largest: borders move, holes and fragments appear.

    `hit` is the strength of fine noise, of wide noise, and of a constant part, which makes a class grow or
    shrink on the whole slice (dilation, erosion).
    """
    sure = jax.nn.one_hot(label, n_classes + 1, axis=0)
    coarse = (n_classes + 1, label.shape[0] // 5 + 1, label.shape[1] // 5 + 1)
    blurred = jax.image.resize(jax.image.resize(sure, coarse, "linear"), sure.shape, "linear")
    fine, wide, whole = jax.random.split(key, 3)

    def field(key: PRNGKeyArray, cells: int) -> Array:
        return jax.vmap(lambda k: smooth_field(k, label.shape, cells))(jax.random.split(key, n_classes + 1))

    constant = jax.random.normal(whole, (n_classes + 1, 1, 1))
    noise = NOISE_FINE * hit[0] * field(fine, 16) + NOISE_WIDE * hit[1] * field(wide, 6)
    return jnp.argmax(0.3 * sure + 0.7 * blurred + noise + NOISE_CONSTANT * hit[2] * constant, 0)


def lost_and_found(
    key: PRNGKeyArray, label: Int[Array, "Y X"], hit: Float[Array, " 3"], n_classes: int
) -> Int[Array, "Y X"]:
    """Lose classes, exchange them, and paint a disc of one somewhere; `hit` has the strength of each."""
    keys = jax.random.split(key, 6)
    permuted = jax.random.permutation(keys[0], jnp.arange(1, n_classes + 1))
    swap = jax.random.bernoulli(keys[1], jnp.clip(CHANCE_SWAP * hit[1], 0, 1))
    lost = jax.random.bernoulli(keys[2], jnp.clip(CHANCE_LOST * hit[0] * jnp.ones(n_classes), 0, 1))
    code = jnp.where(swap, permuted, jnp.arange(1, n_classes + 1)) * ~lost
    label = jnp.concatenate([jnp.zeros(1, code.dtype), code])[label]

    place = jax.random.uniform(keys[3], (4,))
    centre = (place[:2] * 0.6 + 0.2) * jnp.array(label.shape)
    rows, columns = jnp.meshgrid(*map(jnp.arange, label.shape), indexing="ij")
    radius = (0.02 + 0.1 * place[2] ** 2) * max(label.shape)
    disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    painted = jax.random.bernoulli(keys[4], jnp.clip(CHANCE_BLOB * hit[2], 0, 1))
    return jnp.where(disc & painted, jax.random.randint(keys[5], (), 1, n_classes + 1), label)


def corrupt(
    key: PRNGKeyArray,
    label: LABEL,
    severity: float | Float[Array, ""],
    n_classes: int,
    n_frames: int | Int[Array, ""] | None = None,
) -> LABEL:
    """Break a label volume; severity 0 leaves it as it is, 1 spoils much of it.

    Args:
        key: random key; the result depends on nothing else.
        label: canonical codes 0 to `n_classes`, on the network's grid.
        severity: in [0, 1].
        n_frames: how many of the T frames exist, where the rest is padding.
    """
    n_t, n_z = label.shape[:2]
    place, mixture, order, *by_slice = jax.random.split(key, 6)
    mix = jax.random.uniform(mixture, (len(KINDS),)) ** 2  # each volume has its own mixture of kinds
    hit = slice_severity(place, label, jnp.asarray(severity, jnp.float32))[..., None] * mix / mix.max() * 1.5
    label = misplaced_slices(order, label, hit[..., 0], jnp.asarray(n_t if n_frames is None else n_frames))

    def one(keys: PRNGKeyArray, label: Array, hit: Array) -> Array:
        label = warped(keys[0], label, hit[1])
        label = unsure_borders(keys[1], label, hit[2:5], n_classes)
        return lost_and_found(keys[2], label, hit[5:8], n_classes).astype(jnp.int32)

    keys = jnp.stack([jax.random.split(k, (n_t, n_z)) for k in by_slice], 2)
    return jax.vmap(jax.vmap(one))(keys, label, hit)


def mean_dice(
    a: LABEL, b: LABEL, n_classes: int, frame_mask: Bool[Array, " T"] | None = None
) -> Float[Array, ""]:
    """Mean over classes and frames of the 3-D Dice; a class that both lack in a frame is left out."""
    codes = jnp.arange(1, n_classes + 1)[:, None, None, None, None]
    in_a, in_b = a[None] == codes, b[None] == codes
    size = (in_a.sum((2, 3, 4)) + in_b.sum((2, 3, 4))).astype(jnp.float32)
    counted = size > 0 if frame_mask is None else (size > 0) & frame_mask
    dice = 2 * (in_a & in_b).sum((2, 3, 4)) / jnp.maximum(size, 1.0)
    return jnp.sum(dice * counted) / jnp.maximum(counted.sum(), 1)
