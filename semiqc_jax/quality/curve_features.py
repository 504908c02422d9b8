"""Features of one subject's curves over the cardiac cycle: volumes, clinical indices and their consistency.

Curves are unsmoothed and stroke volumes signed. End-diastole (ED) is the frame of the largest LV volume,
end-systole (ES) that of the smallest; the cycle is closed, so that the last frame's neighbour is the first.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.quality.checks import Scalars
from semiqc_jax.quality.shape_features import LV, MYO, RV, valid_slices
from semiqc_jax.segmentation.evidence import Evidence

MYOCARDIAL_DENSITY = 1.05  # g/ml
MIN_STROKE_VOLUME_ML, MIN_VOLUME_ML = 10.0, 1.0  # floors of denominators
WORST_RATIO, WORST_PERCENT, WORST_EXCESS, WORST_JUMP = 10.0, 200.0, 3.0, 20.0


def volume_curves(subject: Evidence) -> Float[Array, "T C"]:
    """Volume curves in ml on the network's grid; 0 in padded frames."""
    area = subject.area_mm2 * valid_slices(subject)[..., None]
    return jnp.einsum("tzc,z->tc", area, jnp.asarray(subject.slice_extent_mm)) / 1000.0


def closed_steps(curve: Float[Array, "T ..."], frame_mask: Bool[Array, " T"]) -> Float[Array, "T ..."]:
    """|curve[t + 1] - curve[t]| around the closed cycle of the frames that exist; 0 in padded frames."""
    column = (-1, *([1] * (curve.ndim - 1)))
    last = jnp.arange(curve.shape[0]) == frame_mask.sum() - 1
    following = jnp.where(last.reshape(column), curve[0], jnp.roll(curve, -1, 0))  # a gather is slower
    mask = frame_mask.reshape(column)
    return jnp.abs(following - curve) * mask


def _range(curve: Float[Array, "T ..."], frame_mask: Bool[Array, " T"]) -> Float[Array, ...]:
    mask = frame_mask.reshape(-1, *([1] * (curve.ndim - 1)))
    low, high = jnp.where(mask, curve, jnp.inf).min(0), jnp.where(mask, curve, -jnp.inf).max(0)
    return jnp.where(frame_mask.any(), high - low, 0.0)


def index_features(subject: Evidence) -> Scalars:
    """Clinical indices and how well those of the two ventricles agree."""
    curves = volume_curves(subject)
    frames = jnp.asarray(subject.frame_mask)
    ed = jnp.argmax(jnp.where(frames, curves[:, LV], -jnp.inf))
    es = jnp.argmin(jnp.where(frames, curves[:, LV], jnp.inf))
    lv, myo, rv = curves[ed]
    lv_stroke, rv_stroke = lv - curves[es, LV], rv - curves[es, RV]
    mismatch = (rv_stroke - lv_stroke) / jnp.maximum(lv_stroke, MIN_STROKE_VOLUME_ML)
    mass = myo * MYOCARDIAL_DENSITY
    mean_myo = jnp.sum(curves[:, MYO]) / jnp.maximum(frames.sum(), 1)
    change = _range(curves[:, MYO], frames) / jnp.maximum(mean_myo, MIN_VOLUME_ML)

    def ratio(a: Array, b: Array) -> Array:
        bounded = jnp.minimum(a / jnp.maximum(b, MIN_VOLUME_ML), WORST_RATIO)
        return jnp.where(b >= MIN_VOLUME_ML, bounded, WORST_RATIO)

    def percent(x: Array) -> Array:
        return jnp.clip(100.0 * x, -WORST_PERCENT, WORST_PERCENT)

    area = subject.area_mm2[..., LV] * valid_slices(subject)
    grown = jnp.sum(jnp.maximum(area[es] - area[ed], 0.0)) / jnp.maximum(area[ed].sum(), 1e-3)
    return {
        "lv_edv": lv,
        "rv_edv": rv,
        "lv_mass": mass,
        "lv_ef": percent(lv_stroke / jnp.maximum(lv, MIN_VOLUME_ML)),
        "rv_ef": percent(rv_stroke / jnp.maximum(rv, MIN_VOLUME_ML)),
        "stroke_volume_mismatch": percent(mismatch),
        "rv_lv_ratio": ratio(rv, lv),
        "mass_to_volume": ratio(mass, lv),
        "mass_change": jnp.where(mean_myo > 0, percent(change), WORST_PERCENT),
        "paradoxical_motion": jnp.where(lv > 0, jnp.minimum(percent(grown), 100.0), 100.0),
    }


def cycle_features(subject: Evidence) -> Scalars:
    """Smoothness over the cycle. With two or three frames nothing can be said and all are 0.

    A volume that falls once and rises once travels twice its range; the excess over that does not depend on
    the number of frames.
    """
    frames = jnp.asarray(subject.frame_mask)
    n = frames.sum()
    curves = volume_curves(subject)[:, jnp.array([LV, RV])]
    steps, span = closed_steps(curves, frames), jnp.maximum(_range(curves, frames), MIN_VOLUME_ML)
    absent = jnp.any(curves.sum(0) == 0)
    excess = jnp.maximum(steps.sum(0) / (2 * span) - 1, 0.0).mean()
    jump = jnp.max(steps / span) * n

    area = subject.area_mm2 * valid_slices(subject)[..., None]
    travel, area_span = closed_steps(area, frames).sum(), _range(area, frames).sum()
    slice_excess = jnp.maximum(travel / (2 * jnp.maximum(area_span, 1.0)) - 1, 0.0)

    def where_cine(value: Array, worst: float) -> Array:
        return jnp.where(n > 3, jnp.where(absent, worst, jnp.minimum(value, worst)), 0.0)

    return {
        "curve_excess": where_cine(excess, WORST_EXCESS),
        "volume_jump": where_cine(jump, WORST_JUMP),
        "slice_excess": where_cine(slice_excess, WORST_EXCESS),
    }
