"""The picture before the scanner: signal of the heart and the organs around it, with partial volume."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from semiqc_jax.datasets.phantom.heart.geometry import Beat, Heart, Surfaces, surfaces
from semiqc_jax.datasets.phantom.paint import WAVES, cover, paint, wave_vectors

ATRIUM = 0.8  # brightness of blood above the base planes, relative to below


class Signal(NamedTuple):
    """Brightness of each tissue; blood of the left ventricle is near 1."""

    blood: float
    rv_blood: float
    myocardium: float
    muscle: float
    fat: float
    lung: float
    liver: float
    stomach: float
    flow: float  # share of the blood signal lost to flow in systole
    texture: float  # relative strength of texture within organs


class Organs(NamedTuple):
    """Where the organs lie around the heart; mm and rad, in scene coordinates turned by `angle`."""

    angle: float
    epicardial_fat: float  # thickness
    fat_side: float  # direction in which it is thickest, from the septum
    rv_wall: float
    papillary: tuple[float, float]  # radii
    papillary_angle: tuple[float, float]  # from the septum
    trabeculae: float  # width over which endocardium and blood mix
    chest: float  # distance of the chest wall
    chest_fat: float
    liver: tuple[float, float, float]  # centre (x, y) and radius
    stomach: tuple[float, float, float]
    aorta: tuple[float, float, float]  # descending aorta: round and bright, as a small ventricle would be
    waves: np.ndarray  # [WAVES, 4]: wave vector (x, y, z) per mm and phase


def sample_signal(rng: np.random.Generator, low_contrast: bool) -> Signal:
    """Draw the tissues' brightness: mostly bSSFP-like, closer to spoiled gradient echo if `low_contrast`."""
    myocardium = rng.uniform(0.55, 0.72) if low_contrast else rng.uniform(0.22, 0.45)
    blood = rng.uniform(0.85, 1.0)
    return Signal(
        blood=blood,
        rv_blood=blood * rng.uniform(0.8, 1.05),
        myocardium=myocardium,
        muscle=myocardium * rng.uniform(0.8, 1.2),
        fat=rng.uniform(0.6, 1.1),
        lung=rng.uniform(0.03, 0.15),
        liver=rng.uniform(0.25, 0.6),
        stomach=rng.choice([0.08, 0.5, 1.1]) * rng.uniform(0.8, 1.2),
        flow=rng.uniform(0.0, 0.35),
        texture=rng.uniform(0.05, 0.2),
    )


def sample_organs(rng: np.random.Generator, angle: float, rv_overload: bool) -> Organs:
    """Draw the surroundings of a heart whose scene is turned by `angle` in the image."""
    wave = wave_vectors(rng)
    return Organs(
        angle=angle,
        epicardial_fat=rng.uniform(1.0, 11.0),
        fat_side=rng.uniform(-np.pi, np.pi),
        rv_wall=rng.uniform(5.0, 8.0) if rv_overload else rng.uniform(2.5, 4.5),
        papillary=(rng.uniform(3.0, 6.0), rng.uniform(3.0, 6.0)),
        papillary_angle=(rng.normal(2.0, 0.25), rng.normal(-2.0, 0.25)),
        trabeculae=rng.uniform(0.0, 3.5),
        chest=rng.uniform(62.0, 95.0),
        chest_fat=rng.uniform(8.0, 30.0),
        liver=(rng.normal(-45.0, 15.0), rng.normal(95.0, 12.0), rng.uniform(55.0, 75.0)),
        stomach=(rng.normal(60.0, 12.0), rng.normal(85.0, 12.0), rng.uniform(22.0, 38.0)),
        aorta=(rng.normal(68.0, 8.0), rng.normal(42.0, 12.0), rng.uniform(9.0, 13.5)),
        waves=np.concatenate([wave, rng.uniform(0, 2 * np.pi, (WAVES, 1))], axis=1),
    )


