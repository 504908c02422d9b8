"""Who the subject is: disease group, body, volumes and mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semiqc_jax.datasets.phantom.cycle import Timing, sample_timing
from semiqc_jax.datasets.phantom.subject import Body, sample_body

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


@dataclass(frozen=True, kw_only=True)
class Physiology(Body):
    """One subject's body and the closed-form extremes of the ventricular volumes."""

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
    sex, height, weight = sample_body(rng)
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
        timing=sample_timing(rng),
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
