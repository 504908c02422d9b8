"""Volume curves of synthetic hearts, broken as segmentations break them, with errors that are known exactly.

A heart's closed form gives the sections of cavity and epicardium on the slices of a stack at every phase; borders,
base plane and apex then lie wrong, slices are lost or added, and the volumes of what is left are the curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from semiqc_jax.datasets.phantom.heart.geometry import beat, sample_heart, volumes_ml
from semiqc_jax.datasets.phantom.heart.physiology import GROUPS, sample_physiology
from semiqc_jax.studies.curve_data import CurveSet

HEARTS, COPIES, PHANTOM_SEED = 500, 6, 7  # of what a judge is taught by
FRAMES = (20, 25, 30)  # of a cine, in turn
SLICES_ABOVE = 3  # beyond the base plane at end-diastole: what may be added wrongly
OBSERVER = 0.03  # relative sd of a reference volume: two experts differ by that much
MM3_PER_ML = 1000.0

Sections = Float[NDArray, "T Z"]


class Stack(NamedTuple):
    """One heart on the slices of a stack; lengths in mm."""

    inner: Sections  # radius of a disc as large as the cavity's section; goes on above the base plane
    outer: Sections  # the same of the epicardium
    height: Float[NDArray, " Z"]  # of the slice centres above the apex
    base: Float[NDArray, "T 1"]  # height of the base plane
    contraction: Float[NDArray, "T 1"]  # 0 at end-diastole, 1 at end-systole
    dz: float


def broken_curves(n_subjects: int, copies: int, seed: int) -> CurveSet:
    """`copies` curves of each of `n_subjects` synthetic hearts, from nearly right to spoiled.

    The copies stand in place of networks. The reference is the closed form with the spread of an observer.
    """
    stacks, references = _stacks(n_subjects, seed)
    frames = np.array([len(stack.base) for stack in stacks]).repeat(copies)
    lv, myo = np.zeros((2, n_subjects * copies, max(FRAMES)), np.float32)
    for n in range(n_subjects * copies):
        rng = np.random.default_rng([seed, 4, n])
        lv[n, : frames[n]], myo[n, : frames[n]] = _broken(rng, stacks[n // copies])
    edv, esv = np.repeat(references, copies, 0).T
    names = tuple(f"phantom{i:04d}" for i in range(n_subjects))
    return CurveSet(
        lv, myo, np.arange(max(FRAMES)) < frames[:, None],
        patient=np.arange(n_subjects).repeat(copies),
        network=np.tile(np.arange(copies), n_subjects),
        edv_ml=edv,
        esv_ml=esv,
        patients=names,
        networks=tuple(f"copy{i}" for i in range(copies)),
        split=np.full(len(lv), "phantom"),
    )  # fmt: skip


def _stacks(n_subjects: int, seed: int) -> tuple[list[Stack], Float[NDArray, "N 2"]]:
    hearts, phases, spacing, references = [], [], [], []
    for i in range(n_subjects):
        rng = np.random.default_rng([seed, 3, i])
        heart = sample_heart(rng, sample_physiology(rng, GROUPS[i % len(GROUPS)]), 0.0)
        n = FRAMES[i % len(FRAMES)]
        trigger = rng.uniform() if rng.random() < 0.1 else rng.uniform(-0.08, 0.08)
        phase = trigger + np.arange(n) / n
        volumes = volumes_ml(heart, phase)[:, 0]
        edv, esv = np.array([volumes.max(), volumes.min()]) * rng.lognormal(0, OBSERVER, 2)
        references.append((edv, min(esv, 0.95 * edv)))
        hearts.append(heart)
        phases.append(np.resize(phase, max(FRAMES)))
        spacing.append((rng.uniform(7.0, 10.5), rng.uniform()))
    stacked = jax.tree.map(lambda *x: np.stack(x), *hearts)
    beats = jax.device_get(jax.jit(jax.vmap(beat))(stacked, jnp.asarray(phases)))
    stacks = []
    for i, (dz, offset) in enumerate(spacing):
        now = jax.tree.map(lambda x, i=i: x[i, : FRAMES[i % len(FRAMES)], None], beats)
        height = dz * (offset + np.arange(int(hearts[i].base / dz) + 1 + SLICES_ABOVE))
        up = height - now.equator
        inner, outer = (
            np.sqrt(radius2 * np.maximum(1 - (np.maximum(up, -length) / length) ** 2, 0.0))
            for radius2, length in ((now.inner_radius2, now.inner_length), (now.outer_radius2, now.outer_length))
        )
        stacks.append(Stack(inner, outer, height, now.base, now.s, dz))
    return stacks, np.array(references)


def _broken(rng: np.random.Generator, stack: Stack) -> tuple[NDArray, NDArray]:
    """The curves (cavity, myocardium) in ml that one segmentation of a stack gives."""
    strength = rng.uniform() ** 3
    inner, outer = _borders(rng, stack, strength)
    shape = inner.shape
    reach = rng.normal(0, 2 + 5 * strength) + rng.normal(0, 0.3 + 3 * strength * rng.uniform() ** 2, (shape[0], 1))
    smallest = rng.uniform(1, 4 + 4 * strength) + rng.normal(0, 0.2, shape)
    found = (stack.height < stack.base + reach) & (stack.outer > smallest)
    cavity, wall = np.ones(shape), np.ones(shape)
    for damage in DAMAGES:
        if rng.random() < 0.6 * strength:
            damage(rng, cavity, wall, found)
    scale = rng.lognormal(0, 0.01) * (rng.uniform(0.6, 1.5) if rng.random() < 0.04 else 1.0)
    to_ml = np.pi * stack.dz * scale / MM3_PER_ML
    lv = (inner**2 * cavity * found).sum(1) * to_ml
    return lv, (np.maximum(outer**2 - inner**2, 0.0) * wall * found).sum(1) * to_ml


def _borders(rng: np.random.Generator, stack: Stack, strength: float) -> tuple[Sections, Sections]:
    """Radii in mm: borders lie wrong everywhere, more so at end-systole, and tremble."""
    wide, (n_frames, n_slices) = 0.3 + 2.0 * strength, stack.inner.shape
    found = []
    for radius in (stack.inner, stack.outer):
        lasting = rng.normal(0, wide) + rng.normal(0, wide) * stack.contraction + rng.normal(0, wide, n_slices) / 2
        tremor = rng.normal(0, (0.1 + 0.8 * strength) * rng.uniform(0.2, 1), (n_frames, n_slices))
        found.append(np.maximum(radius + (lasting + tremor) * (radius > 0), 0.0))
    return found[0], np.maximum(found[0], found[1])


def _run(rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
    """A run of frames around the closed cycle, or single ones."""
    if rng.random() < 0.4:
        return rng.random(n) < rng.uniform(0.05, 0.5)
    return (np.arange(n) - rng.integers(n)) % n < max(1, round(rng.uniform(0.05, 1.0) * n))


def _some_slices(rng: np.random.Generator, found: NDArray[np.bool_]) -> slice:
    there = np.flatnonzero(found.any(0))
    if not len(there):
        return slice(0, 0)
    first = rng.choice([there[0], there[-1], rng.choice(there)])
    return slice(int(first), int(first) + int(rng.integers(1, 3)))


def lose_slices(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """Slices without heart in some frames."""
    found[_run(rng, len(found)), _some_slices(rng, found)] = False


def lose_slices_everywhere(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """Slices without heart in all frames."""
    found[:, _some_slices(rng, found)] = False


def add_slices(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """The slice above the base is taken for heart, in some frames or in all."""
    frames = _run(rng, len(found)) if rng.random() < 0.6 else np.ones(len(found), bool)
    top = found.shape[1] - 1 - np.argmax(found[:, ::-1], 1)
    rows = np.flatnonzero(frames & found.any(1) & (top + 1 < found.shape[1]))
    found[rows, top[rows] + 1] = True


def shrink(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """Sections are found in part, cavity and wall together."""
    rows, columns = np.flatnonzero(_run(rng, len(found))), _some_slices(rng, found)
    share = rng.uniform(0.1, 0.9)
    cavity[rows, columns] *= share
    wall[rows, columns] *= share


def lose_cavity(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """The cavity is lost where the wall is found."""
    cavity[np.flatnonzero(_run(rng, len(found))), _some_slices(rng, found)] *= rng.uniform(0, 0.6)


def lose_wall(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """The wall is lost where the cavity is found."""
    wall[np.flatnonzero(_run(rng, len(found))), _some_slices(rng, found)] *= rng.uniform(0, 0.6)


def fail_frames(rng: np.random.Generator, cavity: NDArray, wall: NDArray, found: NDArray) -> None:
    """Whole frames are found in part."""
    rows = np.flatnonzero(_run(rng, len(found)))
    found[rows] &= rng.random((len(rows), found.shape[1])) < rng.uniform(0.3, 0.95)


Damage = Callable[[np.random.Generator, NDArray, NDArray, NDArray], None]
DAMAGES: tuple[Damage, ...] = (
    lose_slices, lose_slices_everywhere, add_slices, shrink, lose_cavity, lose_wall, fail_frames,
)  # fmt: skip
