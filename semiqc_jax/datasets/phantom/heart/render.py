"""Subjects' constants -> images and labels: one compiled function over subjects, frames, slices, pixels."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from semiqc_jax.datasets.phantom.heart.geometry import Beat, Heart, beat, label_of, surfaces
from semiqc_jax.datasets.phantom.heart.scene import Organs, Signal, surroundings, with_heart
from semiqc_jax.datasets.phantom.paint import texture_field
from semiqc_jax.datasets.phantom.scanner import Scanner, acquire


class Scan(NamedTuple):
    """Everything that one subject's images and labels follow from. All leaves are numbers or arrays."""

    heart: Heart
    signal: Signal
    organs: Organs
    scanner: Scanner
    pixel_mm: float
    thickness_mm: float
    position_mm: Any  # [Z] height of the slice centres above the apex
    shift_mm: Any  # [Z, 2] breath-hold shift of what a slice shows
    phase: Any  # [T, Z] cardiac phase of each frame of each slice, in cycles


@partial(jax.jit, static_argnames=("size", "subsamples"))
def render(
    scans: Scan, size: int, subsamples: int
) -> tuple[Float[Array, "S T Z Y X"], UInt8[Array, "S T Z Y X"]]:
    """Image and label of a chunk of S subjects; every leaf of `scans` has a leading axis S."""
    return jax.vmap(partial(_render, size=size, subsamples=subsamples))(scans)


def _render(scan: Scan, size: int, subsamples: int) -> tuple[Array, Array]:
    axis = (jnp.arange(size) - 0.5 * (size - 1)) * scan.pixel_mm
    y, x = jnp.meshgrid(axis, axis, indexing="ij")
    offsets = [((k + 0.5) / subsamples - 0.5) * scan.thickness_mm for k in range(subsamples)]

    def slice_(position: Array, shift: Array, beats: Beat) -> tuple[Array, Array]:
        at_x, at_y = x - shift[0], y - shift[1]
        texture = texture_field(scan.organs.waves, at_x, at_y, position)
        behind = surroundings(scan.signal, scan.organs, texture, at_x, at_y, position, scan.pixel_mm)

        def frame(now: Beat) -> tuple[Array, Array]:
            layers = [
                with_heart(behind, scan.heart, scan.signal, scan.organs, now, texture,
                           at_x, at_y, position + offset, scan.pixel_mm)
                for offset in offsets
            ]  # fmt: skip
            label = label_of(surfaces(scan.heart, now, at_x, at_y, position))
            return sum(layers, jnp.zeros(())) / subsamples, label

        return jax.vmap(frame)(beats)

    picture, label = jax.vmap(slice_, in_axes=(0, 0, 1), out_axes=1)(
        scan.position_mm, scan.shift_mm, beat(scan.heart, scan.phase)
    )
    return acquire(scan.scanner, picture, x, y, scan.pixel_mm), label
