"""Where the organs of the upper mediastinum lie around the aorta of one subject, and how bright they are.

Image coordinates in mm: x towards the patient's left, y towards the back. The ascending aorta is enclosed by
vessels as bright as itself: the pulmonary trunk at its left, the right pulmonary artery behind it, the superior
vena cava at its right; the descending aorta lies at the left of a vertebral body of nearly its size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.phantom.aorta.geometry import widest_mm
from semiqc_jax.datasets.phantom.aorta.physiology import Physiology
from semiqc_jax.datasets.phantom.paint import WAVES, wave_vectors


class Signal(NamedTuple):
    """Brightness of each tissue; blood of the ascending aorta is near 1."""

    blood: float
    descending: float
    pulmonary: float
    venous: float
    muscle: float  # also of walls
    fat: float
    lung: float
    marrow: float
    liquor: float
    flow: float  # share of the blood signal lost to flow in systole
    jet: tuple[float, float]  # where in the lumen most is lost, in radii from its centre
    flow_ghost: float  # strength of the copies of pulsating blood along phase encoding
    texture: float  # relative strength of texture within organs


class Organs(NamedTuple):
    """What lies around the aorta. A disc is x, y, radius; a tube is x, y, radius at both ends; mm."""

    wall: float  # thickness of the aorta's
    trunk: Any  # [6] tube of the pulmonary trunk, [6] of its right and left branches
    right_branch: Any
    left_branch: Any
    pulmonary_pull: Any  # [2] displacement at end-systole
    pulmonary_tilt: Any  # [2] mm across per mm up
    pulmonary_pulse: float  # relative growth of their radii
    cava: Any  # [4] x, y and both semi-axes
    cava_pulse: float
    discs: Any  # [VEINS, 3] pulmonary veins, azygos vein and the right atrial appendage: blood, no label
    bronchi: Any  # [2, 3]
    oesophagus: Any  # [3]
    vertebra: Any  # [4] x, y and both semi-axes
    canal: float  # radius
    mediastinum: Any  # [4] x, y and both semi-axes of the fat around all of it
    margin: float  # fat between vessels and lung
    bend: Any  # [2, 4] amplitude, wave vector (x, y) and phase of the shifts in x and in y that make outlines uneven
    chest: Any  # [4] x, y and both semi-axes of the rib cage
    chest_wall: tuple[float, float]  # thickness of muscle, and of fat under the skin
    turn: float  # of the whole scene in the image, rad
    centre: Any  # [2] of the image
    waves: NDArray  # [WAVES, 4]: wave vector (x, y, z) per mm and phase


VEINS = 5


def sample_signal(rng: np.random.Generator, low_contrast: bool, flow_void: bool) -> Signal:
    """Draw the tissues' brightness: mostly bSSFP-like, closer to spoiled gradient echo if `low_contrast`."""
    muscle = rng.uniform(0.5, 0.7) if low_contrast else rng.uniform(0.2, 0.4)
    blood = rng.uniform(0.85, 1.0)
    return Signal(
        blood=blood,
        descending=blood * rng.uniform(0.85, 1.1),
        pulmonary=blood * rng.uniform(0.8, 1.1),
        venous=blood * rng.uniform(0.7, 1.1),
        muscle=muscle,
        fat=rng.uniform(0.6, 0.9) if low_contrast else rng.uniform(0.3, 0.75),
        lung=rng.uniform(0.03, 0.13),
        marrow=rng.uniform(0.3, 0.75),
        liquor=rng.uniform(0.7, 1.2),
        flow=rng.uniform(0.55, 0.85) if flow_void else rng.uniform(0.0, 0.35),
        jet=tuple(rng.uniform(-0.6, 0.6, 2)),
        flow_ghost=rng.uniform(0.15, 0.35) if flow_void else rng.uniform(0.0, 0.06),
        texture=rng.uniform(0.05, 0.2),
    )


def _at(origin: NDArray, distance: float, angle: float) -> NDArray:
    return origin + distance * np.array([np.cos(angle), np.sin(angle)])


def _bend(rng: np.random.Generator) -> NDArray:
    direction, wavelength = rng.uniform(0.0, 2 * np.pi), rng.uniform(35.0, 80.0)
    wave = 2 * np.pi / wavelength * np.array([np.cos(direction), np.sin(direction)])
    return np.array([rng.uniform(0.03, 0.06) * wavelength, *wave, rng.uniform(0.0, 2 * np.pi)])


