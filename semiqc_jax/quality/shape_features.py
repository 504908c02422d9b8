"""Features of where one subject's structures lie: slice-area profiles, pieces, borders and centroids.

Every function takes one subject's `Evidence` (no leading N) of the short axis (LV, myocardium, RV) and returns
named scalars. None depends on the base-to-apex direction or on padding. A
structure that is found nowhere gives the worst value.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.quality.checks import Scalars
from semiqc_jax.segmentation.evidence import Evidence

LV, MYO, RV = 0, 1, 2
TEN_PIXELS_MM2 = 32.4  # ten pixels of 1.8 mm: what the UK Biobank checks take for "present"
WORST_ROUGHNESS, WORST_DISTANCE_MM, WORST_IRREGULARITY, WORST_EXTRA_PIECES = 4.0, 30.0, 10.0, 5.0


def valid_slices(subject: Evidence) -> Bool[Array, "T Z"]:
    """Which (frame, slice) exist."""
    return jnp.asarray(subject.frame_mask)[:, None] & jnp.asarray(subject.slice_mask)[None]


def masked_mean(value: Array, weight: Array, otherwise: float) -> Float[Array, ""]:
    """Weighted mean over all elements; `otherwise` where the weights are all 0."""
    weight = jnp.broadcast_to(weight, value.shape).astype(jnp.float32)
    total = weight.sum()
    return jnp.where(total > 0, jnp.sum(value * weight) / jnp.where(total > 0, total, 1.0), otherwise)


def profile_features(subject: Evidence) -> Scalars:
    """Roughness, gaps and extent of the slice-area profiles, and the RV where it cannot be."""
    valid = valid_slices(subject)
    frames = jnp.asarray(subject.frame_mask)[:, None]
    area = subject.area_mm2 * valid[..., None]
    total = area.sum(1)  # [T, C]
    bend = jnp.abs(area[:, :-2] - 2 * area[:, 1:-1] + area[:, 2:]) * valid[:, 2:, None]
    rough = jnp.where(total > 0, bend.sum(1) / jnp.where(total > 0, total, 1.0), WORST_ROUGHNESS)
    roughness = jnp.sum(rough * frames, 0) / jnp.maximum(frames.sum(), 1)

    present = area > 0
    so_far = jnp.cumsum(present, 1)
    spanned = (so_far > 0) & (so_far < so_far[:, -1:] + present)
    gaps = jnp.sum(spanned & ~present, 1) / jnp.maximum(spanned.sum(1), 1)
    heart = (area[..., LV] >= TEN_PIXELS_MM2) & (area[..., MYO] >= TEN_PIXELS_MM2)
    hearts = jnp.cumsum(heart, 1)
    within = (hearts > 0) & (hearts < hearts[:, -1:] + heart)
    rv_total = area[..., RV].sum()
    rv_alone = jnp.sum(jnp.where(present[..., LV] | present[..., MYO], 0.0, area[..., RV]))
    return {
        "lv_roughness": roughness[LV],
        "myo_roughness": roughness[MYO],
        "rv_roughness": roughness[RV],
        "profile_roughness": roughness.mean(),
        "profile_gaps": masked_mean(jnp.where(total > 0, gaps, 1.0), frames, 1.0),
        "missing": masked_mean((total < TEN_PIXELS_MM2).astype(jnp.float32), frames, 1.0),
        "lv_length": jnp.max(heart @ jnp.asarray(subject.slice_extent_mm)),
        "heart_slices": heart.sum(1).max().astype(jnp.float32),
        "heart_gaps": jnp.sum(within & ~heart, 1).max().astype(jnp.float32),
        "rv_alone": jnp.where(rv_total > 0, rv_alone / jnp.where(rv_total > 0, rv_total, 1.0), 1.0),
    }


def piece_features(subject: Evidence) -> Scalars:
    """Fragments, holes, and how smooth the cavities' borders are."""
    valid = valid_slices(subject)[..., None]
    area = subject.area_mm2 * valid
    square_side = subject.perimeter_mm / 4
    irregularity = jnp.minimum(square_side**2 / jnp.maximum(area, 1e-3), WORST_IRREGULARITY)
    pieces = jnp.minimum(subject.components - 1, WORST_EXTRA_PIECES)
    return {
        "fragments": masked_mean(1 - subject.largest_fraction, area, 1.0),
        "holes": jnp.minimum(masked_mean(subject.holes_mm2 / jnp.maximum(area.sum(-1), 1e-3), area.sum(-1), 1.0), 1.0),
        "extra_pieces": masked_mean(pieces, area > 0, WORST_EXTRA_PIECES),
        "lv_irregularity": masked_mean(irregularity[..., LV], area[..., LV], WORST_IRREGULARITY),
        "rv_irregularity": masked_mean(irregularity[..., RV], area[..., RV], WORST_IRREGULARITY),
    }


def border_features(subject: Evidence) -> Scalars:
    """What the cavities border on, and where the LV's lies within its wall."""
    valid = valid_slices(subject)
    border, rv_border = (subject.perimeter_mm[..., c] * valid for c in (LV, RV))
    both = (subject.area_mm2[..., LV] > 0) & (subject.area_mm2[..., MYO] > 0) & valid
    offset = jnp.linalg.norm(subject.centroid_mm[..., LV, :] - subject.centroid_mm[..., MYO, :], axis=-1)
    return {
        "open_cavity": masked_mean(1 - subject.enclosure, border, 1.0),
        "lv_rv_contact": masked_mean(subject.contact, border, 1.0),
        "rv_attached": masked_mean(jnp.asarray(subject.attachment), rv_border, 0.0),
        "off_centre": masked_mean(jnp.minimum(offset, WORST_DISTANCE_MM), both, WORST_DISTANCE_MM),
    }


def centroid_features(subject: Evidence) -> Scalars:
    """How far centroids jump between neighbouring slices, and move over the frames."""
    present = (subject.area_mm2 > 0) & valid_slices(subject)[..., None]  # [T, Z, C]
    centroid = jnp.asarray(subject.centroid_mm)
    kink = jnp.linalg.norm(centroid[:, 1:-1] - (centroid[:, :-2] + centroid[:, 2:]) / 2, axis=-1)
    triple = present[:, :-2] & present[:, 1:-1] & present[:, 2:]

    count = present.sum(0)
    mean = jnp.sum(centroid * present[..., None], 0) / jnp.maximum(count, 1)[..., None]
    square = jnp.sum(jnp.sum((centroid - mean) ** 2, -1) * present, 0) / jnp.maximum(count, 1)
    nowhere = ~present.any()
    return {
        "centroid_kink": jnp.where(
            nowhere, WORST_DISTANCE_MM, masked_mean(jnp.minimum(kink, WORST_DISTANCE_MM), triple, 0.0)
        ),
        "centroid_motion": masked_mean(
            jnp.minimum(jnp.sqrt(square), WORST_DISTANCE_MM), count > 0, WORST_DISTANCE_MM
        ),
    }
