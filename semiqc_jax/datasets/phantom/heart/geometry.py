"""The beating heart in closed form: nested star-shaped surfaces around the long axis whose volumes are exact.

Heart coordinates in mm: z along the long axis, 0 at the epicardial apex in diastole and growing towards the
base; (x, y) across it, x pointing at the middle of the septum, polar angle t from there. Squared radii:

    endocardium  ri^2 = rho^2 (1 + flat cos 2t + akinesia s q(z) m(t - t_a))
    epicardium   ro^2 = ri^2 + (Rho^2 - rho^2) (1 + asymmetry m(t - t_h))
    right heart  rr^2 = ro^2 + E(z) b(t)

rho and Rho are the radii of two ellipsoids cut by the moving base plane, s the contraction, m a bump of zero
mean over the circle and b a bump of known mean. A section's area is half the integral of a squared radius:
akinesia, asymmetry and flattening change no volume, a wall keeps its tissue at each angle, and every volume
is a polynomial in the lengths. The heart is then sheared (tilt of axis and base plane; determinant 1), turned
and moved, which keeps volumes too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from semiqc_jax.datasets.phantom.cycle import Timing, contraction
from semiqc_jax.datasets.phantom.heart.physiology import Physiology

BASE = 0.35  # base plane above the ellipsoid's equator, as a share of the semi-axis towards the apex
BUMP_MEAN = 20.0 / 64.0  # mean of ((1 + cos t) / 2)^3 over the circle


class Heart(NamedTuple):
    """One heart's constants; lengths in mm, volumes in mm^3, angles in rad."""

    lvedv: float
    lvesv: float
    wall: float
    rvedv: float
    rvesv: float
    timing: Timing
    base: float  # height of the base plane at end-diastole
    descent: float  # by how much it comes down in systole
    apex_rise: float
    apex_wall: float  # thickness of the apex at end-diastole
    rv_apex: float
    rv_base: float
    rv_descent: float
    rv_half_angle: float
    rv_skew: float
    flat: float
    akinesia: float
    akinesia_angle: float
    akinesia_height: float  # share of the base's height
    asymmetry: float
    asymmetry_angle: float
    tilt: tuple[float, float]  # shear of the axis: mm across per mm up
    oblique: tuple[float, float]  # shear of the base plane: mm up per mm across
    angle: float  # direction of the septum in the image
    centre: tuple[float, float]  # of the mid-ventricular cavity in the image
    drift: tuple[float, float]  # displacement of the whole heart at end-systole


class Beat(NamedTuple):
    """The heart at given phases: everything that changes over the cycle, in mm."""

    s: Float[Array, "*batch"]  # contraction of the left ventricle
    base: Float[Array, "*batch"]
    equator: Float[Array, "*batch"]
    inner_radius2: Float[Array, "*batch"]
    inner_length: Float[Array, "*batch"]
    outer_radius2: Float[Array, "*batch"]
    outer_length: Float[Array, "*batch"]
    rv_apex: Float[Array, "*batch"]
    rv_base: Float[Array, "*batch"]
    rv_extent: Float[Array, "*batch"]  # E0, mm^2


class Surfaces(NamedTuple):
    """Where a point lies: its heart coordinates and the surfaces' squared radii (mm^2) in its direction."""

    x: Float[Array, "*batch"]
    y: Float[Array, "*batch"]
    z: Float[Array, "*batch"]
    r2: Float[Array, "*batch"]
    endo2: Float[Array, "*batch"]
    epi2: Float[Array, "*batch"]
    rv2: Float[Array, "*batch"]
    in_lv: Bool[Array, "*batch"]  # below the left ventricle's base plane
    in_rv: Bool[Array, "*batch"]


