"""Volume curves of a large cohort, the checks that read nothing but curves, and the same checks as a NumPy loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from semiqc_jax.quality.checks import Rule
from semiqc_jax.quality.curve_features import (
    MIN_STROKE_VOLUME_ML,
    MIN_VOLUME_ML,
    MYOCARDIAL_DENSITY,
    WORST_EXCESS,
    WORST_JUMP,
    WORST_PERCENT,
    WORST_RATIO,
    cycle_features,
    index_features,
)
from semiqc_jax.quality.rules import MARGIN_LIMIT
from semiqc_jax.quality.short_axis import SHORT_AXIS_CHECKS
from semiqc_jax.segmentation.evidence import Evidence

N_FRAMES = 50
SPANS = ((60.0, 280.0), (0.2, 0.7), (0.7, 1.4), (0.6, 1.4))  # LV EDV in ml, LV EF, RV and myocardium over LV
ON_CURVES = (
    *("lv_edv", "rv_edv", "lv_mass", "lv_ef", "rv_ef", "stroke_volume_mismatch", "rv_lv_ratio", "mass_to_volume"),
    *("mass_change", "curve_excess", "volume_jump"),
)
CURVE_CHECKS = replace(
    SHORT_AXIS_CHECKS,
    features=tuple(f for f in SHORT_AXIS_CHECKS.features if f.name in ON_CURVES),
    groups=(index_features, cycle_features),
    rules=tuple(r for r in SHORT_AXIS_CHECKS.rules if r.name in ON_CURVES),
)


def curve_cohort(n_subjects: int, n_frames: int = N_FRAMES) -> Evidence:
    """Evidence that holds curves alone: one slice of the whole heart. A tenth of the subjects lose a frame."""
    random = np.random.default_rng(0)
    edv, ef, rv, mass = (random.uniform(low, high, (n_subjects, 1)) for low, high in SPANS)
    systole = (1 - np.cos(2 * np.pi * np.arange(n_frames) / n_frames)) / 2
    lv = edv * (1 - ef * systole)
    curves = np.stack([lv, np.broadcast_to(mass * edv, lv.shape), rv * lv], -1)
    curves += random.normal(0, 1, curves.shape)
    lost = np.flatnonzero(random.random(n_subjects) < 0.1)
    curves[lost, random.integers(0, n_frames, len(lost))] *= 0.6
    nothing: dict[str, Any] = {name: np.zeros((n_subjects, 0), np.float32) for name in Evidence._fields}
    shown = {
        "frame_mask": np.ones((n_subjects, n_frames), bool),
        "slice_mask": np.ones((n_subjects, 1), bool),
        "slice_extent_mm": np.full((n_subjects, 1), 10, np.float32),
        "area_mm2": (100 * curves[:, :, None]).astype(np.float32),
    }
    return Evidence(**{**nothing, **shown})


def scores_in_a_loop(evidence: Evidence) -> Float[NDArray, " N"]:
    """The score by `CURVE_CHECKS`, subject by subject."""
    return np.array([_score(area[:, 0] / 100) for area in np.asarray(evidence.area_mm2)], np.float32)


def _score(curves: Float[NDArray, "T 3"]) -> float:
    values = _features(curves)
    total = weights = 0.0
    for rule in CURVE_CHECKS.rules:
        margin = min(_margins(rule, values[rule.name]), default=MARGIN_LIMIT)
        margin = min(max(margin, -MARGIN_LIMIT), MARGIN_LIMIT)
        total -= rule.weight * np.log1p(np.exp(-margin))
        weights += rule.weight
    return float(np.exp(total / weights))


def _margins(rule: Rule, value: float) -> Iterator[float]:
    if rule.low is not None:
        yield (value - rule.low) / rule.softness
    if rule.high is not None:
        yield (rule.high - value) / rule.softness


def _features(curves: Float[NDArray, "T 3"]) -> dict[str, float]:
    ed, es = curves[:, 0].argmax(), curves[:, 0].argmin()
    lv, myo, rv = curves[ed]
    lv_stroke, rv_stroke = lv - curves[es, 0], rv - curves[es, 2]
    mass = myo * MYOCARDIAL_DENSITY
    steps = np.abs(np.roll(curves, -1, 0) - curves)[:, [0, 2]]
    span = np.maximum(np.ptp(curves[:, [0, 2]], axis=0), MIN_VOLUME_ML)

    def percent(x: float) -> float:
        return float(np.clip(100 * x, -WORST_PERCENT, WORST_PERCENT))

    return {
        "lv_edv": lv,
        "rv_edv": rv,
        "lv_mass": mass,
        "lv_ef": percent(lv_stroke / max(lv, MIN_VOLUME_ML)),
        "rv_ef": percent(rv_stroke / max(rv, MIN_VOLUME_ML)),
        "stroke_volume_mismatch": percent((rv_stroke - lv_stroke) / max(lv_stroke, MIN_STROKE_VOLUME_ML)),
        "rv_lv_ratio": min(rv / max(lv, MIN_VOLUME_ML), WORST_RATIO),
        "mass_to_volume": min(mass / max(lv, MIN_VOLUME_ML), WORST_RATIO),
        "mass_change": percent(np.ptp(curves[:, 1]) / max(curves[:, 1].mean(), MIN_VOLUME_ML)),
        "curve_excess": min(np.maximum(steps.sum(0) / (2 * span) - 1, 0).mean(), WORST_EXCESS),
        "volume_jump": min((steps / span).max() * len(curves), WORST_JUMP),
    }
