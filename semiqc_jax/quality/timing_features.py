"""Features of the time course of one subject's ventricles over a whole cardiac cycle.

The cycle is closed and its frames are evenly spaced, as cine series are. Rates are per cycle rather than per second,
so that they need no frame times and do not depend on the heart rate: at 60 beats a minute 1 EDV a cycle is 1 EDV a
second, at 72 it is 1.2. Curves are unsmoothed; a rate is the slope over two frames, so that it sees one frame's noise
halved.
"""

from __future__ import annotations

import jax.numpy as jnp

from semiqc_jax.quality.checks import Scalars, whole_cycle
from semiqc_jax.quality.curve_features import MIN_VOLUME_ML, volume_curves
from semiqc_jax.quality.shape_features import LV, RV
from semiqc_jax.quality.two_curves import lag_and_correlation
from semiqc_jax.segmentation.evidence import Evidence

WORST_LAG, WORST_RATE = 50.0, 20.0
USUAL_RATE = 3.0  # stands for a rate that cannot be measured


def timing_features(subject: Evidence) -> Scalars:
    """Phase and likeness of the ventricles' curves, and the LV's peak rates.

    With fewer frames than a whole cycle has: no lag, full agreement and `USUAL_RATE`. A ventricle that is found nowhere
    gives the worst values.
    """
    frames, curves = jnp.asarray(subject.frame_mask), volume_curves(subject)[:, jnp.array([LV, RV])]
    n = frames.sum()
    mean = curves.sum(0) / jnp.maximum(n, 1)
    found, cycle = (mean > 0).all(), whole_cycle(subject)
    wave = jnp.where(frames[:, None], curves / jnp.maximum(mean, 1e-3) - 1, 0.0)
    lag, agreement = lag_and_correlation(wave, n)

    lv, edv = curves[:, 0], curves[:, 0].max()
    at = jnp.arange(len(lv))
    last = jnp.sum(jnp.where(at == n - 1, lv, 0.0))
    after, before = (jnp.where(at == n - 1, lv[0], jnp.roll(lv, -1)), jnp.where(at == 0, last, jnp.roll(lv, 1)))
    slope = jnp.where(frames, (after - before) / 2, 0.0) * n / jnp.maximum(edv, MIN_VOLUME_ML)

    def where_cycle(value: jnp.ndarray, worst: float, there: jnp.ndarray, otherwise: float) -> jnp.ndarray:
        return jnp.where(cycle, jnp.where(there, value, worst), otherwise)

    ejection, filling = (jnp.minimum(rate, WORST_RATE) for rate in ((-slope).max(), slope.max()))
    return {
        "phase_lag": where_cycle(lag, WORST_LAG, found, 0.0),
        "curve_agreement": where_cycle(agreement, -1.0, found, 1.0),
        "peak_ejection": where_cycle(ejection, WORST_RATE, edv > 0, USUAL_RATE),
        "peak_filling": where_cycle(filling, WORST_RATE, edv > 0, USUAL_RATE),
    }