def sample_heart(rng: np.random.Generator, who: Physiology, orientation: float) -> Heart:
    """Draw the shape of one subject's heart; `orientation` (rad) turns the whole scene in the image."""
    lvedv, wall, rv = 1e3 * who.lvedv_ml, 1e3 * who.myo_ml, who.group == "RV"
    round_ = {"DCM": 0.90, "HCM": 1.04}.get(who.group, 1.0)
    cavity = 88.0 * (who.lvedv_ml / 150.0) ** (1 / 3) * round_ * rng.normal(1.0, 0.04)
    apex_wall = 0.6 * (np.cbrt(lvedv + wall) - np.cbrt(lvedv))
    base = cavity + apex_wall
    descent = cavity * np.clip(0.15 * who.lvef_pct / 60.0 * rng.normal(1.0, 0.1), 0.02, 0.2)
    rv_base = base + rng.uniform(-6.0, 6.0)
    angle = orientation + np.pi + rng.normal(0.0, 0.3)
    offset = rng.uniform(10.0, 22.0) + 8.0 * rv  # the image is centred between the ventricles
    centre = -offset * np.array([np.cos(angle), np.sin(angle)]) + rng.normal(0.0, 7.0, 2)
    infarct, akinesia_angle = who.group == "MINF", rng.uniform(-np.pi, np.pi)
    return Heart(
        lvedv=lvedv,
        lvesv=1e3 * who.lvesv_ml,
        wall=wall,
        rvedv=1e3 * who.rvedv_ml,
        rvesv=1e3 * who.rvesv_ml,
        timing=who.timing,
        base=base,
        descent=descent,
        apex_rise=rng.uniform(0.0, 2.0),
        apex_wall=apex_wall,
        rv_apex=rng.uniform(10.0, 20.0),
        rv_base=rv_base,
        rv_descent=cavity * np.clip(0.21 * who.rvef_pct / 55.0 * rng.normal(1.0, 0.1), 0.03, 0.28),
        rv_half_angle=rng.uniform(1.1, 1.4) + 0.15 * rv,
        rv_skew=rng.uniform(-0.6, 0.6),
        flat=rng.uniform(-0.3, -0.15) if rv else rng.uniform(-0.08, 0.08),
        akinesia=rng.uniform(0.4, 0.8) if infarct else 0.0,
        akinesia_angle=akinesia_angle,
        akinesia_height=rng.uniform(0.25, 0.6),
        asymmetry={"HCM": rng.uniform(0.3, 0.9), "MINF": -rng.uniform(0.1, 0.5)}.get(who.group, 0.0),
        asymmetry_angle=akinesia_angle if infarct else rng.normal(0.0, 0.4),
        tilt=tuple(rng.normal(0.0, 0.10, 2)),
        oblique=tuple(rng.normal(0.0, 0.07, 2)),
        angle=angle,
        centre=tuple(centre),
        drift=tuple(rng.normal(0.0, 1.2, 2)),
    )


def volumes_ml(heart: Heart, phase: np.ndarray) -> np.ndarray:
    """Exact volumes of LV cavity, myocardium and RV cavity in ml: [..., 3] at phases [...], in cycles."""
    s, s_rv = _contractions(heart, phase)
    lv = heart.lvedv - (heart.lvedv - heart.lvesv) * s
    rv = heart.rvedv - (heart.rvedv - heart.rvesv) * s_rv
    return np.stack([lv, np.full_like(lv, heart.wall), rv], axis=-1) / 1e3


def _contractions(heart: Heart, phase: Any) -> tuple[Any, Any]:
    return contraction(phase, heart.timing), contraction(phase - heart.timing.rv_lag, heart.timing)


def beat(heart: Heart, phase: Float[Array, "*batch"]) -> Beat:
    """Solve the surfaces' lengths and radii for the closed-form volumes at phases [...], in cycles."""
    s, s_rv = _contractions(heart, phase)
    lv = heart.lvedv - (heart.lvedv - heart.lvesv) * s
    rv = heart.rvedv - (heart.rvedv - heart.rvesv) * s_rv
    base = heart.base - heart.descent * s
    apex, apex_wall = heart.apex_rise * s, heart.apex_wall * (1.0 + 0.3 * s)
    length = (base - apex - apex_wall) / (1.0 + BASE)
    rv_apex, rv_base = heart.rv_apex + apex, heart.rv_base - heart.rv_descent * s_rv
    return Beat(
        s=s,
        base=base,
        equator=base - BASE * length,
        inner_radius2=lv / _unit_volume(length, BASE * length),
        inner_length=length,
        outer_radius2=(lv + heart.wall) / _unit_volume(length + apex_wall, BASE * length),
        outer_length=length + apex_wall,
        rv_apex=rv_apex,
        rv_base=rv_base,
        rv_extent=rv / (0.5 * _crescent_integral(heart.rv_half_angle) * (rv_base - rv_apex) * 2.0 / 3.0),
    )


