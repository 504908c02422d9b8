"""Specification and index -> one drawn heart: its truth, the constants to render, the slices kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.phantom.heart.geometry import Heart, sample_heart, volumes_ml
from semiqc_jax.datasets.phantom.heart.physiology import Physiology, sample_physiology
from semiqc_jax.datasets.phantom.heart.render import Scan
from semiqc_jax.datasets.phantom.heart.scene import sample_organs, sample_signal
from semiqc_jax.datasets.phantom.scanner import IMAGE_DEFECTS, sample_scanner
from semiqc_jax.datasets.phantom.spec import PhantomSpec
from semiqc_jax.datasets.phantom.subject import Plan, Truth, frame_times_s, sample_defects, subject_id

DEFECTS = (*IMAGE_DEFECTS, "misaligned", "mistriggered", "missing_slices")


@dataclass(frozen=True, eq=False, kw_only=True)
class HeartTruth(Truth):
    """The closed-form volumes; end-diastole and end-systole have the largest and smallest LV volume."""

    who: Physiology  # body, timing, mass, and the extremes of the volumes on the continuous curve
    curves_ml: NDArray[np.float64]  # [T, 3] LV cavity, myocardium, RV cavity at the frames' nominal times

    @property
    def lvef_pct(self) -> float:
        """LV ejection fraction of the frames; `who.lvef_pct` is that of the continuous curve."""
        return self._ejection_fraction(0)

    @property
    def rvef_pct(self) -> float:
        """RV ejection fraction of the frames, at the phases of the LV."""
        return self._ejection_fraction(2)

    def _ejection_fraction(self, column: int) -> float:
        ed, es = self.curves_ml[[self.ed_frame, self.es_frame], column]
        return float(100.0 * (ed - es) / ed)


def plan_subject(spec: PhantomSpec, index: int) -> Plan:
    """Draw the subject at `index`; nothing else than `spec` and `index` matters. Costs no pixels."""
    rng = np.random.default_rng([spec.seed, 0, index])
    defects = sample_defects(rng, spec.bad_fraction, DEFECTS)
    who = sample_physiology(rng, spec.groups[index % len(spec.groups)])
    orientation = rng.uniform(-np.pi, np.pi) if rng.random() < 0.15 else rng.normal(0.0, 0.4)
    heart = sample_heart(rng, who, orientation)
    trigger = rng.uniform(0.0, 1.0) if rng.random() < 0.2 else rng.uniform(-0.08, 0.08)
    phase = trigger + np.arange(spec.n_frames) / spec.n_frames
    height, n_slices, dz_mm = _sample_stack(rng, spec, heart)
    late = rng.normal(0.0, 0.15, spec.n_slices) * (rng.random(spec.n_slices) < 0.4)
    shift = rng.normal(0.0, 1.0, (spec.n_slices, 2))
    shift *= rng.uniform(4.0, 7.0) if "misaligned" in defects else spec.misalignment_mm
    scan = Scan(
        heart=heart,
        signal=sample_signal(rng, "low_contrast" in defects),
        organs=sample_organs(rng, orientation, who.group == "RV"),
        scanner=sample_scanner(rng, spec.noise, defects),
        pixel_mm=spec.fov_mm * rng.uniform(0.9, 1.12) / spec.size,
        thickness_mm=dz_mm * rng.uniform(0.6, 1.0),
        position_mm=height,
        shift_mm=shift,
        phase=phase[:, None] + late * ("mistriggered" in defects),
    )
    curves = volumes_ml(heart, phase)
    return Plan(
        truth=HeartTruth(
            subject_id=subject_id(index),
            who=who,
            curves_ml=curves,
            ed_frame=int(curves[:, 0].argmax()),
            es_frame=int(curves[:, 0].argmin()),
            defects=tuple(sorted(defects)),
        ),
        scan=scan,
        kept=_sample_kept(rng, n_slices, "missing_slices" in defects),
        frame_time_s=frame_times_s(spec.n_frames, who.heart_rate_bpm),
        dz_mm=dz_mm,
    )


def _sample_stack(rng: np.random.Generator, spec: PhantomSpec, heart: Heart) -> tuple[NDArray, int, float]:
    """Heights [n_slices] of the slice centres above the apex, how many the scan has, and their distance."""
    dz, low, high = rng.uniform(8.0, 10.0), rng.uniform(-0.4, 0.4), rng.uniform(0.0, 0.9)
    if spec.whole_heart:
        bottom, n_slices = -2.0, spec.n_slices
        top = max(heart.base, heart.rv_base) + 80.0 * float(np.hypot(*heart.oblique)) + 2.0
        dz = (top - bottom) / (n_slices - 1)
    else:
        bottom, top = low * dz, heart.base + high * dz
        n_slices = min(spec.n_slices, 1 + round((top - bottom) / dz))
        dz = max(dz, (top - bottom) / (n_slices - 1))
        bottom = top - (n_slices - 1) * dz
    return bottom + dz * np.arange(spec.n_slices), n_slices, float(dz)


def _sample_kept(rng: np.random.Generator, n_slices: int, missing: bool) -> NDArray[np.intp]:
    kept, upwards = np.arange(n_slices), bool(rng.integers(2))
    gone = rng.choice(np.arange(1, n_slices - 1), rng.integers(1, 3) if n_slices > 6 else 1, replace=False)
    if missing:
        kept = np.setdiff1d(kept, gone)
    return kept if upwards else kept[::-1]
