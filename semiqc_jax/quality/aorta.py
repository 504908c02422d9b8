"""The checks of the aortic task: features of both vessels over the cycle, the field's rules and ours."""

from __future__ import annotations

from semiqc_jax.anatomy import AORTA
from semiqc_jax.quality.aorta_features import (
    area_features,
    curve_features,
    outline_features,
    position_features,
)
from semiqc_jax.quality.checks import (
    IMAGE,
    LABEL,
    OWN,
    UKBB,
    Checks,
    Condition,
    Feature,
    Rule,
    above,
    below,
    cine,
    two_frames,
)
from semiqc_jax.quality.network_features import NETWORK_FEATURES, confidence_features, flip_features

VESSELS = tuple(zip(AORTA.classes, ("ascending", "descending"), strict=True))


def _of_each(
    name: str, unit: str, source: str, description: str, needs: str = LABEL, when: Condition | None = None
) -> tuple[Feature, ...]:
    """A feature of each vessel; `{vessel}` in the description is its name."""
    return tuple(Feature(f"{c}_{name}", unit, source, description.format(vessel=v), needs, when) for c, v in VESSELS)


FEATURES: tuple[Feature, ...] = (
    Feature("missing", "", UKBB, "share of frames and vessels with area 0"),
    Feature("stray_area", "mm2", UKBB, "area outside a vessel's largest component, largest over frames"),
    *_of_each("area", "mm2", OWN, "area of the {vessel} aorta, mean over frames"),
    *_of_each("area_ratio", "", UKBB, "largest / smallest area of the {vessel} aorta"),
    *_of_each("step_ratio", "", UKBB, "larger / smaller {vessel} area in successive frames, largest", when=cine),
    *_of_each("strain", "%", OWN, "(largest - smallest) / smallest area of the {vessel} aorta", when=two_frames),
    Feature("vessel_ratio", "", OWN, "mean area of the ascending / of the descending aorta"),
    *_of_each("excess", "", OWN, "travel of the {vessel} curve / twice its range (>= 10 % of its mean) - 1", when=cine),
    *_of_each("roughness", "%", OWN, "mean |second difference| of the {vessel} curve, less a sine's / mean", when=cine),
    Feature("phase_lag", "%", OWN, "lag of the first harmonics of the two area curves, of the cycle", when=cine),
    Feature("agreement", "", OWN, "correlation of the two area curves, spreads taken as at least 1 %", when=cine),
    *_of_each("irregularity", "", OWN, "(perimeter / 4)^2 / area of the {vessel} aorta, largest; 1.27 for a disc"),
    Feature("touching", "", OWN, "share of the ascending aorta's border that meets the descending, largest"),
    *_of_each("drift", "mm", OWN, "move of the {vessel} aorta's centroid to the next frame, largest"),
    Feature("distance", "mm", OWN, "distance between the vessels' centroids, mean over frames"),
    Feature("distance_change", "mm", OWN, "range of that distance over the cycle"),
    Feature("axis_turn", "deg", OWN, "turn of the line between the centroids to the next frame, largest"),
    *_of_each("brightness", "", UKBB, "brightest pixel / mean of the {vessel} aorta in its smallest frame", IMAGE),
    *NETWORK_FEATURES,
)


def _vessel_rules(name: str, vessel: str) -> tuple[Rule, ...]:
    """The rules that each vessel has. Areas leave room for aneurysms and for slender patients."""
    low, high = {"aao": (250, 3000), "dao": (120, 2200)}[name]
    return (
        Rule(
            f"{name}_area", low, high, 40, 0.5,
            f"The {vessel} aorta is only {{value:.0f}} mm2",
            f"The {vessel} aorta is {{value:.0f}} mm2",
        ),
        above(f"{name}_area_ratio", 2, 0.15, 1, f"The {vessel} aorta's largest area is {{value:.1f}} times the least"),
        above(f"{name}_step_ratio", 2, 0.15, 1, f"The {vessel} aorta's area changes {{value:.1f}}-fold between frames"),
        below(f"{name}_strain", 0.5, 0.3, 0.5, f"The {vessel} aorta does not pulsate (strain {{value:.1f}} %)"),
        above(f"{name}_excess", 1.2, 0.3, 1, f"The {vessel} area rises and falls again ({{value:.0%}} excess travel)"),
        above(f"{name}_roughness", 5, 1, 1, f"The {vessel} area curve is rough ({{value:.1f}} % of the area)"),
        above(f"{name}_irregularity", 1.6, 0.08, 1, f"The {vessel} aorta is not round ({{value:.2f}}; a disc: 1.27)"),
        above(f"{name}_drift", 6, 1, 1, f"The {vessel} aorta jumps by {{value:.0f}} mm between frames"),
        above(f"{name}_brightness", 3, 0.3, 0.5, f"The {vessel} aorta holds a pixel {{value:.1f}} times its mean"),
    )  # fmt: skip


# The limits of the field are those of the UK Biobank pipeline; ours leave room for aneurysms, stiff vessels and
# through-plane motion. Distances are those of adults at the level of the pulmonary artery.
RULES: tuple[Rule, ...] = (
    below("confidence", 0.88, 0.02, 4, "The network is unsure (mean confidence {value:.2f})"),
    below("flip_agreement", 0.8, 0.05, 4, "Predictions for mirrored slices disagree (mean Dice {value:.2f})"),
    above("missing", 0.004, 0.002, 2, "A vessel is missing in {value:.1%} of frames and vessels"),
    above("stray_area", 25.6, 6, 1, "{value:.0f} mm2 of a vessel lie in separate fragments"),
    *(rule for name, vessel in VESSELS for rule in _vessel_rules(name, vessel)),
    Rule(
        "vessel_ratio", 0.65, 7, 0.15, 0.5,
        "The ascending aorta is only {value:.2f} times as large as the descending: are they exchanged?",
        "The ascending aorta is {value:.1f} times as large as the descending",
    ),
    above("phase_lag", 20, 4, 0.5, "The vessels do not dilate together (lag {value:.0f} % of the cycle)"),
    below("agreement", -0.2, 0.15, 0.5, "The vessels' area curves disagree (correlation {signed:.2f})"),
    above("touching", 0.02, 0.01, 1, "The vessels touch ({value:.0%} of the ascending aorta's border)"),
    Rule(
        "distance", 30, 140, 5, 0.5,
        "The vessels are only {value:.0f} mm apart",
        "The vessels are {value:.0f} mm apart",
    ),
    above("distance_change", 12, 2, 1, "The distance of the vessels changes by {value:.0f} mm over the cycle"),
    above("axis_turn", 12, 2.5, 1, "The line between the vessels turns by {value:.0f} degrees between frames"),
)  # fmt: skip

AORTA_CHECKS = Checks(
    task="aorta",
    features=FEATURES,
    groups=(
        area_features,
        curve_features,
        outline_features,
        position_features,
        confidence_features,
        flip_features,
    ),
    rules=RULES,
)
