"""What the synthetic subjects of every anatomy have in common: a body, a truth, and a plan to render."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Body:
    """One subject's group and body."""

    group: str
    sex: str  # "M" or "F"
    age_years: float
    height_cm: float
    weight_kg: float
    heart_rate_bpm: float
    pulse_pressure_mmhg: float | None = None  # central


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """What is known in closed form about a subject, free of pixels, slices, shifts and triggers."""

    subject_id: str
    who: Body
    ed_frame: int  # of the frames at their nominal times
    es_frame: int
    defects: tuple[str, ...]  # names out of the anatomy's `DEFECTS`; empty for a good acquisition

    @property
    def group(self) -> str:
        """Disease group."""
        return self.who.group


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """One drawn subject, ready to render."""

    truth: Truth
    scan: Any  # the constants that the anatomy's renderer takes; a pytree with leaves `pixel_mm` and `scanner.key`
    kept: NDArray[np.intp]  # rendered slices that are stored, in stored order: from the apex or from the base
    frame_time_s: NDArray[np.float64]
    dz_mm: float  # nominal distance of slice centres

    @property
    def position_mm(self) -> NDArray[np.float64]:
        """Positions [Z] of the kept slices along the stack, from 0 upwards; a missing slice leaves a gap."""
        return np.abs(self.kept - self.kept[0]) * self.dz_mm


def subject_id(index: int) -> str:
    """Name of the subject at `index`, such as phantom0003."""
    return f"phantom{index:04d}"


def sample_body(rng: np.random.Generator) -> tuple[str, float, float]:
    """Draw sex, height in cm and weight in kg."""
    sex = str(rng.choice(["M", "F"]))
    height = rng.normal(175.0, 7.0) if sex == "M" else rng.normal(162.0, 6.5)
    index = np.clip(rng.normal(26.5, 3.5), 18.5, 40.0)
    return sex, height, index * (height / 100.0) ** 2


def sample_defects(rng: np.random.Generator, bad_fraction: float, names: Sequence[str]) -> frozenset[str]:
    """Draw one or two of the defects `names` with probability `bad_fraction`, else none."""
    bad, drawn = rng.random() < bad_fraction, rng.permutation(names)[: rng.integers(1, 3)]
    return frozenset(str(name) for name in drawn) if bad else frozenset()


def frame_times_s(n_frames: int, heart_rate_bpm: float) -> NDArray[np.float64]:
    """Times [T] of evenly spaced frames of one heart beat."""
    return np.arange(n_frames) / n_frames * 60.0 / heart_rate_bpm
