"""What one segmented slice shows: areas, centroids, borders, connected components and softmax confidence."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jaxtyping import Array, Bool, Float, Int

from semiqc_jax.segmentation.mirrored import Mirrored, agreement_statistics, no_agreement

UNCERTAIN_BELOW = 0.95  # a pixel counts towards confidence where the background's probability is below this


def connected_components(label: Int[Array, "H W"]) -> Int[Array, "H W"]:
    """Number the 4-connected components of every class and of the background by 1 + the largest flat index in each.

    Label propagation: the largest index seen so far runs forwards and backwards along rows and columns, restarted
    where the class changes, until nothing changes; convex shapes take two rounds.
    """
    height, width = label.shape
    base = height * width + 1

    def run_offsets(axis: int) -> tuple[Array, Array]:
        first = jnp.ones_like(jax.lax.slice_in_dim(label, 0, 1, axis=axis), bool)
        change = jnp.concatenate([first, jnp.diff(label, axis=axis) != 0], axis)
        run = jnp.cumsum(change, axis=axis, dtype=jnp.int32)
        return run * base, (max(height, width) - run) * base

    offsets = (run_offsets(0), run_offsets(1))

    def spread(root: Array) -> Array:
        for axis, (forward, backward) in enumerate(offsets):
            ahead = jax.lax.cummax(root + forward, axis=axis) - forward
            behind = jax.lax.cummax(root + backward, axis=axis, reverse=True) - backward
            root = jnp.maximum(ahead, behind)
        return root

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        root, _ = state
        new = spread(root)
        return new, jnp.any(new != root)

    start = jnp.arange(1, base, dtype=jnp.int32).reshape(label.shape)
    root, _ = jax.lax.while_loop(lambda state: state[1], step, (start, jnp.asarray(True)))
    return root


def _component_statistics(
    label: Int[Array, "H W"], masks: Bool[Array, "C H W"], area: Float[Array, " C"]
) -> tuple[Float[Array, " C"], Float[Array, " C"], Float[Array, ""]]:
    """Components of each class, the share of its area in the largest (1 where absent), and enclosed background."""
    padded = jnp.pad(label, 1)  # a frame of background, which ends in the last pixel of all
    root = connected_components(padded)
    size = jnp.zeros(padded.size + 1, jnp.float32).at[root.ravel()].add(1.0)[1:].reshape(padded.shape)
    is_root = (root == jnp.arange(1, padded.size + 1).reshape(padded.shape))[1:-1, 1:-1]
    count = jnp.sum(masks & is_root, (1, 2)).astype(jnp.float32)
    largest = jnp.max(jnp.where(masks & is_root, size[1:-1, 1:-1], 0.0), (1, 2))
    enclosed = jnp.sum((padded == 0) & (root < padded.size)).astype(jnp.float32)
    return count, jnp.where(area > 0, largest / jnp.maximum(area, 1.0), 1.0), enclosed


def _shares_of_border(label: Int[Array, "H W"], n_classes: int) -> tuple[Float[Array, " C"], dict[str, Array]]:
    """Borders in pixel edges, and the shares of a class's that meet another. Beyond the image lies background."""
    padded = jnp.pad(label, 1)
    inner = padded[1:-1, 1:-1]
    around = jnp.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    codes = jnp.arange(1, n_classes + 1)[:, None, None, None]
    border = jnp.sum((inner == codes) & (around != inner), (1, 2, 3)).astype(jnp.float32)

    def share(code: int, other: int, absent: float) -> Array:
        own = border[code - 1] if code <= n_classes else jnp.float32(0)
        meeting = jnp.sum((inner == code) & (around == other)) / jnp.maximum(own, 1.0)
        return jnp.where(own > 0, meeting, absent)

    return border, {"enclosure": share(1, 2, 1.0), "contact": share(1, 3, 0.0), "attachment": share(3, 2, 1.0)}


