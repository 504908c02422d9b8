"""Features of the ascending and descending aorta over the cardiac cycle, from one plane.

Every function takes one subject's `Evidence` (no leading N) of the aortic task (one slice, two classes) and
returns named scalars. The cycle is closed: the last frame's neighbour is the first; with three frames or
fewer neighbours are no neighbours in time, and what compares them is 0 (ratios 1). A vessel that is found
nowhere gives the worst value; single frames without it are counted by `missing` and otherwise left out.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.anatomy import AORTA
from semiqc_jax.quality.checks import Scalars
from semiqc_jax.quality.two_curves import lag_and_correlation
from semiqc_jax.segmentation.evidence import Evidence

VESSELS = AORTA.classes  # ascending, descending
WORST_RATIO, WORST_PERCENT, WORST_EXCESS, WORST_IRREGULARITY = 10.0, 200.0, 5.0, 10.0
WORST_DISTANCE_MM, WORST_TURN_DEG, WORST_LAG = 100.0, 180.0, 50.0
LEAST_PULSATION = 0.1  # of the mean area: a smaller range is no scale for jitter of the border


class Cycle(NamedTuple):
    """What the frames of one subject show of both vessels; padded frames come last."""

    area: Float[Array, "T 2"]  # mm^2, 0 where absent or padded
    present: Bool[Array, "T 2"]
    frames: Bool[Array, " T"]
    n: Array  # number of frames

    @property
    def following(self) -> Array:
        """The frame after each."""
        return (jnp.arange(len(self.frames)) + 1) % jnp.maximum(self.n, 1)

    @property
    def mean(self) -> Float[Array, " 2"]:
        """Mean area over the frames that show the vessel; 0 where none does."""
        return self.area.sum(0) / jnp.maximum(self.present.sum(0), 1)

    def largest(self, value: Float[Array, "T 2"], mask: Bool[Array, "T 2"], otherwise: float) -> Float[Array, " 2"]:
        """Largest value over the frames of `mask`; `otherwise` where there is none, never more than that."""
        return jnp.minimum(jnp.where(mask, value, -jnp.inf).max(0), otherwise) * mask.any(0) + otherwise * ~mask.any(0)


def cycle_of(subject: Evidence) -> Cycle:
    """Areas of both vessels over the frames."""
    frames = jnp.asarray(subject.frame_mask)
    area = jnp.where(frames[:, None], subject.area_mm2[:, 0], 0.0)
    return Cycle(area, area > 0, frames, frames.sum())


def _by_vessel(name: str, values: Float[Array, " 2"]) -> Scalars:
    return {f"{vessel}_{name}": values[c] for c, vessel in enumerate(VESSELS)}


def area_features(subject: Evidence) -> Scalars:
    """Which frames show the vessels, how large they are and by how much they pulsate."""
    cycle = cycle_of(subject)
    area, present = cycle.area, cycle.present
    high, low = area.max(0), jnp.where(present, area, jnp.inf).min(0)
    found = present.any(0)
    ratio = jnp.where(found, high / jnp.where(found, low, 1.0), WORST_RATIO)
    following = area[cycle.following]
    both = present & present[cycle.following] & (cycle.n > 3)
    step = jnp.maximum(area, following) / jnp.maximum(jnp.minimum(area, following), 1e-3)
    step = jnp.maximum(cycle.largest(step, both, WORST_RATIO) * both.any(0), 1.0)
    mean = cycle.mean
    stray = jnp.where(cycle.frames[:, None], cycle.area * (1 - subject.largest_fraction[:, 0]), 0.0)
    vessel_ratio = jnp.where(found.all(), jnp.minimum(mean[0] / jnp.maximum(mean[1], 1e-3), WORST_RATIO), WORST_RATIO)
    absent = jnp.sum(~present & cycle.frames[:, None]) / jnp.maximum(2 * cycle.n, 1)
    return {
        "missing": jnp.where(cycle.n > 0, absent, 1.0),
        "stray_area": stray.max(),
        "vessel_ratio": vessel_ratio,
        **_by_vessel("area", mean),
        **_by_vessel("area_ratio", jnp.minimum(ratio, WORST_RATIO)),
        **_by_vessel("step_ratio", jnp.where(found, step, WORST_RATIO)),
        **_by_vessel("strain", jnp.where(found, jnp.minimum(100 * (ratio - 1), WORST_PERCENT), 0.0)),
    }


def curve_features(subject: Evidence) -> Scalars:
    """Whether the area curves are smooth and rise and fall together. With three frames or fewer all are 0."""
    cycle = cycle_of(subject)
    area, present, mean = cycle.area, cycle.present, cycle.mean
    after, before = cycle.following, (jnp.arange(len(area)) - 1) % jnp.maximum(cycle.n, 1)
    pair, found = present & present[after], present.any(0)
    span = jnp.where(found, area.max(0) - jnp.where(present, area, jnp.inf).min(0), 0.0)
    scale = jnp.maximum(jnp.maximum(span, LEAST_PULSATION * mean), 1e-3)
    travel = jnp.sum(jnp.abs(area[after] - area) * pair, 0)
    triple = pair & present[before]
    bend = jnp.sum(jnp.abs(area[after] - 2 * area + area[before]) * triple, 0)
    sine = span * (1 - jnp.cos(2 * jnp.pi / jnp.maximum(cycle.n, 1))) * 2 / jnp.pi
    rough = 100 * jnp.maximum(bend / jnp.maximum(triple.sum(0), 1) - sine, 0.0) / jnp.maximum(mean, 1e-3)
    lag, agreement = _agreement(cycle)

    def where_cine(value: Array, worst: float) -> Array:
        return jnp.where(cycle.n > 3, jnp.where(found, jnp.minimum(value, worst), worst), 0.0)

    return {
        **_by_vessel("excess", where_cine(jnp.maximum(travel / (2 * scale) - 1, 0.0), WORST_EXCESS)),
        **_by_vessel("roughness", where_cine(rough, WORST_PERCENT)),
        "phase_lag": where_cine(lag, WORST_LAG).max(),
        "agreement": jnp.where((cycle.n > 3) & found.all(), agreement, 0.0),
    }


def _agreement(cycle: Cycle) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Lag of the vessels' first harmonics in % of the cycle, and the correlation of their curves.

    Frames without a vessel count as its mean. Curves that hardly vary have no lag and little correlation.
    """
    mean = jnp.maximum(cycle.mean, 1e-3)
    return lag_and_correlation(jnp.where(cycle.present, cycle.area / mean - 1, 0.0), cycle.n)


