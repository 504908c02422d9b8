"""Label volumes broken on purpose, the way segmentation networks break them: what classifiers learn from.

Networks fail on whole slices near base and apex, move borders differently on every slice and frame, lose a
structure on a slice, go on past the heart's end and paint blobs elsewhere. In one plane over a cycle (aorta) they
also lose or exchange a vessel for a run of frames, or miss that it pulsates. Pure JAX: jit it, vmap it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from semiqc_jax.anatomy import AORTA, SHORT_AXIS, Task

LABEL = Int[Array, "T Z Y X"]
CHANCE_NEIGHBOUR, CHANCE_FRAME = 0.35, 0.1  # of a slice; times `hit`, like the next line
CHANCE_LOST, CHANCE_SWAP, CHANCE_BLOB = 0.3, 0.06, 0.3
CHANCE_RUN_LOST, CHANCE_RUN_SWAP, CHANCE_FROZEN = 0.3, 0.15, 0.3  # of a cycle; times `hit`
SHIFT_SHARE, WARP_SHARE = 0.02, 0.03  # of the field's side
NOISE_FINE, NOISE_WIDE, NOISE_CONSTANT = 0.5, 0.75, 0.6  # of a probability
WARP_CELLS, WIDE_CELLS, FINE_CELLS = 5, 6, 16  # bumps along the field's side


class Scene(NamedTuple):
    """What damage depends on beside the label."""

    n_classes: int
    n_frames: int | Int[Array, ""]  # how many of the T frames exist, where the rest is padding
    field: int  # side in pixels of the image that the label is the middle of: sizes are shares of it


class Damage(NamedTuple):
    """A way to break a label; `hit` [T, Z, K] holds the strength of each of its K kinds."""

    apply: Callable[[PRNGKeyArray, LABEL, Float[Array, "T Z K"], Scene], LABEL]
    kinds: tuple[str, ...]


def normal(key: PRNGKeyArray, *shape: int) -> Array:
    """Gaussian noise, drawn flat: XLA on CPU compiles a draw of five dimensions for many seconds."""
    return jax.random.normal(key, (math.prod(shape),)).reshape(shape)


def uniform(key: PRNGKeyArray, *shape: int) -> Array:
    """Uniform noise in [0, 1), drawn flat."""
    return jax.random.uniform(key, (math.prod(shape),)).reshape(shape)


def smooth_fields(key: PRNGKeyArray, count: tuple[int, ...], shape: tuple[int, ...], cells: int, field: int) -> Array:
    """Smooth Gaussian noise [*count, *shape] of unit variance with about `cells` bumps on `field` pixels."""
    cells = max(2, round(cells * max(shape) / field))
    return jax.image.resize(normal(key, *count, cells, cells), (*count, *shape), "cubic")


def slice_severity(
    key: PRNGKeyArray, label: LABEL, severity: float | Float[Array, ""]
) -> Float[Array, "T Z"]:
    """How badly each slice is hit: most a little, some badly, those at the ends of the heart more often."""
    present = (label > 0).any((2, 3)).astype(jnp.int32)
    from_first = jnp.cumsum(present, 1)
    from_last = jnp.cumsum(present[:, ::-1], 1)[:, ::-1]
    at_end = (jnp.minimum(from_first, from_last) <= 2) & (label.shape[1] > 1)  # a plane has no ends
    by_slice, by_frame = uniform(key, 2, *present.shape)
    shared = by_slice[:1]  # a slice that is hard in one frame is hard in the others
    extra = 0.5 * at_end * jnp.maximum(shared, by_frame)
    return severity * (0.2 + 0.5 * shared**2 + 0.3 * by_frame**2 + extra)


def misplaced_slices(key: PRNGKeyArray, label: LABEL, hit: Float[Array, "T Z 1"], scene: Scene) -> LABEL:
    """Give some slices the segmentation of a neighbouring slice or of another frame."""
    n_t, n_z = label.shape[:2]
    hit = hit[..., 0]
    neighbour, side, other, frame = uniform(key, 4, n_t, n_z)
    step = jnp.where(neighbour < CHANCE_NEIGHBOUR * hit, jnp.where(side < 0.5, 1, -1), 0)
    z = jnp.clip(jnp.arange(n_z) + step, 0, n_z - 1)
    drawn = jnp.floor(frame * scene.n_frames).astype(jnp.int32)
    t = jnp.where(other < CHANCE_FRAME * hit, drawn, jnp.arange(n_t)[:, None])
    return label[t, z]


def warped(key: PRNGKeyArray, label: LABEL, hit: Float[Array, "T Z 1"], scene: Scene) -> LABEL:
    """Shift every slice and deform it smoothly."""
    n_t, n_z, *shape = label.shape
    bending, shifting = jax.random.split(key)
    bend = smooth_fields(bending, (2, n_t, n_z), tuple(shape), WARP_CELLS, scene.field) * WARP_SHARE
    shift = normal(shifting, 2, n_t, n_z, 1, 1)
    move = (bend + shift * jnp.abs(shift) * SHIFT_SHARE) * hit[..., None] * scene.field
    at = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape), indexing="ij"))[:, None, None] + move
    at = jnp.round(at).astype(jnp.int32)
    inside = jnp.all((at >= 0) & (at < jnp.array(shape).reshape(2, 1, 1, 1, 1)), 0)
    t, z = jnp.arange(n_t).reshape(-1, 1, 1, 1), jnp.arange(n_z).reshape(-1, 1, 1)
    return jnp.where(inside, label[t, z, at[0], at[1]], 0)


def unsure_borders(key: PRNGKeyArray, label: LABEL, hit: Float[Array, "T Z 3"], scene: Scene) -> LABEL:
    """Blur one-hot maps, add smooth noise and take the largest: borders move, holes and fragments appear.

    `hit` is the strength of fine noise, of wide noise, and of a constant part, which makes a class grow or
    shrink on the whole slice (dilation, erosion).
    """
    n_t, n_z, *shape = label.shape
    count = (scene.n_classes + 1, n_t, n_z)
    sure = jax.nn.one_hot(label, scene.n_classes + 1, axis=0)
    coarse = jax.image.resize(sure, (*count, shape[0] // 5 + 1, shape[1] // 5 + 1), "linear")
    blurred = jax.image.resize(coarse, sure.shape, "linear")
    keys = jax.random.split(key, 3)
    share = jnp.array([NOISE_FINE, NOISE_WIDE, NOISE_CONSTANT])
    fine, wide, constant = jnp.moveaxis(hit * share, -1, 0)[..., None, None]
    noise = fine * smooth_fields(keys[0], count, tuple(shape), FINE_CELLS, scene.field)
    noise += wide * smooth_fields(keys[1], count, tuple(shape), WIDE_CELLS, scene.field)
    noise += constant * normal(keys[2], *count, 1, 1)
    return jnp.argmax(0.55 * sure + 0.45 * blurred + noise, 0)


def recoded(label: LABEL, codes: Int[Array, "T Z C"]) -> LABEL:
    """Give every class of every slice the code in `codes`."""
    codes = jnp.pad(codes, ((0, 0), (0, 0), (1, 0)))
    return jnp.take_along_axis(codes, label.reshape(*label.shape[:2], -1), -1).reshape(label.shape)


def lost_and_found(key: PRNGKeyArray, label: LABEL, hit: Float[Array, "T Z 3"], scene: Scene) -> LABEL:
    """Lose classes, exchange them, and paint a disc of one somewhere; `hit` has the strength of each."""
    n_t, n_z, *shape = label.shape
    n_classes = scene.n_classes
    losing, others = jax.random.split(key)
    order, lost = uniform(losing, 2, n_t, n_z, n_classes)
    swap, painted, kind, size, *place = uniform(others, 6, n_t, n_z)
    swapped = (swap < CHANCE_SWAP * hit[..., 1])[..., None]
    exchanged = jnp.where(swapped, jnp.argsort(order), jnp.arange(n_classes))
    label = recoded(label, jnp.where(lost < CHANCE_LOST * hit[..., :1], 0, exchanged + 1))

    rows, columns = jnp.meshgrid(*map(jnp.arange, shape), indexing="ij")
    y, x = (side / 2 + (0.6 * p[..., None, None] - 0.3) * scene.field for p, side in zip(place, shape, strict=True))
    radius = (0.02 + 0.1 * size**2) * scene.field * (painted < CHANCE_BLOB * hit[..., 2])
    disc = (rows - y) ** 2 + (columns - x) ** 2 < radius[..., None, None] ** 2
    return jnp.where(disc, 1 + jnp.floor(kind * n_classes).astype(label.dtype)[..., None, None], label)


def lasting_errors(key: PRNGKeyArray, label: LABEL, hit: Float[Array, "T Z 3"], scene: Scene) -> LABEL:
    """Lose a class or exchange two for a run of frames, or repeat one frame in all; `hit` has the strength of each."""
    n_t = label.shape[0]
    strength = hit[0].mean(0)
    start, length, which, lost, swap, still, frame = uniform(key, 7)
    after = (jnp.arange(n_t) - jnp.floor(start * scene.n_frames)) % scene.n_frames
    during = (after < jnp.ceil(length * scene.n_frames))[:, None, None]
    codes = jnp.arange(1, scene.n_classes + 1)
    gone = codes - 1 == jnp.floor(which * scene.n_classes)
    lost_codes = jnp.where(gone & (lost < CHANCE_RUN_LOST * strength[0]), 0, codes)
    new_codes = jnp.where(swap < CHANCE_RUN_SWAP * strength[1], lost_codes[::-1], lost_codes)
    label = recoded(label, jnp.broadcast_to(jnp.where(during, new_codes, codes), (*label.shape[:2], scene.n_classes)))
    frozen = label[jnp.floor(frame * scene.n_frames).astype(jnp.int32)]
    return jnp.where(still < CHANCE_FROZEN * strength[2], frozen, label)


SLICE_ERRORS = (
    Damage(misplaced_slices, ("misplaced",)),
    Damage(warped, ("warp",)),
    Damage(unsure_borders, ("fine", "wide", "constant")),
    Damage(lost_and_found, ("lost", "swap", "blob")),
)
DAMAGES: Mapping[str, tuple[Damage, ...]] = MappingProxyType(
    {
        SHORT_AXIS.name: SLICE_ERRORS,
        AORTA.name: (Damage(lasting_errors, ("run_lost", "run_swap", "frozen")), *SLICE_ERRORS),
    }
)


def corrupt(
    key: PRNGKeyArray,
    label: LABEL,
    severity: float | Float[Array, ""],
    task: Task,
    n_frames: int | Int[Array, ""] | None = None,
    field: int | None = None,
) -> LABEL:
    """Break a label volume; severity 0 leaves it as it is, 1 spoils much of it.

    Args:
        key: random key; the damage depends on nothing else.
        label: canonical codes of `task`, on the network's grid or cut from its middle.
        severity: in [0, 1].
        n_frames: how many of the T frames exist, where the rest is padding.
        field: side of the grid in pixels, where the label was cut from it.
    """
    label = jnp.asarray(label, jnp.int32)
    damages = DAMAGES[task.name]
    n_frames = label.shape[0] if n_frames is None else n_frames
    field = max(label.shape[2:]) if field is None else field
    place, mixture, *keys = jax.random.split(key, 2 + len(damages))
    # Each volume has its own mixture of kinds.
    mix = uniform(mixture, sum(len(damage.kinds) for damage in damages)) ** 2
    hit = slice_severity(place, label, severity)[..., None] * 1.5 * mix / mix.max()
    at, scene = 0, Scene(task.n_classes, n_frames, field)
    for own_key, (apply, kinds) in zip(keys, damages, strict=True):
        label = apply(own_key, label, hit[..., at : at + len(kinds)], scene)
        at += len(kinds)
    return label


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
