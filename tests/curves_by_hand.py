"""Curves of a made cohort, and a judge of curves whose verdict is known."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from semiqc_jax.quality.curve_chance import CurveJudge, curve_feature_names
from semiqc_jax.quality.curve_judge import CurveMachine

FRAMES = 24


def random_curves(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves (LV, myocardium, mask) of 8 to 24 frames, from smooth to jagged."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(8, FRAMES + 1, (n, 1))
    phase = np.arange(FRAMES) / frames + rng.uniform(size=(n, 1))
    edv, size, noise = (rng.uniform(low, high, (n, 1)) for low, high in ((60, 250), (0.1, 0.4), (0.2, 8)))
    lv = edv * (1 - size * (1 - np.cos(2 * np.pi * phase))) + noise * rng.normal(size=(n, FRAMES))
    myo = rng.uniform(40, 200, (n, 1)) + noise * rng.normal(size=(n, FRAMES))
    return lv.astype(np.float32), myo.astype(np.float32), np.arange(FRAMES) < frames


def constant_judge(chance: float, patients: tuple[str, ...] = ()) -> CurveJudge:
    """A judge that gives every curve that it judges the same chance."""
    n = len(curve_feature_names())
    numbers = (jnp.zeros(n), jnp.ones(n), jnp.zeros((1, n)), jnp.zeros(1))
    bias = jnp.float32(np.log(chance / (1 - chance)))
    machine = CurveMachine(*numbers, bias)
    return CurveJudge(machine, jnp.float32(1), jnp.float32(0), "nothing at all", patients)
