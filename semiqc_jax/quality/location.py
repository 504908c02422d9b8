"""Where a segmentation failed: the frame and the slice that add most to the heaviest rule it fails."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from semiqc_jax.anatomy import TASKS
from semiqc_jax.quality.checks import Checks
from semiqc_jax.quality.score import Quality
from semiqc_jax.quality.shape_features import valid_slices
from semiqc_jax.segmentation.evidence import Evidence

NOWHERE = -1
KIND: Mapping[str, str] = MappingProxyType(
    {  # rule, without the class that it is of -> the map that shows it; other rules are of the whole
        **dict.fromkeys(("profile_roughness", "centroid_kink"), "neighbours"),
        **dict.fromkeys(("missing", "profile_gaps", "heart_gaps", "heart_slices"), "absent"),
        **dict.fromkeys(("fragments", "stray_area"), "fragments"),
        **dict.fromkeys(("volume_jump", "curve_excess", "slice_excess", "mass_change", "paradoxical_motion"), "step"),
        **dict.fromkeys(("area_ratio", "step_ratio", "excess", "roughness", "drift", "axis_turn"), "step"),
        **dict.fromkeys(("irregularity", "off_centre"), "border"),
        **dict.fromkeys(("lv_rv_contact", "touching"), "contact"),
        "open_cavity": "open",
        "confidence": "doubt",
        "flip_agreement": "flips",
        "holes": "holes",
        "rv_attached": "detached",
        **dict.fromkeys(("peak_ejection", "peak_filling"), "step"),
    }
)
KINDS = tuple(dict.fromkeys(KIND.values()))


def _maps(subject: Evidence) -> dict[str, Float[Array, "T Z"]]:
    """How much each frame and slice of one subject adds to each kind of failure; 0 where there is nothing to see."""
    valid = valid_slices(subject)
    area = subject.area_mm2 * valid[..., None]
    present = area > 0
    bend = jnp.abs(area[:, :-2] - 2 * area[:, 1:-1] + area[:, 2:]) * valid[:, 2:, None]
    so_far = jnp.cumsum(present, 1)
    within = (so_far > 0) & (so_far < so_far[:, -1:] + present)
    nothing = ~present.any(1, keepdims=True) & valid[..., None]
    n = jnp.maximum(jnp.asarray(subject.frame_mask).sum(), 1)
    frame = jnp.arange(area.shape[0])
    before, after = area[(frame - 1) % n], area[(frame + 1) % n]
    square = (subject.perimeter_mm / 4) ** 2
    border = jnp.asarray(subject.perimeter_mm)[..., 0]
    return {
        "neighbours": jnp.pad(bend.sum(-1), ((0, 0), (1, 1)))[:, : area.shape[1]],  # a single plane has none
        "absent": (within & ~present | nothing).sum(-1).astype(jnp.float32),
        "fragments": jnp.sum((1 - subject.largest_fraction) * area, -1),
        "step": jnp.sum(jnp.maximum(jnp.abs(area - before), jnp.abs(area - after)), -1) * valid,
        "border": jnp.sum(jnp.maximum(square - area, 0.0), -1) * valid,
        "contact": subject.contact * border * valid,
        "open": (1 - subject.enclosure) * border * valid,
        "doubt": (1 - subject.confidence) * valid,
        "flips": jnp.sum(subject.flip_area_mm2 - subject.flip_overlap_mm2, -1) * valid,
        "holes": subject.holes_mm2 * valid,
        "detached": (1 - subject.attachment) * jnp.asarray(subject.perimeter_mm)[..., -1] * valid,
    }


def _kind_of(rule: str, checks: Checks) -> int:
    """The place in `KINDS` of the map that shows a rule; `NOWHERE` for a rule of the whole."""
    plain = {rule, *(rule.removeprefix(f"{name}_") for name in TASKS[checks.task].classes)}
    return next((KINDS.index(KIND[name]) for name in sorted(plain) if name in KIND), NOWHERE)


@partial(jax.jit, static_argnames="checks")
def worst_places(evidence: Evidence, quality: Quality, checks: Checks) -> Int[Array, "N 2"]:
    """(frame, slice) that adds most to the heaviest failed rule that has a place; -1 where no such rule failed.

    Args:
        quality: of `assess_rules` by the same checks.
    """
    kind = jnp.array([_kind_of(rule.name, checks) for rule in checks.rules])
    weight = jnp.array([rule.weight for rule in checks.rules])

    def of_one(subject: Evidence, flags: Array) -> Array:
        shown = jnp.where(flags & (kind != NOWHERE), weight, 0.0)
        maps = jnp.stack([_maps(subject)[name] for name in KINDS])
        chosen = jnp.nan_to_num(maps[kind[jnp.argmax(shown)]], nan=jnp.inf)
        place = jnp.stack(jnp.unravel_index(jnp.argmax(chosen), chosen.shape))
        return jnp.where((shown.max() > 0) & (chosen.max() > 0), place, NOWHERE)

    return jax.vmap(of_one)(jax.tree.map(jnp.asarray, evidence), quality.flags)