def surroundings(
    signal: Signal,
    organs: Organs,
    texture: Array,
    x: Array,
    y: Array,
    z: Array | float,
    pixel_mm: Array | float,
) -> Float[Array, "Y X"]:
    """One slice without the heart: lung with vessels, chest wall, liver, stomach, descending aorta."""
    cos, sin = jnp.cos(organs.angle), jnp.sin(organs.angle)
    x, y = cos * x + sin * y, cos * y - sin * x

    def disc(shape: tuple[float, float, float], stretch: float = 1.0, lower: Array | float = 0.0) -> Array:
        across, along = (x - shape[0]) / stretch, y - shape[1] - lower
        return shape[2] - jnp.sqrt(across * across + along * along)

    picture = signal.lung * (1.0 + 0.5 * texture)
    picture = paint(picture, 0.4, cover(6.0 * (texture - 1.9), pixel_mm))
    diaphragm = 0.5 * (z - 45.0)  # the diaphragm rises towards the apex
    liver = disc(organs.liver, 1.3, diaphragm)
    picture = paint(picture, signal.liver, cover(liver, pixel_mm))
    vessels = cover(3.0 * (jnp.abs(texture - 0.3) - 1.4), pixel_mm) * cover(liver, 9.0)
    picture = paint(picture, 0.8 * signal.blood, 0.7 * vessels)
    stomach = disc(organs.stomach, 1.2, diaphragm)
    picture = paint(picture, signal.muscle, cover(stomach + 4.0, pixel_mm))
    picture = paint(picture, signal.stomach, cover(stomach, pixel_mm))
    aorta = disc(organs.aorta)
    picture = paint(picture, signal.muscle, cover(aorta + 2.0, pixel_mm))
    picture = paint(picture, 0.95 * signal.blood, cover(aorta, pixel_mm))
    depth = -0.35 * x - 0.94 * y - organs.chest + 0.003 * (0.94 * x - 0.35 * y) ** 2
    picture = paint(picture, signal.muscle, cover(depth + 7.0, pixel_mm))
    picture = paint(picture, signal.fat, cover(depth, pixel_mm))
    picture = paint(picture, 0.02, cover(depth - organs.chest_fat, pixel_mm))
    return picture * (1.0 + signal.texture * texture)


def with_heart(
    background: Array, heart: Heart, signal: Signal, organs: Organs, now: Beat, texture: Array,
    x: Array, y: Array, z: Array | float, pixel_mm: Array | float,
) -> Float[Array, "Y X"]:  # fmt: skip
    """Paint the heart `now` over its surroundings; edges share pixels, trabeculae blur the endocardium."""
    at = surfaces(heart, now, x, y, z)
    r, epi = jnp.sqrt(at.r2), jnp.sqrt(at.epi2)
    # above its base plane the right ventricle goes on as the atrium: darker blood, and not labelled
    rv = jnp.where(at.z > now.rv_apex, jnp.sqrt(at.rv2), epi)
    has_rv = rv > epi
    outside = jnp.where(has_rv, rv + organs.rv_wall, epi)
    side = 0.5 + 0.5 * (at.x * jnp.cos(organs.fat_side) + at.y * jnp.sin(organs.fat_side)) / (r + 1.0)
    here = (outside > 0.0) & (at.z < now.base + 35.0)
    fat = jnp.where(here, cover(outside + organs.epicardial_fat * side - r, pixel_mm), 0.0)
    picture = paint(background, signal.fat * (1.0 + signal.texture * texture), fat)
    picture = paint(picture, signal.muscle, jnp.where(here, cover(outside - r, pixel_mm), 0.0))
    rv_blood = (
        signal.rv_blood
        * jnp.where(at.z < now.rv_base, 1.0, ATRIUM)
        * (1.0 - 0.5 * signal.flow * now.s * jnp.abs(texture))
    )
    picture = paint(picture, rv_blood, jnp.where(has_rv & here, cover(rv - r, pixel_mm), 0.0))
    wall = jnp.where(at.in_lv, signal.myocardium, 0.9 * signal.muscle) * (
        1.0 + 0.3 * signal.texture * texture
    )
    picture = paint(picture, wall, jnp.where(here, cover(epi - r, pixel_mm), 0.0))
    blood = signal.blood * jnp.where(at.in_lv, 1.0, ATRIUM) * (1.0 - signal.flow * now.s * jnp.abs(texture))
    endo = jnp.where(at.in_lv, jnp.sqrt(at.endo2), 0.92 * epi)  # above the base plane: a thin-walled atrium
    inside = jnp.where((endo > 0.0) & here, cover(endo - r, pixel_mm + organs.trabeculae), 0.0)
    picture = paint(picture, blood, inside)
    return paint(picture, signal.myocardium, 0.9 * inside * _papillary(organs, at, now, endo, pixel_mm))


def _papillary(organs: Organs, at: Surfaces, now: Beat, endo: Array, pixel_mm: Array | float) -> Array:
    """Share of each pixel that the two papillary muscles cover; they come off the wall at mid-height."""
    share = jnp.zeros(())
    height = at.z / now.base
    thick = jnp.clip(1.0 - ((height - 0.5) / 0.25) ** 2, 0.0, 1.0)
    for radius, angle in zip(organs.papillary, organs.papillary_angle):
        x, y = 0.68 * endo * jnp.cos(angle), 0.68 * endo * jnp.sin(angle)
        size = radius * jnp.sqrt(thick) * (1.0 + 0.15 * now.s)
        inside = size - jnp.sqrt((at.x - x) ** 2 + (at.y - y) ** 2)
        share = jnp.maximum(share, jnp.where(thick > 0.0, cover(inside, pixel_mm), 0.0))
    return share
