"""What two volume curves over the cardiac cycle, the LV cavity's and its myocardium's, tell of their own errors.

A segmentation that loses a slice in some frames leaves a trace that no heart makes: the curve jumps, and the
myocardium with the cavity, although muscle hardly changes its volume. A slice lost in every frame leaves none, but
for a volume, a mass and a stroke volume that rarely go together.

The cycle is closed: the last frame is followed by the first. Frames that exist come first; what padded frames hold
does not matter. Features named `phase_...` count from the first frame, which in a triggered cine is near
end-diastole; all others stay the same when the cycle is rotated. Nothing here sorts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from semiqc_jax.quality.blocks import by_blocks
from semiqc_jax.quality.closed_waves import HARMONICS, Waves, fourier, series, wave_sum, wave_table

LOW = 4  # harmonics up to this one make the smooth curve
SAMPLES = 32  # of a resampled curve
MIN_VOLUME_ML = 1.0  # floor of denominators: below it there is no ventricle
BOUND = 20.0  # features are cut to +-BOUND
NEAR = 0.15  # of the stroke volume: what counts as near an extreme
CHANNELS = 4  # of `resampled_curves`

Scalars = dict[str, Float[Array, ""]]


class Cycle(NamedTuple):
    """One closed curve in ml and what every feature needs of it; 0 in padded frames."""

    curve: Float[Array, " T"]
    there: Bool[Array, " T"]
    n: Int[Array, ""]  # frames that exist, at least 1
    harmonics: Complex[Array, " K"]
    smooth: Float[Array, " T"]  # harmonics up to LOW
    spike: Float[Array, " T"]  # distance from the median of three
    step: Float[Array, " T"]  # to the next frame
    bend: Float[Array, " T"]  # how the step differs from the one before
    high: Float[Array, ""]
    low: Float[Array, ""]

    @property
    def mean(self) -> Float[Array, ""]:
        """Mean over the cycle in ml."""
        return jnp.real(self.harmonics[0])

    @property
    def rest(self) -> Float[Array, " T"]:
        """What the smooth curve leaves over."""
        return jnp.where(self.there, self.curve - self.smooth, 0.0)


def _cycle(curve: Float[Array, " T"], there: Bool[Array, " T"], harmonics: Waves) -> Cycle:
    n = jnp.maximum(there.sum(), 1)
    before, after = _before(curve, n), jnp.where(jnp.arange(curve.shape[0]) == n - 1, curve[0], jnp.roll(curve, -1))
    median = jnp.maximum(jnp.minimum(before, after), jnp.minimum(jnp.maximum(before, after), curve))
    coefficients = fourier(curve, there.sum(), harmonics)
    smooth = wave_sum(coefficients[: LOW + 1], Waves(*(wave[: LOW + 1] for wave in harmonics)))
    high, low = _range(curve, there)
    spike, step = jnp.where(there, curve - median, 0.0), jnp.where(there, after - curve, 0.0)
    bend = jnp.where(there, step - _before(step, n), 0.0)
    return Cycle(curve, there, n, coefficients, jnp.where(there, smooth, 0.0), spike, step, bend, high, low)


def _before(curve: Float[Array, " T"], n: Int[Array, ""]) -> Float[Array, " T"]:
    """The value of the frame before, around the closed cycle; a gather would be slower."""
    return jnp.where(jnp.arange(curve.shape[0]) == 0, curve[n - 1], jnp.roll(curve, 1))


def _cycles(lv: Float[Array, " T"], myo: Float[Array, " T"], there: Bool[Array, " T"], table: Waves) -> Cycle:
    """The cycles of cavity, myocardium and both together, stacked. `table`: `waves` of every number of frames."""
    lv, myo = (jnp.where(there & jnp.isfinite(curve), curve, 0.0) for curve in (lv, myo))
    harmonics = Waves(*(wave[there.sum()] for wave in table))
    return jax.vmap(lambda curve: _cycle(curve, there, harmonics))(jnp.stack([lv, myo, lv + myo]))


def _one(cycles: Any, which: int) -> Any:
    return jax.tree.map(lambda x: x[which], cycles)


def _range(curve: Float[Array, " T"], there: Bool[Array, " T"]) -> tuple[Array, Array]:
    some = there.any()
    return (
        jnp.where(some, jnp.where(there, curve, -jnp.inf).max(), 0.0),
        jnp.where(some, jnp.where(there, curve, jnp.inf).min(), 0.0),
    )


def _log(x: Array) -> Array:
    return jnp.log(jnp.maximum(x, MIN_VOLUME_ML))


def _over(a: Array, b: Array) -> Array:
    return a / jnp.maximum(b, MIN_VOLUME_ML)


def _mean_product(a: Array, b: Array, n: Array) -> Array:
    return jnp.sum(a * b) / n


def _correlation(a: Array, b: Array, n: Array, floor: float) -> Array:
    """Correlation of two zero-mean curves, drawn to 0 where either varies by no more than `floor` ml."""
    spreads = [jnp.sqrt(_mean_product(x, x, n)) + floor for x in (a, b)]
    return _mean_product(a, b, n) / (spreads[0] * spreads[1])


def _roughness(cycle: Cycle) -> Scalars:
    """How far one curve is from smooth, at several scales of time, in ml."""
    frame = jnp.arange(cycle.curve.shape[0])
    size = jnp.abs(cycle.step)
    energy = jnp.abs(cycle.harmonics) ** 2 / 2
    amounts = {
        "excess": size.sum() - 2 * (cycle.high - cycle.low),  # a curve that falls and rises once has none
        "bend": jnp.abs(cycle.bend).sum(),
        "jump": size.max(),
        "next_jump": jnp.where(frame == jnp.argmax(size), 0.0, size).max(),
        "spike": jnp.abs(cycle.spike).max(),
        "spikes": jnp.abs(cycle.spike).sum(),
        "rise": cycle.step.max(),
        "fall": -cycle.step.min(),
        "rest": jnp.sqrt(_mean_product(cycle.rest, cycle.rest, cycle.n)),
    }
    bands = {"3_4": (3, 5), "5_7": (5, 8), "8_10": (8, 11), "11_15": (11, HARMONICS + 1)}
    return amounts | {f"harmonics_{key}": jnp.sqrt(energy[a:b].sum()) for key, (a, b) in bands.items()}


def _volumes(lv: Cycle, myo: Cycle, ed: Array, es: Array) -> Scalars:
    """Volumes (log ml), what goes with what, and how far each extreme stands out of its neighbours."""
    edv, esv = lv.high, lv.low
    stroke = jnp.maximum(edv - esv, MIN_VOLUME_ML)
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
    for name, curve in (("smooth", lv.smooth), ("median", lv.curve - lv.spike)):
        high, low = _range(curve, lv.there)
        values[f"ef_over_{name}"] = values["ef"] - _over(high - low, high)
        values[f"edv_over_{name}"] = _log(edv) - _log(high)
        values[f"esv_over_{name}"] = _log(esv) - _log(low)
    return values


def _muscle(lv: Cycle, myo: Cycle, ed: Array, es: Array) -> Scalars:
    """Muscle keeps its volume: what of it comes and goes, and whether it does so with the cavity."""
    size = jnp.maximum(lv.high, MIN_VOLUME_ML) * jnp.maximum(myo.mean, MIN_VOLUME_ML) / 1000.0
    main = slice(1, LOW + 1)
    both = jnp.minimum(jnp.abs(lv.step), jnp.abs(myo.step)) * (lv.step * myo.step > 0)
    low_lv = jnp.where(lv.there, lv.smooth - lv.mean, 0.0)
    low_myo = jnp.where(lv.there, myo.smooth - myo.mean, 0.0)
    slope = jnp.real(jnp.sum(myo.harmonics[main] * jnp.conj(lv.harmonics[main])))
    return {
        "myo_change": _over(myo.high - myo.low, myo.mean),
        "myo_below_mean": _over(myo.mean - myo.low, myo.mean),
        "myo_above_mean": _over(myo.high - myo.mean, myo.mean),
        "myo_es_minus_ed": _over(myo.curve[es] - myo.curve[ed], myo.mean),
        "myo_on_lv": slope / (jnp.sum(jnp.abs(lv.harmonics[main]) ** 2) + 1.0),
        "correlation_smooth": _correlation(low_lv, low_myo, lv.n, 1.0),
        "correlation_rest": _correlation(lv.rest, myo.rest, lv.n, 0.3),
        "correlation_steps": _correlation(lv.step, myo.step, lv.n, 0.3),
        "together_rest": _mean_product(lv.rest, myo.rest, lv.n) / size,
        "together_spikes": _mean_product(lv.spike, myo.spike, lv.n) / size,
        "together_jump": _over(both.max(), lv.high),
    }


def _course(lv: Cycle, ed: Array, es: Array) -> Scalars:
    """Timing of the cycle, and whether the volume falls in ejection and rises in filling."""
    frame = jnp.arange(lv.curve.shape[0])
    stroke, length = jnp.maximum(lv.high - lv.low, MIN_VOLUME_ML), (es - ed) % lv.n
    ejecting = (frame - ed) % lv.n < length
    first = jnp.exp(2j * jnp.pi * ed / lv.n)

    def share(where: Array) -> Array:
        return jnp.sum(lv.there & where) / lv.n

    return {
        "systole": length / lv.n,
        "phase_ed_cos": first.real,
        "phase_ed_sin": first.imag,
        "phase_es": es / lv.n,
        "phase_gap": (lv.curve[0] - lv.curve[lv.n - 1]) / stroke,
        "rise_in_ejection": jnp.sum(jnp.where(ejecting, jnp.maximum(lv.step, 0.0), 0.0)) / stroke,
        "fall_in_filling": jnp.sum(jnp.where(ejecting, 0.0, jnp.maximum(-lv.step, 0.0))) / stroke,
        "empty": share(lv.curve < 0.1 * lv.high),
        "near_min": share(lv.curve < lv.low + NEAR * stroke),
        "near_max": share(lv.curve > lv.high - NEAR * stroke),
    }


def _shape(name: str, cycle: Cycle, es: Array, scale: Array) -> Scalars:
    """The first harmonics, in phase and out of phase with end-systole, as shares of `scale` ml."""
    turn = jnp.exp(2j * jnp.pi * jnp.arange(LOW + 1) * es / cycle.n)
    turned = cycle.harmonics[: LOW + 1] * turn / jnp.maximum(scale, MIN_VOLUME_ML)
    cosines = {f"{name}_cos_{k}": turned[k].real for k in range(1, LOW + 1)}
    return cosines | {f"{name}_sin_{k}": turned[k].imag for k in range(1, LOW + 1)}


def _features(cycles: Cycle) -> Scalars:
    lv, myo = _one(cycles, 0), _one(cycles, 1)
    ed = jnp.argmax(jnp.where(lv.there, lv.curve, -jnp.inf))
    es = jnp.argmin(jnp.where(lv.there, lv.curve, jnp.inf))
    values = _volumes(lv, myo, ed, es) | _muscle(lv, myo, ed, es) | _course(lv, ed, es)
    stroke, rough = lv.high - lv.low, jax.vmap(_roughness)(cycles)  # one program for the three curves
    scales = {"lv_sv": (0, stroke), "lv_edv": (0, lv.high), "myo": (1, myo.mean), "outer": (2, lv.high + myo.mean)}
    for name, (which, scale) in scales.items():
        values |= {f"{name}_{key}": _over(x, scale) for key, x in _one(rough, which).items()}
    values |= _shape("lv", lv, es, stroke) | _shape("myo", myo, es, myo.mean)
    return {name: jnp.clip(value, -BOUND, BOUND) for name, value in values.items()}


@jax.jit
def cycle_curve_features(
    lv_ml: Float[Array, "N T"], myo_ml: Float[Array, "N T"], frame_mask: Bool[Array, "N T"]
) -> dict[str, Float[Array, " N"]]:
    """Features of N pairs of curves, by name, sorted; all finite and within +-20.

    Volumes are natural logarithms of ml; everything else is a plain ratio. `lv_sv_...` is the roughness of the LV
    curve in stroke volumes, `lv_edv_...` in end-diastolic volumes, `myo_...` that of the myocardium in its mean,
    `outer_...` that of the volume within the epicardium. Values that are not finite count as 0 ml.
    """
    table = wave_table(lv_ml.shape[1])

    def block(*curves: Array) -> dict[str, Array]:
        return jax.vmap(lambda lv, myo, there: _features(_cycles(lv, myo, there, table)))(*curves)

    return by_blocks(block, lv_ml, myo_ml, frame_mask)


def _resampled(cycles: Cycle) -> Array:
    lv, myo = _one(cycles, 0), _one(cycles, 1)
    phase = jnp.arange(SAMPLES) / SAMPLES
    x, y = series(lv.harmonics, phase), series(myo.harmonics, phase)
    shown = (
        (x - lv.low) / jnp.maximum(lv.high - lv.low, MIN_VOLUME_ML),
        _over(x, lv.high),
        4 * (_over(y, myo.mean) - 1),
        _over(x + y, lv.high + myo.mean),
    )
    return jnp.clip(jnp.stack(shown, -1), -BOUND, BOUND)


@jax.jit
def resampled_curves(
    lv_ml: Float[Array, "N T"], myo_ml: Float[Array, "N T"], frame_mask: Bool[Array, "N T"]
) -> Float[Array, "N {SAMPLES} {CHANNELS}"]:
    """N pairs of curves at 32 phases of the cycle by their Fourier series, whatever the number of frames.

    Channels: the LV between its minimum and maximum, the LV over its maximum, four times the myocardium's relative
    distance from its mean, and the volume within the epicardium.
    """
    table = wave_table(lv_ml.shape[1])

    def block(*curves: Array) -> Array:
        return jax.vmap(lambda lv, myo, there: _resampled(_cycles(lv, myo, there, table)))(*curves)

    return by_blocks(block, lv_ml, myo_ml, frame_mask)
