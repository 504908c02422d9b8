"""Who the subject is: disease group, body, volumes, mass, and the volume-time curve of the heart beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

# Normal, dilated, hypertrophic, infarct with regional akinesia, dilated right ventricle.
GROUPS = ("NOR", "DCM", "HCM", "MINF", "RV")
MYOCARDIAL_DENSITY = 1.05  # g/ml

# Healthy mean, sd and reference range at 45-74 years (Petersen et al., J Cardiovasc Magn Reson 2017).
HEALTHY: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "M": {
        "lvedv": (166, 32, 109, 232),
        "lvesv": (69, 16, 39, 103),
        "lvsv": (96, 20, 58, 140),
        "lvef": (58, 5, 47, 70),
        "lvm": (103, 21, 64, 148),
        "rvedv": (182, 36, 110, 260),
        "rvef": (54, 6, 42, 66),
    },
    "F": {
        "lvedv": (124, 21, 88, 161),
        "lvesv": (49, 11, 31, 68),
        "lvsv": (75, 14, 49, 100),
        "lvef": (61, 5, 51, 70),
        "lvm": (70, 13, 45, 96),
        "rvedv": (130, 24, 85, 166),
        "rvef": (58, 6, 47, 68),
    },
}


class Timing(NamedTuple):
    """The volume-time curve, as fractions of the cardiac cycle that starts at end-diastole."""

    systole: Any  # end-systole
    filling_start: Any  # mitral valve opens after isovolumic relaxation
    filling_end: Any  # early filling ends, diastasis begins
    kick_start: Any  # atrial contraction
    early: Any  # share of the stroke volume that fills early; the atrial kick brings the rest
    rv_lag: Any  # by how much the right ventricle comes later


def _ramp(x: Any) -> Any:
    x = x.clip(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def contraction(phase: Any, timing: Timing) -> Any:
    """Ejected share of the stroke volume: 0 at end-diastole (phase 0), 1 at `timing.systole`; periodic.

    Args:
        phase: array of any shape (NumPy or JAX), in cardiac cycles; whole cycles do not matter.
        timing: one subject's; its fields broadcast with `phase`.
    """
    t = phase % 1.0
    ejected = _ramp(t / timing.systole)
    early = _ramp((t - timing.filling_start) / (timing.filling_end - timing.filling_start))
    kick = _ramp((t - timing.kick_start) / (1.0 - timing.kick_start))
    return ejected - timing.early * early - (1.0 - timing.early) * kick


@dataclass(frozen=True)
class Physiology:
    """One subject's body and the closed-form extremes of the ventricular volumes."""

    group: str
    sex: str  # "M" or "F"
    age_years: float
    height_cm: float
    weight_kg: float
    heart_rate_bpm: float
    lvedv_ml: float
    lvesv_ml: float
    lvm_g: float
    rvedv_ml: float
    rvesv_ml: float
    timing: Timing

    @property
    def lvef_pct(self) -> float:
        """Left ventricular ejection fraction of the continuous curve."""
        return 100.0 * (1.0 - self.lvesv_ml / self.lvedv_ml)

    @property
    def rvef_pct(self) -> float:
        """Right ventricular ejection fraction of the continuous curve."""
        return 100.0 * (1.0 - self.rvesv_ml / self.rvedv_ml)

    @property
    def myo_ml(self) -> float:
        """Myocardial volume, the same at every phase."""
        return self.lvm_g / MYOCARDIAL_DENSITY


