"""The features of `quality/cycle_curves.py` of one pair of curves at a time, in NumPy and double precision.

What is slow and plain: no masks, no blocks, NumPy's own Fourier transform.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from numpy.typing import NDArray

from semiqc_jax.quality.closed_waves import HARMONICS
from semiqc_jax.quality.cycle_curves import BOUND, LOW, MIN_VOLUME_ML, NEAR

Curve = Float[NDArray, " T"]


class Closed(NamedTuple):
    """One closed curve in ml and what its features need."""

    curve: Curve
    harmonics: Complex[NDArray, " K"]
    smooth: Curve
    spike: Curve
    step: Curve

    @property
    def mean(self) -> float:
        """Mean over the cycle."""
        return float(self.curve.mean())

    @property
    def rest(self) -> Curve:
        """What the smooth curve leaves over."""
        return self.curve - self.smooth


def features_of_one(lv_ml: Curve, myo_ml: Curve) -> dict[str, float]:
    """The features of one pair of curves, all frames of which exist and are finite."""
    lv_ml, myo_ml = np.asarray(lv_ml, float), np.asarray(myo_ml, float)
    lv, myo, both = (_closed(curve) for curve in (lv_ml, myo_ml, lv_ml + myo_ml))
    values = _volumes(lv, myo) | _muscle(lv, myo) | _course(lv)
    scales = {"lv_sv": (lv, np.ptp(lv_ml)), "lv_edv": (lv, lv_ml.max()), "myo": (myo, myo.mean)}
    scales["outer"] = (both, lv_ml.max() + myo.mean)
    for name, (cycle, scale) in scales.items():
        values |= _roughness(name, cycle, max(float(scale), MIN_VOLUME_ML))
    es = int(lv_ml.argmin())
    values |= _shape("lv", lv, es, float(np.ptp(lv_ml))) | _shape("myo", myo, es, myo.mean)
    return {name: float(np.clip(values[name], -BOUND, BOUND)) for name in sorted(values)}


def _closed(curve: Curve) -> Closed:
    n = len(curve)
    found = np.zeros(HARMONICS + 1, complex)
    part = np.fft.rfft(curve)[: min(HARMONICS + 1, (n + 1) // 2)] / n
    found[: len(part)] = part
    found[1:] *= 2
    low = np.exp(2j * np.pi * np.outer(np.arange(n), np.arange(LOW + 1)) / n)
    median = np.median([np.roll(curve, 1), curve, np.roll(curve, -1)], axis=0)
    return Closed(curve, found, (low @ found[: LOW + 1]).real, curve - median, np.roll(curve, -1) - curve)


def _log(x: float) -> float:
    return float(np.log(max(x, MIN_VOLUME_ML)))


def _over(a: float, b: float) -> float:
    return a / max(b, MIN_VOLUME_ML)


def _roughness(name: str, cycle: Closed, scale: float) -> dict[str, float]:
    size, energy = np.abs(cycle.step), np.abs(cycle.harmonics) ** 2 / 2
    amounts = {
        "excess": size.sum() - 2 * np.ptp(cycle.curve),
        "bend": np.abs(cycle.step - np.roll(cycle.step, 1)).sum(),
        "jump": size.max(),
        "next_jump": max(np.delete(size, size.argmax()).max(initial=0.0), 0.0),
        "spike": np.abs(cycle.spike).max(),
        "spikes": np.abs(cycle.spike).sum(),
        "rise": cycle.step.max(),
        "fall": -cycle.step.min(),
        "rest": np.sqrt(np.mean(cycle.rest**2)),
    }
    for key, (a, b) in {"3_4": (3, 5), "5_7": (5, 8), "8_10": (8, 11), "11_15": (11, HARMONICS + 1)}.items():
        amounts[f"harmonics_{key}"] = np.sqrt(energy[a:b].sum())
    return {f"{name}_{key}": value / scale for key, value in amounts.items()}


def _volumes(lv: Closed, myo: Closed) -> dict[str, float]:
    ed, es = lv.curve.argmax(), lv.curve.argmin()
    edv, esv = lv.curve[ed], lv.curve[es]
    stroke = max(edv - esv, MIN_VOLUME_ML)
    values = {
        "log_edv": _log(edv),
        "log_esv": _log(esv),
        "log_sv": _log(stroke),
        "log_myo": _log(myo.mean),
        "ef": _over(edv - esv, edv),
        "myo_to_edv": _log(myo.mean) - _log(edv),
        "myo_to_sv": _log(myo.mean) - _log(stroke),
        "ed_myo_to_lv": _log(myo.curve[ed]) - _log(edv),
        "es_myo_to_lv": _log(myo.curve[es]) - _log(esv),
        "mean_lv": _over(lv.mean - esv, stroke),
        "phase_edv_over_first": _log(edv) - _log(lv.curve[0]),
    }
    for name, curve in {"smooth": lv.smooth, "median": lv.curve - lv.spike}.items():
        values[f"ef_over_{name}"] = values["ef"] - _over(np.ptp(curve), curve.max())
        values[f"edv_over_{name}"] = _log(edv) - _log(curve.max())
        values[f"esv_over_{name}"] = _log(esv) - _log(curve.min())
    return values


def _muscle(lv: Closed, myo: Closed) -> dict[str, float]:
    ed, es, mean = lv.curve.argmax(), lv.curve.argmin(), myo.mean
    size = max(lv.curve.max(), MIN_VOLUME_ML) * max(mean, MIN_VOLUME_ML) / 1000
    main = slice(1, LOW + 1)
    slope = np.sum(myo.harmonics[main] * np.conj(lv.harmonics[main])).real
    both = np.minimum(np.abs(lv.step), np.abs(myo.step)) * (lv.step * myo.step > 0)
    return {
        "myo_change": _over(np.ptp(myo.curve), mean),
        "myo_below_mean": _over(mean - myo.curve.min(), mean),
        "myo_above_mean": _over(myo.curve.max() - mean, mean),
        "myo_es_minus_ed": _over(myo.curve[es] - myo.curve[ed], mean),
        "myo_on_lv": slope / (np.sum(np.abs(lv.harmonics[main]) ** 2) + 1),
        "correlation_smooth": _correlation(lv.smooth - lv.mean, myo.smooth - mean, 1.0),
        "correlation_rest": _correlation(lv.rest, myo.rest, 0.3),
        "correlation_steps": _correlation(lv.step, myo.step, 0.3),
        "together_rest": np.mean(lv.rest * myo.rest) / size,
        "together_spikes": np.mean(lv.spike * myo.spike) / size,
        "together_jump": _over(both.max(), lv.curve.max()),
    }


def _correlation(a: Curve, b: Curve, floor: float) -> float:
    return np.mean(a * b) / ((np.sqrt(np.mean(a**2)) + floor) * (np.sqrt(np.mean(b**2)) + floor))


def _course(lv: Closed) -> dict[str, float]:
    n, ed, es = len(lv.curve), int(lv.curve.argmax()), int(lv.curve.argmin())
    high, low = lv.curve[ed], lv.curve[es]
    stroke, length = max(high - low, MIN_VOLUME_ML), (es - ed) % n
    ejecting = (np.arange(n) - ed) % n < length
    return {
        "systole": length / n,
        "phase_ed_cos": np.cos(2 * np.pi * ed / n),
        "phase_ed_sin": np.sin(2 * np.pi * ed / n),
        "phase_es": es / n,
        "phase_gap": (lv.curve[0] - lv.curve[-1]) / stroke,
        "rise_in_ejection": np.maximum(lv.step, 0)[ejecting].sum() / stroke,
        "fall_in_filling": np.maximum(-lv.step, 0)[~ejecting].sum() / stroke,
        "empty": np.mean(lv.curve < 0.1 * high),
        "near_min": np.mean(lv.curve < low + NEAR * stroke),
        "near_max": np.mean(lv.curve > high - NEAR * stroke),
    }


def _shape(name: str, cycle: Closed, es: int, scale: float) -> dict[str, float]:
    turned = cycle.harmonics * np.exp(2j * np.pi * np.arange(HARMONICS + 1) * es / len(cycle.curve))
    turned = turned / max(scale, MIN_VOLUME_ML)
    cosines = {f"{name}_cos_{k}": turned[k].real for k in range(1, LOW + 1)}
    return cosines | {f"{name}_sin_{k}": turned[k].imag for k in range(1, LOW + 1)}
