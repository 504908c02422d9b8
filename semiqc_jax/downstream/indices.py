"""Clinical indices of the ventricles from volume curves and phases."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int

from semiqc_jax.downstream.curves import namespace

MYOCARDIUM_G_PER_ML = 1.05
SHORT_AXIS_INDICES = (
    "lvedv_ml", "lvesv_ml", "lvsv_ml", "lvef_pct", "lvm_g", "rvedv_ml", "rvesv_ml", "rvsv_ml", "rvef_pct",
)  # fmt: skip


def short_axis_indices(
    curves_ml: Float[Any, "*batch T C"], ed: Int[Any, "*batch"], es: Int[Any, "*batch"]
) -> dict[str, Float[Any, "*batch"]]:
    """The nine ventricular indices, keyed by `SHORT_AXIS_INDICES`: ml, %, and g for the mass.

    SV = EDV - ESV; EF = 100 SV / EDV; LV mass = myocardium at ED x 1.05 g/ml. The right ventricle is read at
    the left ventricle's phases. NaN where undefined: what a NaN volume enters, EF of an empty ventricle, and
    all that needs end-systole where there is only one frame.

    Args:
        curves_ml: volumes of LV cavity, LV myocardium, RV cavity.
        ed, es: frame numbers, one pair a curve.
    """
    xp = namespace(curves_ml)

    def at(frame: Any) -> Any:
        index = xp.asarray(frame)[..., None, None]
        return xp.take_along_axis(curves_ml, index, -2)[..., 0, :]

    end_diastole, end_systole = at(ed), at(es)
    if curves_ml.shape[-2] == 1:
        end_systole = end_systole * xp.nan
    values: dict[str, Any] = {}
    for name, column in (("lv", 0), ("rv", 2)):
        edv, esv = end_diastole[..., column], end_systole[..., column]
        stroke = edv - esv
        fraction = 100 * stroke / xp.where(edv > 0, edv, xp.nan)
        values |= {
            f"{name}edv_ml": edv, f"{name}esv_ml": esv, f"{name}sv_ml": stroke, f"{name}ef_pct": fraction,
        }  # fmt: skip
    values["lvm_g"] = end_diastole[..., 1] * MYOCARDIUM_G_PER_ML
    return {name: values[name] for name in SHORT_AXIS_INDICES}
