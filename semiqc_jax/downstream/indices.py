"""Clinical indices of a task: of the ventricles from volume curves, of the aorta from area curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from jaxtyping import Float, Int

from semiqc_jax.anatomy import AORTA, SHORT_AXIS, Task
from semiqc_jax.downstream.curves import namespace
from semiqc_jax.downstream.phases import phases, reading_frames

MYOCARDIUM_G_PER_ML = 1.05
LEAST_PULSE_PRESSURE_MMHG = 10.0  # below it a central pulse pressure counts as not measured (UK Biobank)
Values = dict[str, Float[Any, "*batch"]]


def clinical_indices(
    task: Task,
    curves: Float[Any, "*batch T C"],
    pulse_pressure_mmhg: Float[Any, "*#batch"] | float | None = None,
    frames: tuple[Int[Any, "*batch C"], Int[Any, "*batch C"]] | None = None,
) -> Values:
    """The indices of a task, keyed by `task.indices`; NaN where undefined.

    Args:
        curves: in the task's unit (`task_curves`).
        pulse_pressure_mmhg: central pulse pressure; None or NaN where unknown.
        frames: the two frames of each class that are read (`reading_frames`), None for the curves' own.
    """
    xp = namespace(curves)
    first, second = reading_frames(curves, *phases(curves, task), task) if frames is None else frames
    one = xp.take_along_axis(curves, xp.asarray(first)[..., None, :], -2)[..., 0, :]
    two = xp.take_along_axis(curves, xp.asarray(second)[..., None, :], -2)[..., 0, :]
    if curves.shape[-2] == 1:
        two = two * xp.nan
    pressure = xp.nan if pulse_pressure_mmhg is None else xp.asarray(pulse_pressure_mmhg)
    values = INDICES[task.name](one, two, pressure)
    return {name: values[name] for name in task.indices}


def short_axis_indices(
    end_diastole: Float[Any, "*batch 3"], end_systole: Float[Any, "*batch 3"], pulse_pressure_mmhg: Any = None
) -> Values:
    """The nine ventricular indices in ml, %, and g for the mass, from volumes of LV cavity, myocardium, RV cavity.

    SV = EDV - ESV; EF = 100 SV / EDV; LV mass = myocardium at ED x 1.05 g/ml. An empty ventricle has no EF. The
    pressure is not used.
    """
    xp = namespace(end_diastole)
    values: Values = {}
    for name, column in (("lv", 0), ("rv", 2)):
        edv, esv = end_diastole[..., column], end_systole[..., column]
        stroke = edv - esv
        fraction = 100 * stroke / xp.where(edv > 0, edv, xp.nan)
        values |= {
            f"{name}edv_ml": edv, f"{name}esv_ml": esv, f"{name}sv_ml": stroke, f"{name}ef_pct": fraction,
        }  # fmt: skip
    values["lvm_g"] = end_diastole[..., 1] * MYOCARDIUM_G_PER_ML
    return values


def aortic_indices(
    largest: Float[Any, "*batch 2"], smallest: Float[Any, "*batch 2"], pulse_pressure_mmhg: Any
) -> Values:
    """The four indices of either vessel, from its largest and smallest area over the cycle in mm^2.

    Strain = 100 (Amax - Amin) / Amin in %; distensibility = 1000 (Amax - Amin) / (Amin x central pulse pressure)
    in 1e-3 / mmHg. A vessel that vanishes has neither, a single frame has no extremes, and a pulse pressure below
    `LEAST_PULSE_PRESSURE_MMHG` counts as unknown: distensibility is NaN.
    """
    xp = namespace(largest)
    pressure = xp.where(pulse_pressure_mmhg >= LEAST_PULSE_PRESSURE_MMHG, pulse_pressure_mmhg, xp.nan)
    values: Values = {}
    for column, name in enumerate(AORTA.classes):
        low = smallest[..., column]
        high = xp.where(xp.isnan(low), xp.nan, largest[..., column])
        strain = 100 * (high - low) / xp.where(low > 0, low, xp.nan)
        values |= {
            f"{name}_max_mm2": high,
            f"{name}_min_mm2": low,
            f"{name}_strain_pct": strain,
            f"{name}_distensibility_1e3_per_mmhg": 10 * strain / pressure,
        }
    return values


INDICES: Mapping[str, Callable[..., Values]] = MappingProxyType(
    {SHORT_AXIS.name: short_axis_indices, AORTA.name: aortic_indices}
)