def outline_features(subject: Evidence) -> Scalars:
    """Borders that are not round, vessels that touch, and what is too bright for blood within them."""
    cycle = cycle_of(subject)
    present = cycle.present
    irregularity = (subject.perimeter_mm[:, 0] / 4) ** 2 / jnp.maximum(cycle.area, 1e-3)
    touching = jnp.where(present.all(1), subject.enclosure[:, 0], 0.0)
    smallest = jnp.argmin(jnp.where(present, cycle.area, jnp.inf), 0)  # end-diastole
    mean, brightest = (x[smallest, jnp.arange(2)] for x in (subject.intensity_mean[:, 0], subject.intensity_max[:, 0]))
    bright = jnp.where(mean > 0, brightest / jnp.where(mean > 0, mean, 1.0), 1.0)
    return {
        **_by_vessel("irregularity", cycle.largest(irregularity, present, WORST_IRREGULARITY)),
        "touching": touching.max(),
        **_by_vessel("brightness", jnp.where(present.any(0), jnp.minimum(bright, WORST_RATIO), WORST_RATIO)),
    }


def position_features(subject: Evidence) -> Scalars:
    """Where the vessels lie to one another, and how far they move from frame to frame."""
    cycle = cycle_of(subject)
    centre = subject.centroid_mm[:, 0]  # [T, 2, 2]
    both = cycle.present.all(1)
    n_both = both.sum()
    moved = jnp.linalg.norm(centre[cycle.following] - centre, axis=-1)
    pair = cycle.present & cycle.present[cycle.following]
    drift = cycle.largest(moved, pair, WORST_DISTANCE_MM)
    between = centre[:, 0] - centre[:, 1]
    distance = jnp.linalg.norm(between, axis=-1)
    change = jnp.where(both, distance, -jnp.inf).max() - jnp.where(both, distance, jnp.inf).min()
    following = between[cycle.following]
    cross = between[:, 0] * following[:, 1] - between[:, 1] * following[:, 0]
    turn = jnp.abs(jnp.arctan2(cross, jnp.sum(between * following, -1))) * (both & both[cycle.following])
    somewhere = n_both > 0
    return {
        **_by_vessel("drift", jnp.where(pair.any(0) | ~cycle.present.any(0), drift, 0.0)),
        "distance": jnp.where(somewhere, jnp.sum(distance * both) / jnp.maximum(n_both, 1), 0.0),
        "distance_change": jnp.where(somewhere, jnp.minimum(change, WORST_DISTANCE_MM), WORST_DISTANCE_MM),
        "axis_turn": jnp.where(somewhere, jnp.rad2deg(turn.max()), WORST_TURN_DEG),
    }
