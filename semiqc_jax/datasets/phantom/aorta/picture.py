"""The picture before the scanner: the mediastinum at rest, and the vessels that move in front of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semiqc_jax.datasets.phantom.aorta.geometry import Aorta, Lumen, Section, radii
from semiqc_jax.datasets.phantom.aorta.scene import VEINS, Organs, Signal
from semiqc_jax.datasets.phantom.paint import cover, paint


def _disc(shape: Array, x: Array, y: Array) -> Array:
    """How far points lie within a disc (x, y, radius), mm."""
    return shape[2] - jnp.hypot(x - shape[0], y - shape[1])


def _ellipse(shape: Array, x: Array, y: Array) -> Array:
    """How far points lie within an ellipse (x, y, semi-axes), to first order at its edge, mm."""
    u, v = (x - shape[0]) / shape[2], (y - shape[1]) / shape[3]
    q = jnp.sqrt(u * u + v * v + 1e-9)
    slope = jnp.sqrt((u / shape[2]) ** 2 + (v / shape[3]) ** 2 + 1e-9) / q
    return (1.0 - q) / slope


def _tube(shape: Array, x: Array, y: Array) -> Array:
    """How far points lie within a tube (x, y, radius at either end), mm."""
    x, y = x - shape[0], y - shape[1]
    to_x, to_y = shape[3] - shape[0], shape[4] - shape[1]
    along = jnp.clip((x * to_x + y * to_y) / (to_x * to_x + to_y * to_y), 0.0, 1.0)
    return shape[2] + along * (shape[5] - shape[2]) - jnp.hypot(x - along * to_x, y - along * to_y)


def pulmonary(organs: Organs, s: Array | float, x: Array, y: Array, z: float = 0.0) -> Array:
    """How far points z above the plane lie within the pulmonary arteries at contraction s, mm."""
    shift = s * organs.pulmonary_pull + z * organs.pulmonary_tilt
    x, y = x - shift[0], y - shift[1]
    tubes = [_tube(tube, x, y) for tube in (organs.trunk, organs.right_branch, organs.left_branch)]
    return jnp.maximum(jnp.maximum(tubes[0], tubes[1]), tubes[2]) + 10.0 * organs.pulmonary_pulse * s


def bent(organs: Organs, x: Array, y: Array) -> tuple[Array, Array]:
    """Where an organ that is drawn with straight outlines is looked up, so that it shows bent ones."""
    (size_x, *wave_x), (size_y, *wave_y) = organs.bend
    bend_x = size_x * jnp.sin(wave_x[0] * x + wave_x[1] * y + wave_x[2])
    bend_y = size_y * jnp.sin(wave_y[0] * x + wave_y[1] * y + wave_y[2])
    return x + bend_x, y + bend_y


def at_rest(
    signal: Signal, organs: Organs, aorta: Aorta, texture: Array, x: Array, y: Array, pixel_mm: Array | float
) -> Float[Array, "Y X"]:
    """Everything that does not move: lungs, chest wall, fat, airways, oesophagus, spine and small veins."""
    vessels = [
        jnp.sqrt(lumen.max_area / jnp.pi) - jnp.hypot(x - lumen.centre[0], y - lumen.centre[1]) for lumen in aorta[:2]
    ]
    depth = -_ellipse(organs.chest, x, y)
    x, y = bent(organs, x, y)
    veins = [_disc(organs.discs[k], x, y) for k in range(VEINS)]
    solid = [*vessels, pulmonary(organs, 0.0, x, y), _ellipse(organs.cava, x, y), _ellipse(organs.vertebra, x, y)]
    # fat fills the gaps between close organs: a smooth maximum
    soft = 5.0 * jax.nn.logsumexp(jnp.stack(solid) / 5.0, axis=0) + organs.margin
    soft = jnp.maximum(soft, _ellipse(organs.mediastinum, x, y) + 1.5 * texture)
    back = y - organs.vertebra[1] - 6.0 + 0.004 * (x - organs.vertebra[0]) ** 2

    picture = signal.lung * (1.0 + 0.5 * texture)
    picture = paint(picture, 0.5 * signal.pulmonary, cover(6.0 * (texture - 1.7), pixel_mm))  # vessels of the lung
    picture = paint(picture, signal.fat, cover(soft, pixel_mm))
    picture = paint(picture, signal.muscle, cover(jnp.maximum(depth, jnp.minimum(back, 40.0)), pixel_mm))
    picture = paint(picture, signal.fat, cover(3.0 * (texture - 1.2), pixel_mm) * cover(back, pixel_mm))
    picture = paint(picture, signal.fat, cover(depth - organs.chest_wall[0], pixel_mm))
    picture = paint(picture, 0.02, cover(depth - sum(organs.chest_wall), pixel_mm))
    for k in range(2):
        airway = _disc(organs.bronchi[k], x, y)
        picture = paint(paint(picture, signal.muscle, cover(airway + 1.5, pixel_mm)), 0.03, cover(airway, pixel_mm))
    picture = paint(picture, signal.muscle, cover(_disc(organs.oesophagus, x, y), pixel_mm))
    picture = _spine(picture, signal, organs, x, y, pixel_mm)
    for vein in veins:
        picture = paint(picture, signal.muscle, cover(vein + 1.0, pixel_mm))
        picture = paint(picture, signal.venous, cover(vein, pixel_mm))
    return picture * (1.0 + signal.texture * texture)


def _spine(picture: Array, signal: Signal, organs: Organs, x: Array, y: Array, pixel_mm: Array | float) -> Array:
    """Vertebral body, canal with the cord in it, and the lamina behind."""
    body = _ellipse(organs.vertebra, x, y)
    x, y = x - organs.vertebra[0], y - organs.vertebra[1] - organs.vertebra[3] - organs.canal
    from_canal = jnp.hypot(x / 1.2, y)
    picture = paint(picture, 0.6 * signal.marrow, cover(organs.canal + 6.0 - from_canal, pixel_mm))
    picture = paint(picture, 0.08, cover(jnp.maximum(body, organs.canal - from_canal) + 1.5, pixel_mm))
    picture = paint(picture, signal.marrow, cover(body, pixel_mm))
    picture = paint(picture, signal.liquor, cover(organs.canal - from_canal, pixel_mm))
    return paint(picture, 0.6 * signal.liquor, cover(0.55 * organs.canal - from_canal, pixel_mm))


def lumen_share(
    lumen: Lumen, now: Section, x: Array, y: Array, z: float, pixel_mm: Array | float, wall: Array | float
) -> Array:
    """Share of each pixel within a lumen widened by `wall` mm."""
    r2, wall2 = radii(lumen, now, x, y, z)
    return cover(jnp.sqrt(wall2) + wall - jnp.sqrt(r2), pixel_mm)


def with_vessels(
    behind: Array, signal: Signal, organs: Organs, aorta: Aorta, now: tuple[Section, Section], s: Array, flow: Array,
    texture: Array, x: Array, y: Array, z: float, pixel_mm: Array | float,
) -> Float[Array, "Y X"]:  # fmt: skip
    """Paint what moves at contraction `s` and systolic `flow` [2]: pulmonary arteries, vena cava, aorta."""
    bent_x, bent_y = bent(organs, x, y)
    artery = pulmonary(organs, s, bent_x, bent_y, z)
    picture = paint(behind, signal.muscle, cover(artery + 1.2, pixel_mm))
    blood = signal.pulmonary * (1.0 - 0.4 * signal.flow * flow[0] * jnp.abs(texture))
    picture = paint(picture, blood, cover(artery, pixel_mm))
    cava = _ellipse(organs.cava, bent_x, bent_y) + 10.0 * organs.cava_pulse * s
    picture = paint(picture, signal.muscle, cover(cava + 1.0, pixel_mm))
    picture = paint(picture, signal.venous, cover(cava, pixel_mm))
    for lumen, section, bright, run in zip(aorta[:2], now, (signal.blood, signal.descending), flow):
        radius = jnp.sqrt(section.area / jnp.pi)
        u, v = (x - section.x) / radius - signal.jet[0], (y - section.y) / radius - signal.jet[1]
        lost = signal.flow * run * jnp.exp(-1.5 * (u * u + v * v))
        picture = paint(picture, signal.muscle, lumen_share(lumen, section, x, y, z, pixel_mm, organs.wall))
        blood = bright * (1.0 - lost) * (1.0 + 0.2 * signal.texture * texture)
        picture = paint(picture, blood, lumen_share(lumen, section, x, y, z, pixel_mm, 0.0))
    return picture