def sample_physiology(rng: np.random.Generator, group: str) -> Physiology:
    """Draw a subject of a disease group; healthy volumes lie in the reference ranges and follow body size."""
    sex = str(rng.choice(["M", "F"]))
    height = rng.normal(175.0, 7.0) if sex == "M" else rng.normal(162.0, 6.5)
    index = np.clip(rng.normal(26.5, 3.5), 18.5, 40.0)
    weight = index * (height / 100.0) ** 2
    bsa = float(np.sqrt(height * weight / 3600.0))  # body surface area in m2 (Mosteller)
    size = (bsa - (2.0 if sex == "M" else 1.75)) / 0.17
    lvedv, lvef, lvm, rvedv, rvef = _healthy_volumes(rng, sex, size)
    if group == "DCM":
        lvedv, lvef, lvm = bsa * rng.uniform(105, 160), rng.uniform(12, 38), lvm * rng.uniform(1.2, 1.7)
        rvef = rng.uniform(28, 55)
    elif group == "HCM":
        lvedv, lvef, lvm = lvedv * rng.uniform(0.8, 1.0), rng.uniform(58, 75), bsa * rng.uniform(100, 150)
    elif group == "MINF":
        lvedv, lvef, lvm = bsa * rng.uniform(75, 115), rng.uniform(20, 40), lvm * rng.uniform(1.0, 1.3)
    if group == "RV":
        rvedv = bsa * rng.uniform(112, 165)
        rvsv = np.clip(lvedv * lvef / 100 * rng.uniform(0.9, 1.25), 0.15 * rvedv, 0.6 * rvedv)
    elif group == "NOR":
        rvsv = rvedv * rvef / 100.0
    else:  # what the left ventricle ejects the right one has ejected
        rvsv = lvedv * lvef / 100.0 * rng.normal(1.0, 0.04)
        rvedv = rvsv / (rvef / 100.0)
    rate = rng.normal(74.0 if group == "DCM" else 65.0, 10.0)
    return Physiology(
        group=group,
        sex=sex,
        age_years=float(np.round(rng.uniform(45.0, 75.0))),
        height_cm=float(np.round(height, 1)),
        weight_kg=float(np.round(weight, 1)),
        heart_rate_bpm=float(np.round(np.clip(rate, 45.0, 110.0))),
        lvedv_ml=float(lvedv),
        lvesv_ml=float(lvedv * (1.0 - lvef / 100.0)),
        lvm_g=float(lvm),
        rvedv_ml=float(rvedv),
        rvesv_ml=float(rvedv - rvsv),
        timing=_sample_timing(rng),
    )


def _healthy_volumes(
    rng: np.random.Generator, sex: str, size: float
) -> tuple[float, float, float, float, float]:
    """Draw LVEDV, LVEF, LV mass, RVEDV and RVEF until all indices are in range and both ventricles agree."""
    table = HEALTHY[sex]

    def in_range(name: str, value: float) -> bool:
        return table[name][2] <= value <= table[name][3]

    def draw(name: str, common: float) -> float:
        mean, sd = table[name][:2]
        return mean + sd * (0.7 * common + 0.714 * rng.normal())

    common = float(np.clip(0.6 * size, -1.2, 1.2))
    while True:
        lvedv, lvm = draw("lvedv", common), draw("lvm", common)
        lvef, rvef = rng.normal(*table["lvef"][:2]), rng.normal(*table["rvef"][:2])
        lvsv = lvedv * lvef / 100.0
        rvedv = lvsv * rng.normal(1.0, 0.04) / (rvef / 100.0)
        found = {"lvedv": lvedv, "lvesv": lvedv - lvsv, "lvsv": lvsv, "lvef": lvef, "lvm": lvm}
        found |= {"rvedv": rvedv, "rvef": rvef}
        if all(in_range(name, value) for name, value in found.items()):
            return lvedv, lvef, lvm, rvedv, rvef


def _sample_timing(rng: np.random.Generator) -> Timing:
    systole = rng.uniform(0.31, 0.42)
    filling_start = systole + rng.uniform(0.03, 0.08)
    return Timing(
        systole=systole,
        filling_start=filling_start,
        filling_end=filling_start + rng.uniform(0.18, 0.26),
        kick_start=rng.uniform(0.82, 0.88),
        early=rng.uniform(0.62, 0.85),
        rv_lag=rng.uniform(-0.02, 0.02),
    )
