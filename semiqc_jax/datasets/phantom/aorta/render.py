"""Subjects' constants -> images and labels: one compiled function over subjects, frames and pixels."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from semiqc_jax.datasets.phantom.aorta.geometry import Aorta, Section, label_of, section
from semiqc_jax.datasets.phantom.aorta.picture import at_rest, lumen_share, with_vessels
from semiqc_jax.datasets.phantom.aorta.scene import Organs, Signal
from semiqc_jax.datasets.phantom.cycle import contraction
from semiqc_jax.datasets.phantom.paint import texture_field
from semiqc_jax.datasets.phantom.scanner import Scanner, acquire


class Scan(NamedTuple):
    """Everything that one subject's images and labels follow from. All leaves are numbers or arrays."""

    aorta: Aorta
    signal: Signal
    organs: Organs
    scanner: Scanner
    pixel_mm: float
    thickness_mm: float
    ghost_shift: float  # distance of the flow ghosts along phase encoding, as a share of the field of view
    phase: Any  # [T] cardiac phase of each frame, in cycles


@partial(jax.jit, static_argnames=("size", "subsamples"))
def render(
    scans: Scan, size: int, subsamples: int
) -> tuple[Float[Array, "S T 1 Y X"], UInt8[Array, "S T 1 Y X"]]:
    """Image and label of a chunk of S subjects; every leaf of `scans` has a leading axis S."""
    return jax.vmap(partial(_render, size=size, subsamples=subsamples))(scans)


def _render(scan: Scan, size: int, subsamples: int) -> tuple[Array, Array]:
    aorta, signal, organs = scan.aorta, scan.signal, scan.organs
    axis = (jnp.arange(size) - 0.5 * (size - 1)) * scan.pixel_mm
    y, x = jnp.meshgrid(axis, axis, indexing="ij")
    cos, sin = jnp.cos(organs.turn), jnp.sin(organs.turn)
    at_x, at_y = cos * x + sin * y + organs.centre[0], cos * y - sin * x + organs.centre[1]
    texture = texture_field(organs.waves, at_x, at_y, 0.0)
    behind = at_rest(signal, organs, aorta, texture, at_x, at_y, scan.pixel_mm)
    offsets = [((k + 0.5) / subsamples - 0.5) * scan.thickness_mm for k in range(subsamples)]
    along = scan.ghost_shift * size * scan.pixel_mm
    step = jnp.stack([1.0 - scan.scanner.ghost_along_rows, scan.scanner.ghost_along_rows]) * along
    step_x, step_y = cos * step[0] + sin * step[1], cos * step[1] - sin * step[0]

    def frame(s: Array, flow: Array, now: tuple[Section, Section]) -> tuple[Array, Array]:
        layers = [
            with_vessels(behind, signal, organs, aorta, now, s, flow, texture, at_x, at_y, offset, scan.pixel_mm)
            for offset in offsets
        ]
        ghosts = [
            run * lumen_share(lumen, one, at_x - way * step_x, at_y - way * step_y, 0.0, scan.pixel_mm, 0.0)
            for lumen, one, run in zip(aorta[:2], now, flow) for way in (-1.0, 1.0)
        ]  # fmt: skip
        picture = sum(layers, jnp.zeros(())) / subsamples + signal.flow_ghost * sum(ghosts, jnp.zeros(()))
        return picture, label_of(aorta, *now, at_x, at_y)

    s = contraction(scan.phase, aorta.timing)
    flow = jnp.stack([_flow(scan.phase - lumen.foot, aorta.timing.systole) for lumen in aorta[:2]], axis=-1)
    now = (section(aorta, aorta.ascending, scan.phase), section(aorta, aorta.descending, scan.phase))
    picture, label = jax.vmap(frame)(s, flow, now)
    return acquire(scan.scanner, picture[:, None], x, y, scan.pixel_mm), label[:, None]


def _flow(phase: Array, systole: Array) -> Array:
    """Blood flow since the foot of the wave, relative to its peak in mid-systole: 0 in diastole."""
    return jnp.sin(jnp.pi * jnp.clip((phase % 1.0) / systole, 0.0, 1.0)) ** 2
