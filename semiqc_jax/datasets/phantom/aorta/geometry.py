"""The lumina in closed form: star-shaped sections whose areas are exact, moved by the beating heart.

A lumen's squared radius in direction t is A / pi (1 + e cos 2(t - a) + g cos 3(t - b)); its area, half the
integral of the squared radius over the circle, is A whatever e and g are. The heart pulls the sections across
the plane and through it: the plane then meets a tilted vessel elsewhere and its section is more oval. A is the
area of the section that the plane sees.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.datasets.phantom.aorta.physiology import Physiology, Wave, area_wave
from semiqc_jax.datasets.phantom.cycle import Timing, contraction, sample_timing


class Lumen(NamedTuple):
    """One vessel's constants; mm, mm2, rad, phases in cycles."""

    min_area: float
    max_area: float
    foot: float  # phase at which the wave arrives
    centre: Any  # [2] at end-diastole
    pull: Any  # [2] displacement in the plane at end-systole
    tilt: Any  # [2] mm across per mm up
    oval: float  # e at end-diastole
    oval_change: float  # by how much e grows until end-systole
    oval_angle: float
    trefoil: float  # g
    trefoil_angle: float


class Aorta(NamedTuple):
    """Both lumina and what moves them."""

    ascending: Lumen
    descending: Lumen
    wave: Wave
    timing: Timing
    descent: float  # by how much the heart pulls the ascending aorta down through the plane, mm


class Section(NamedTuple):
    """A lumen at given phases."""

    area: Float[Array, "*batch"]
    x: Float[Array, "*batch"]
    y: Float[Array, "*batch"]
    oval: Float[Array, "*batch"]


def widest_mm(area_mm2: float) -> float:
    """The largest radius of any lumen of this area that `sample_lumen` can draw."""
    return float(np.sqrt(area_mm2 / np.pi * 1.25))


def sample_lumen(rng: np.random.Generator, who: Physiology, which: int, centre: Any) -> Lumen:
    """Draw the shape of the ascending (0) or descending (1) lumen of a subject."""
    pull = (rng.normal(1.5, 1.2), rng.normal(1.5, 1.2)) if which == 0 else (rng.normal(0.0, 0.4), rng.normal(0.0, 0.4))
    tilt = rng.normal(0.0, 0.25 if which == 0 else 0.12, 2)
    return Lumen(
        min_area=who.min_area_mm2[which],
        max_area=who.max_area_mm2[which],
        foot=who.feet[which],
        centre=np.asarray(centre),
        pull=np.asarray(pull),
        tilt=tilt,
        oval=rng.uniform(0.0, 0.15),
        oval_change=rng.uniform(-0.04, 0.05),
        oval_angle=rng.uniform(0.0, np.pi),
        trefoil=rng.uniform(0.0, 0.05),
        trefoil_angle=rng.uniform(-np.pi, np.pi),
    )


def sample_aorta(rng: np.random.Generator, who: Physiology, centres: Any) -> Aorta:
    """Draw both lumina of a subject around `centres` [2, 2] in mm."""
    ascending, descending = (sample_lumen(rng, who, which, centres[which]) for which in (0, 1))
    return Aorta(ascending, descending, who.wave, sample_timing(rng), rng.uniform(2.0, 8.0))


def section(aorta: Aorta, lumen: Lumen, phase: Float[Array, "*batch"]) -> Section:
    """The section of a lumen that the plane sees at phases [...], in cycles."""
    s = contraction(phase, aorta.timing)
    area = lumen.min_area + (lumen.max_area - lumen.min_area) * area_wave(phase - lumen.foot, aorta.wave)
    # a vessel that has come down shows the plane what lay higher
    x, y = (lumen.centre[k] + s * (lumen.pull[k] + aorta.descent * lumen.tilt[k]) for k in (0, 1))
    return Section(area, x, y, lumen.oval + lumen.oval_change * s)


def radii(lumen: Lumen, now: Section, x: Array, y: Array, z: Array | float = 0.0) -> tuple[Array, Array]:
    """Squared distance from the axis and squared radius of the wall there, in mm2, at points z above the plane."""
    x, y = x - now.x - lumen.tilt[0] * z, y - now.y - lumen.tilt[1] * z
    r2 = x * x + y * y
    to_unit = jnp.reciprocal(jnp.sqrt(r2 + 1e-6))
    cos, sin = x * to_unit, y * to_unit
    oval = (cos * cos - sin * sin) * jnp.cos(2.0 * lumen.oval_angle) + 2.0 * sin * cos * jnp.sin(2.0 * lumen.oval_angle)
    cos3, sin3 = cos * (4.0 * cos * cos - 3.0), sin * (3.0 - 4.0 * sin * sin)
    trefoil = cos3 * jnp.cos(3.0 * lumen.trefoil_angle) + sin3 * jnp.sin(3.0 * lumen.trefoil_angle)
    return r2, now.area / jnp.pi * (1.0 + now.oval * oval + lumen.trefoil * trefoil)


def label_of(aorta: Aorta, ascending: Section, descending: Section, x: Array, y: Array) -> Array:
    """Canonical code, uint8: 1 ascending, 2 descending lumen, 0 the rest."""
    r2, wall2 = radii(aorta.ascending, ascending, x, y)
    r2_descending, wall2_descending = radii(aorta.descending, descending, x, y)
    return jnp.where(r2 < wall2, 1, jnp.where(r2_descending < wall2_descending, 2, 0)).astype(jnp.uint8)