def sample_organs(rng: np.random.Generator, who: Physiology) -> tuple[Organs, NDArray]:
    """Draw the surroundings, and the centres [2, 2] of ascending and descending aorta among them."""
    wall = rng.uniform(1.6, 2.6) if who.group in ("HTN", "ANE") else rng.uniform(1.1, 1.9)
    ascending = np.array([rng.normal(-12.0, 3.0), rng.normal(-20.0, 3.0)])
    reach = widest_mm(who.max_area_mm2[0]) + wall
    trunk, right, cava = rng.uniform(10.0, 14.5), rng.uniform(7.0, 10.5), rng.uniform(6.5, 10.5)
    trunk_from = _at(ascending, reach + trunk + rng.uniform(0.5, 3.0), -rng.uniform(0.15, 0.75))
    fork = _at(ascending, reach + trunk + rng.uniform(0.5, 4.0), rng.uniform(0.35, 0.7))
    behind = ascending[1] + reach + right + rng.uniform(1.0, 4.0)
    hilum = ascending + [-rng.uniform(26.0, 44.0), reach + right + rng.uniform(2.0, 9.0)]
    left_end = fork + [rng.uniform(18.0, 32.0), rng.uniform(10.0, 24.0)]
    cava_at = _at(ascending, reach + cava + rng.uniform(1.0, 4.0), np.pi - rng.uniform(-0.1, 0.65))
    bronchus = rng.uniform(5.0, 8.0, 2)
    below = behind + right + rng.uniform(4.0, 8.0) + bronchus.max()
    across = ascending[0] + np.array([-rng.uniform(2.0, 12.0), rng.uniform(16.0, 26.0)])
    vertebra = np.array([rng.normal(4.0, 3.0), 0.0, rng.uniform(15.0, 20.0), rng.uniform(12.0, 15.5)])
    vertebra[1] = below + bronchus.max() + rng.uniform(9.0, 14.0) + vertebra[3]
    beside = vertebra[2] + rng.uniform(1.0, 3.0) + wall + widest_mm(who.max_area_mm2[1])
    descending = _at(vertebra[:2], beside, -rng.uniform(0.3, 0.85))
    middle = 0.5 * (ascending + descending)
    apart = (ascending - descending) / np.hypot(*(ascending - descending))
    view = middle + 0.5 * (reach - widest_mm(who.max_area_mm2[1])) * apart  # as far from either lumen's far side
    azygos = _at(vertebra[:2], vertebra[2] + 1.0, -np.pi + rng.uniform(0.5, 1.0))
    appendage = _at(ascending, reach + rng.uniform(6.0, 9.0), -np.pi + rng.uniform(0.4, 1.0))
    veins = [middle + [side * rng.uniform(40.0, 58.0), rng.uniform(-5.0, 25.0)] for side in (-1.0, 1.0, 1.0)]
    radii = [*rng.uniform(3.5, 7.0, 3), rng.uniform(2.5, 4.5), rng.choice([0.0, rng.uniform(4.0, 9.0)])]
    chest = np.array([rng.normal(0.0, 5.0), middle[1], rng.uniform(115.0, 145.0), rng.uniform(80.0, 100.0)])
    organs = Organs(
        wall=wall,
        trunk=np.array([*trunk_from, trunk, *fork, trunk * rng.uniform(0.85, 1.0)]),
        right_branch=np.array([fork[0] - 4.0, behind, right * 1.1, *hilum, right * 0.85]),
        left_branch=np.array([*fork, trunk * 0.85, *left_end, rng.uniform(6.0, 9.0)]),
        pulmonary_pull=rng.normal(0.0, 1.5, 2),
        pulmonary_tilt=rng.normal(0.0, 0.4, 2),
        pulmonary_pulse=rng.uniform(0.03, 0.1),
        cava=np.array([*cava_at, cava * rng.uniform(0.75, 1.0), cava]),
        cava_pulse=rng.uniform(-0.1, 0.1),
        discs=np.array([[*at, radius] for at, radius in zip([*veins, azygos, appendage], radii)]),
        bronchi=np.stack([across, below + rng.normal(0.0, 2.0, 2), bronchus], axis=1),
        oesophagus=np.array([across.mean() + rng.normal(2.0, 3.0), below + 11.0, rng.uniform(4.0, 7.0)]),
        vertebra=vertebra,
        canal=rng.uniform(7.0, 9.5),
        mediastinum=np.array([*(middle - [4.0, 14.0]), rng.uniform(28.0, 44.0), rng.uniform(62.0, 78.0)]),
        margin=rng.uniform(1.0, 5.0),
        bend=np.stack([_bend(rng), _bend(rng)]),
        chest=chest,
        chest_wall=(rng.uniform(12.0, 22.0), rng.uniform(6.0, 30.0)),
        turn=rng.normal(0.0, 0.12),
        centre=view + rng.uniform(-7.0, 7.0, 2),
        waves=np.concatenate([wave_vectors(rng), rng.uniform(0, 2 * np.pi, (WAVES, 1))], axis=1),
    )
    return organs, np.stack([ascending, descending])