def slice_statistics(
    probabilities: Float[Array, "H W K"],
    pixel_mm: float | Float[Array, ""],
    image: Float[Array, "H W"],
    mirrored: Mirrored | None = None,
) -> dict[str, Float[Array, ...]]:
    """Everything `Evidence` holds of one slice, from its softmax output. Pure: jit it, vmap it over slices.

    Args:
        probabilities: K = C + 1 probabilities a pixel, background first; the most probable is the label.
        pixel_mm: side of a square pixel.
        image: stored intensities from 0 to 1 on the same grid, not standardised.
        mirrored: the predictions that these probabilities are the mean of; by default it is a single one.

    Returns:
        Every field of `Evidence` that is no geometry, without its leading N, T and Z; `Evidence` says what each is. The
        perimeter is the length of the pixel edges along the border (a disc of radius r has 8 r, not 2 pi r).
    """
    n_codes = probabilities.shape[-1]
    # Without the barrier XLA recomputes the argmax in each of its users: five times slower on CPU.
    label = jax.lax.optimization_barrier(jnp.argmax(probabilities, -1).astype(jnp.int32))
    uncertain = probabilities[..., 0] < UNCERTAIN_BELOW
    n_uncertain = jnp.sum(uncertain).astype(jnp.float32)
    confidence = jnp.sum(jnp.where(uncertain, probabilities.max(-1), 0.0)) / jnp.maximum(n_uncertain, 1.0)
    entropy = jnp.where(uncertain, entr(probabilities).sum(-1), 0.0).sum() / jnp.log(n_codes)
    return {
        **_mask_statistics(label, n_codes - 1, pixel_mm, image),
        **(agreement_statistics(mirrored, uncertain, pixel_mm) if mirrored else no_agreement(n_codes - 1)),
        "confidence": jnp.where(n_uncertain > 0, confidence, 1.0),
        "entropy": entropy / jnp.maximum(n_uncertain, 1.0),
        "uncertain_pixels": n_uncertain,
    }


def _mask_statistics(
    label: Int[Array, "H W"], n_classes: int, pixel_mm: float | Float[Array, ""], image: Float[Array, "H W"]
) -> dict[str, Float[Array, ...]]:
    """What needs no softmax."""
    height, width = label.shape
    masks = label == jnp.arange(1, n_classes + 1)[:, None, None]
    pixels = jnp.sum(masks, (1, 2)).astype(jnp.float32)
    count = jnp.maximum(pixels, 1.0)
    rows = jnp.arange(height) - (height - 1) / 2
    columns = jnp.arange(width) - (width - 1) / 2
    centroid = jnp.stack([masks.sum(2) @ rows / count, masks.sum(1) @ columns / count], -1)
    components, largest_fraction, enclosed = _component_statistics(label, masks, pixels)
    border, shares = _shares_of_border(label, n_classes)
    inside = jnp.where(masks, image, 0.0)
    return {
        "area_mm2": pixels * pixel_mm**2,
        "centroid_mm": centroid * pixel_mm,
        "perimeter_mm": border * pixel_mm,
        "components": components,
        "largest_fraction": largest_fraction,
        "holes_mm2": enclosed * pixel_mm**2,
        **shares,
        "intensity_mean": inside.sum((1, 2)) / count,
        "intensity_max": inside.max((1, 2)),
    }


def label_statistics(
    label: Int[Array, "H W"], n_classes: int, pixel_mm: float | Float[Array, ""]
) -> dict[str, Float[Array, ...]]:
    """`slice_statistics` of a hard label, codes 0 to `n_classes`: confidence 1, entropy 0, intensities 1, no flips."""
    label = jax.lax.optimization_barrier(jnp.asarray(label, jnp.int32))
    return {
        **_mask_statistics(label, n_classes, pixel_mm, jnp.ones(label.shape)),
        **no_agreement(n_classes),
        "confidence": jnp.float32(1),
        "entropy": jnp.float32(0),
        "uncertain_pixels": jnp.sum(label > 0).astype(jnp.float32),
    }