def _unit_volume(length: Array, above: Array) -> Array:
    """Volume per squared radius of an ellipsoid of semi-axis `length` cut `above` its equator."""
    return jnp.pi * (2.0 / 3.0 * length + above - above**3 / (3.0 * length**2))


def _crescent_integral(half_angle: Array | float) -> Array:
    """Integral over the circle of the right ventricle's bump b(t); its skew is odd and adds nothing."""
    sin, cos = jnp.sin(half_angle), jnp.cos(half_angle)
    rest = (1.5 * half_angle - 2.0 * sin + 0.5 * sin * cos) / (1.0 - cos) ** 2
    return 2.0 * (half_angle - rest)


def surfaces(heart: Heart, now: Beat, x: Array, y: Array, z: Array | float) -> Surfaces:
    """Where image points (x, y, z) in mm lie in the heart `now`; all arguments broadcast."""
    x, y, z = _to_heart(heart, now.s, x, y, z)
    r2 = x * x + y * y
    to_unit = jnp.reciprocal(jnp.sqrt(r2 + 1e-6))
    cos, sin = x * to_unit, y * to_unit
    up = z - now.equator
    inner2 = now.inner_radius2 * jnp.maximum(1.0 - (up / now.inner_length) ** 2, 0.0)
    outer2 = now.outer_radius2 * jnp.maximum(1.0 - (up / now.outer_length) ** 2, 0.0)
    where = jnp.exp(-((z / heart.base - heart.akinesia_height) ** 2) / 0.08)
    akinesia = heart.akinesia * now.s * where * _bump(cos, sin, heart.akinesia_angle)
    endo2 = inner2 * (1.0 + heart.flat * (2.0 * cos * cos - 1.0) + akinesia)
    epi2 = endo2 + (outer2 - inner2) * (1.0 + heart.asymmetry * _bump(cos, sin, heart.asymmetry_angle))
    aside = (1.0 - cos) / (1.0 - jnp.cos(heart.rv_half_angle))  # 0 at mid-septum, 1 at the insertions
    crescent = jnp.maximum(1.0 - aside * aside, 0.0) * (1.0 + heart.rv_skew * sin)
    height = (z - now.rv_apex) / (now.rv_base - now.rv_apex)
    rise = jnp.clip(height, 0.0, 1.0)
    rv2 = epi2 + now.rv_extent * rise * (2.0 - rise) * crescent
    return Surfaces(x, y, z, r2, endo2, epi2, rv2, z < now.base, (height > 0.0) & (height < 1.0))


def _to_heart(heart: Heart, s: Array, x: Array, y: Array, z: Array | float) -> tuple[Array, Array, Array]:
    x, y = x - heart.centre[0] - heart.drift[0] * s, y - heart.centre[1] - heart.drift[1] * s
    cos, sin = jnp.cos(heart.angle), jnp.sin(heart.angle)
    x, y = cos * x + sin * y, cos * y - sin * x
    z = z - heart.oblique[0] * x - heart.oblique[1] * y
    up = z - 0.5 * heart.base
    return x - heart.tilt[0] * up, y - heart.tilt[1] * up, z


def _bump(cos: Array, sin: Array, angle: float) -> Array:
    """((1 + cos(t - angle)) / 2)^3 less its mean: one lobe with zero integral over the circle."""
    return (0.5 + 0.5 * (cos * jnp.cos(angle) + sin * jnp.sin(angle))) ** 3 - BUMP_MEAN


def label_of(at: Surfaces) -> Array:
    """Canonical code, uint8: 1 LV cavity with papillary muscles, 2 myocardium, 3 RV cavity, 0 the rest."""
    lv = jnp.where(at.r2 < at.endo2, 1, jnp.where(at.r2 < at.epi2, 2, 0))
    rv = (at.r2 >= at.epi2) & (at.r2 < at.rv2) & at.in_rv
    return jnp.where(rv, 3, jnp.where(at.in_lv, lv, 0)).astype(jnp.uint8)
