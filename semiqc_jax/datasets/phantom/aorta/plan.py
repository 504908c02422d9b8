"""Specification and index -> one drawn aorta: its truth and the constants to render."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.phantom.aorta.geometry import sample_aorta
from semiqc_jax.datasets.phantom.aorta.physiology import Physiology, areas_mm2, sample_physiology
from semiqc_jax.datasets.phantom.aorta.render import Scan
from semiqc_jax.datasets.phantom.aorta.scene import sample_organs, sample_signal
from semiqc_jax.datasets.phantom.scanner import IMAGE_DEFECTS, sample_scanner
from semiqc_jax.datasets.phantom.spec import AortaSpec
from semiqc_jax.datasets.phantom.subject import Plan, Truth, frame_times_s, sample_defects, subject_id

DEFECTS = (*IMAGE_DEFECTS, "flow_void", "mistriggered")


@dataclass(frozen=True, eq=False, kw_only=True)
class AortaTruth(Truth):
    """The closed-form areas; ED and ES frame have the smallest and largest ascending area."""

    who: Physiology  # body, wave, and the extremes of the areas on the continuous wave
    areas_mm2: NDArray[np.float64]  # [T, 2] ascending, descending, at the frames' nominal times


def plan_subject(spec: AortaSpec, index: int) -> Plan:
    """Draw the subject at `index`; nothing else than `spec` and `index` matters. Costs no pixels."""
    rng = np.random.default_rng([spec.seed, 2, index])
    defects = sample_defects(rng, spec.bad_fraction, DEFECTS)
    who = sample_physiology(rng, spec.groups[index % len(spec.groups)])
    organs, centres = sample_organs(rng, who)
    trigger = rng.uniform(0.0, 1.0) if rng.random() < 0.2 else rng.uniform(-0.08, 0.08)
    phase = trigger + np.arange(spec.n_frames) / spec.n_frames
    late = rng.normal(0.0, 0.15, spec.n_frames) * (rng.random(spec.n_frames) < 0.4)
    areas = areas_mm2(who, phase)
    thickness = rng.uniform(5.0, 8.0)
    scan = Scan(
        aorta=sample_aorta(rng, who, centres),
        signal=sample_signal(rng, "low_contrast" in defects, "flow_void" in defects),
        organs=organs,
        scanner=sample_scanner(rng, spec.noise, defects),
        pixel_mm=spec.fov_mm * rng.uniform(0.95, 1.15) / spec.size,
        thickness_mm=thickness,
        ghost_shift=rng.uniform(0.15, 0.4),
        phase=phase + late * ("mistriggered" in defects),
    )
    return Plan(
        truth=AortaTruth(
            subject_id=subject_id(index),
            who=who,
            areas_mm2=areas,
            ed_frame=int(areas[:, 0].argmin()),
            es_frame=int(areas[:, 0].argmax()),
            defects=tuple(sorted(defects)),
        ),
        scan=scan,
        kept=np.zeros(1, np.intp),
        frame_time_s=frame_times_s(spec.n_frames, who.heart_rate_bpm),
        dz_mm=thickness,
    )
