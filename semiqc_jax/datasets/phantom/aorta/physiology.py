"""Who the subject is: group, age, pressure, aortic areas and stiffness, and the area wave of the heart beat.

The wall is stiffer in age: distensibility halves in 25 years, areas and pulse pressure grow. The pulse wave is
the faster the stiffer the wall (Bramwell and Hill 1922), so that the descending aorta follows more closely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from semiqc_jax.datasets.phantom.cycle import ramp
from semiqc_jax.datasets.phantom.subject import Body, sample_body

# Healthy at 45-75 years, hypertension, aneurysm of the ascending aorta, healthy at 18-35 years.
GROUPS = ("NOR", "HTN", "ANE", "YNG")
AGES = {"NOR": (45, 75), "HTN": (45, 75), "ANE": (50, 80), "YNG": (18, 35)}
AREAS = {"M": (870.0, 515.0), "F": (800.0, 470.0)}  # smallest area in mm2 at 60 years, ascending and descending
HEALTHY_AREAS = ((700.0, 1000.0), (400.0, 600.0))  # of the group NOR
HEALTHY_DISTENSIBILITY = (1.0, 3.0)  # 1e-3 / mmHg
STIFFENED = {"HTN": (0.5, 0.5), "ANE": (0.6, 0.8)}  # factor on distensibility
BLOOD_DENSITY = 1060.0  # kg / m3
PASCAL_PER_MMHG = 133.322


class Wave(NamedTuple):
    """The area wave, as fractions of the cardiac cycle that starts at the foot of the wave."""

    peak: Any
    decay: Any  # how steep the decline is; 3 to 5
    notch: Any  # start of the dicrotic notch, not before the peak
    notch_width: Any
    notch_depth: Any  # as a share of the wave


def area_wave(phase: Any, wave: Wave) -> Any:
    """Share of the pulse: exactly 0 at the foot (phase 0) and 1 at `wave.peak`, in between elsewhere; periodic.

    Args:
        phase: array of any shape (NumPy or JAX), in cycles since the foot; whole cycles do not matter.
        wave: one subject's.
    """
    t = phase % 1.0
    since = wave.decay * ((t - wave.peak) / (1.0 - wave.peak)).clip(0.0, 1.0)
    last = (1.0 + wave.decay) * np.e**-wave.decay
    decline = ((1.0 + since) * np.e**-since - last) / (1.0 - last)
    within = ((t - wave.notch) / wave.notch_width).clip(0.0, 1.0)
    notch = (4.0 * within * (1.0 - within)) ** 2
    return ramp(t / wave.peak) * decline * (1.0 - wave.notch_depth * notch)


@dataclass(frozen=True, kw_only=True)
class Physiology(Body):
    """One subject's body and aorta. Pairs are ascending, descending; extremes are those of the continuous wave."""

    min_area_mm2: tuple[float, float]
    distensibility_1e3_per_mmhg: tuple[float, float]
    wave: Wave
    foot: float  # phase at which the wave starts in the ascending aorta
    path_m: float  # length of the arch between both sections

    @property
    def strain_pct(self) -> tuple[float, float]:
        """Relative area change (Amax - Amin) / Amin."""
        pressure = self.pulse_pressure_mmhg or 0.0
        ascending, descending = (0.1 * d * pressure for d in self.distensibility_1e3_per_mmhg)
        return ascending, descending

    @property
    def max_area_mm2(self) -> tuple[float, float]:
        """Largest areas."""
        ascending, descending = (a * (1.0 + s / 100.0) for a, s in zip(self.min_area_mm2, self.strain_pct))
        return ascending, descending

    @property
    def pulse_wave_velocity_m_s(self) -> float:
        """In the arch: (density x distensibility)^-1/2, with the geometric mean of both distensibilities."""
        mean = float(np.sqrt(np.prod(self.distensibility_1e3_per_mmhg)))
        return (BLOOD_DENSITY * 1e-3 * mean / PASCAL_PER_MMHG) ** -0.5

    @property
    def lag(self) -> float:
        """By how much the descending aorta's wave comes later, in cycles."""
        return self.path_m / self.pulse_wave_velocity_m_s * self.heart_rate_bpm / 60.0

    @property
    def feet(self) -> tuple[float, float]:
        """Phases at which the waves start."""
        return self.foot, self.foot + self.lag


def areas_mm2(who: Physiology, phase: Float[np.ndarray, "*T"]) -> NDArray[np.float64]:
    """Exact areas of the ascending and descending lumen in mm2: [..., 2] at phases [...], in cycles."""
    ends = zip(who.min_area_mm2, who.max_area_mm2, who.feet)
    return np.stack([low + (high - low) * area_wave(phase - foot, who.wave) for low, high, foot in ends], axis=-1)


def sample_physiology(rng: np.random.Generator, group: str) -> Physiology:
    """Draw a subject of a group; NOR lies in the healthy ranges."""
    sex, height, weight = sample_body(rng)
    age = float(np.round(rng.uniform(*AGES[group])))
    areas, distensibility = _sample_aorta(rng, group, sex, age)
    pressure = 28.0 + 0.35 * (age - 20.0) + rng.normal(0.0, 4.0)
    pressure += {"HTN": rng.uniform(12.0, 30.0), "ANE": rng.uniform(0.0, 12.0)}.get(group, 0.0)
    peak = rng.uniform(0.18, 0.26)
    return Physiology(
        group=group,
        sex=sex,
        age_years=age,
        height_cm=float(np.round(height, 1)),
        weight_kg=float(np.round(weight, 1)),
        heart_rate_bpm=float(np.round(np.clip(rng.normal(65.0, 10.0), 45.0, 110.0))),
        pulse_pressure_mmhg=float(np.round(np.clip(pressure, 20.0, 100.0))),
        min_area_mm2=areas,
        distensibility_1e3_per_mmhg=distensibility,
        wave=Wave(
            peak=peak,
            decay=rng.uniform(3.0, 4.5),
            notch=peak + rng.uniform(0.09, 0.14),
            notch_width=rng.uniform(0.07, 0.1),
            notch_depth=rng.uniform(0.11, 0.18),
        ),
        foot=rng.uniform(0.03, 0.07),
        path_m=rng.uniform(0.09, 0.12) + 0.0005 * (age - 20.0),
    )


def _sample_aorta(
    rng: np.random.Generator, group: str, sex: str, age: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Draw smallest areas and distensibilities, ascending and descending, until a healthy subject is in range."""
    while True:
        growth = np.exp(0.006 * (age - 60.0) + rng.normal(0.0, 0.05))
        ascending, descending = (area * growth * np.exp(rng.normal(0.0, 0.06)) for area in AREAS[sex])
        usual = 2.8 * np.exp(-0.028 * (age - 45.0) + rng.normal(0.0, 0.12))
        soft = [usual * f * np.exp(rng.normal(0.0, 0.06)) for f in STIFFENED.get(group, (1.0, 1.0))]
        if group == "ANE":
            ascending = rng.uniform(1300.0, 2300.0)
        areas = (float(ascending), float(descending))
        in_range = all(low <= area <= high for area, (low, high) in zip(areas, HEALTHY_AREAS))
        compliant = all(HEALTHY_DISTENSIBILITY[0] <= d <= HEALTHY_DISTENSIBILITY[1] for d in soft)
        if group != "NOR" or (in_range and compliant):
            return areas, (float(soft[0]), float(soft[1]))
