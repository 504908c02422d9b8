"""The checks of the short-axis task: features of LV, myocardium and RV, and rules on them."""

from __future__ import annotations

from semiqc_jax.quality.checks import (
    OWN,
    UKBB,
    Checks,
    Feature,
    Rule,
    above,
    below,
    cine,
    two_frames,
    whole_cycle,
)
from semiqc_jax.quality.curve_features import cycle_features, index_features
from semiqc_jax.quality.network_features import NETWORK_FEATURES, confidence_features, flip_features
from semiqc_jax.quality.shape_features import border_features, centroid_features, piece_features, profile_features
from semiqc_jax.quality.timing_features import timing_features

RUIJSINK = "Ruijsink 2020, JACC Cardiovasc Imaging 13:684"
PETERSEN = "Petersen 2017, J Cardiovasc Magn Reson 19:18"

FEATURES: tuple[Feature, ...] = (
    Feature("lv_roughness", "", OWN, "|second differences| of the LV's slice areas / their sum, mean"),
    Feature("myo_roughness", "", OWN, "the same of the myocardium"),
    Feature("rv_roughness", "", OWN, "the same of the RV"),
    Feature("profile_roughness", "", OWN, "mean of the three"),
    Feature("profile_gaps", "", UKBB, "share of empty slices between a structure's first and last"),
    Feature("missing", "", UKBB, "share of frames and structures with less than ten pixels of 1.8 mm in all"),
    Feature("lv_length", "mm", UKBB, "length of the slices that hold LV and myocardium, longest over frames"),
    Feature("heart_slices", "", UKBB, "slices that hold ten pixels of 1.8 mm of LV and of myocardium, most"),
    Feature("heart_gaps", "", UKBB, "slices that do not, between the first and the last that do, most"),
    Feature("rv_alone", "", OWN, "share of the RV on slices without LV and myocardium"),
    Feature("fragments", "", OWN, "share of the area outside the largest component of its slice"),
    Feature("holes", "", OWN, "background that the structures enclose on their slices / their area"),
    Feature("extra_pieces", "", UKBB, "components beyond the first of a structure on a slice, mean"),
    Feature("lv_irregularity", "", OWN, "(perimeter / 4)^2 / area of the LV, area-weighted; 1.27 for a disc"),
    Feature("rv_irregularity", "", OWN, "the same of the RV"),
    Feature("open_cavity", "", OWN, "share of the LV's border that does not meet myocardium"),
    Feature("lv_rv_contact", "", OWN, "share of the LV's border that meets the RV"),
    Feature("rv_attached", "", OWN, "share of the RV's border that meets myocardium"),
    Feature("off_centre", "mm", OWN, "distance between the centroids of LV and myocardium on a slice, mean"),
    Feature("centroid_kink", "mm", OWN, "distance of a centroid from the midpoint of its neighbours', mean"),
    Feature("centroid_motion", "mm", OWN, "rms distance of a slice's centroid from its mean over frames"),
    Feature("lv_edv", "ml", PETERSEN, "LV end-diastolic volume"),
    Feature("rv_edv", "ml", PETERSEN, "RV volume at the LV's end-diastole"),
    Feature("lv_mass", "g", PETERSEN, "myocardium at end-diastole x 1.05 g/ml"),
    Feature("lv_ef", "%", PETERSEN, "LV ejection fraction", when=two_frames),
    Feature("rv_ef", "%", PETERSEN, "RV ejection fraction at the LV's phases, signed", when=two_frames),
    Feature(
        *("stroke_volume_mismatch", "%", RUIJSINK, "(RV - LV stroke volume) / LV's (at least 10 ml)"), when=two_frames
    ),
    Feature("rv_lv_ratio", "", OWN, "RV / LV end-diastolic volume"),
    Feature("mass_to_volume", "g/ml", OWN, "LV mass / end-diastolic volume"),
    Feature("mass_change", "%", OWN, "range of the myocardium's volume over the cycle / its mean", when=two_frames),
    Feature("paradoxical_motion", "%", OWN, "LV area gained on slices from ED to ES / LV area at ED", when=two_frames),
    Feature("curve_excess", "", OWN, "travel of the LV and RV curves / twice their range - 1", when=cine),
    Feature("volume_jump", "", RUIJSINK, "largest step between frames x frames / range, LV or RV", when=cine),
    Feature("slice_excess", "", OWN, "travel of all slice-area curves / twice their ranges - 1", when=cine),
    Feature("phase_lag", "%", OWN, "lag of the first harmonics of the two curves, of the cycle", when=whole_cycle),
    Feature("curve_agreement", "", OWN, "correlation of the two, spreads taken as at least 1 %", when=whole_cycle),
    Feature("peak_ejection", "EDV/cycle", OWN, "fastest fall of the LV's volume, over two frames", when=whole_cycle),
    Feature("peak_filling", "EDV/cycle", OWN, "fastest rise of the LV's volume, over two frames", when=whole_cycle),
    *NETWORK_FEATURES,
)

# The limits leave room for disease: they are wider than healthy ranges, and masks of diseased hearts drawn by
# experts pass nearly all. The stroke-volume rule does not hold with valve disease or shunts: switch it off
# (config.quality.rules_off). The published limits of Ruijsink 2020 (a stroke-volume difference of at most 10 %) and of
# the UK Biobank pipeline (six slices without a gap) reject diseased hearts and short stacks: they are there to be
# switched on (config.quality.limits). Limits and weights of flip_agreement and rv_attached were set on the tables of
# docs/results/quality.md, those of the peak rates on all curves of docs/results/curves.md.
RULES: tuple[Rule, ...] = (
    above("profile_roughness", 0.4, 0.1, 4, "Areas jump from slice to slice (roughness {value:.2f})"),
    below("confidence", 0.88, 0.02, 6, "The network is unsure (mean confidence {value:.2f})"),
    below("flip_agreement", 0.8, 0.05, 12, "Predictions for mirrored slices disagree (mean Dice {value:.2f})"),
    above("missing", 0.004, 0.002, 1, "A structure is missing in {value:.1%} of frames and structures"),
    above("profile_gaps", 0.01, 0.005, 1, "{value:.0%} of the slices within a structure are empty"),
    below("lv_length", 45, 8, 0.5, "LV and myocardium are found over {value:.0f} mm only"),
    below("heart_slices", 6, 0.5, 0, "Only {value:.0f} slices hold LV and myocardium"),
    above("heart_gaps", 0, 0.5, 0, "{value:.0f} of the slices between others lack LV or myocardium"),
    above("rv_alone", 0.1, 0.03, 0.5, "{value:.0%} of the RV lies on slices without LV and myocardium"),
    above("fragments", 0.03, 0.01, 1, "{value:.0%} of the area lies in separate fragments"),
    above("holes", 0.02, 0.005, 0.25, "The structures enclose holes of {value:.1%} of their area"),
    above("lv_irregularity", 1.5, 0.06, 0.5, "The LV's border is irregular ({value:.2f}, a disc has 1.27)"),
    above("open_cavity", 0.1, 0.03, 1, "{value:.0%} of the LV's border does not meet myocardium"),
    above("lv_rv_contact", 0.02, 0.01, 0.5, "{value:.0%} of the LV's border meets the RV"),
    below("rv_attached", 0.17, 0.04, 1, "Only {value:.0%} of the RV's border meets myocardium"),
    above("off_centre", 9, 1.5, 0.5, "LV and myocardium are centred {value:.0f} mm apart"),
    above("centroid_kink", 6, 1, 1, "Centroids jump by {value:.0f} mm between neighbouring slices"),
    Rule(
        "stroke_volume_mismatch", -60, 60, 15, 0.5,
        "RV stroke volume is {value:.0f} % smaller than LV stroke volume",
        "RV stroke volume exceeds LV stroke volume by {value:.0f} %",
    ),
    Rule(
        "rv_lv_ratio", 0.35, 2.8, 0.1, 0.5,
        "RV end-diastolic volume is only {value:.2f} times the LV's",
        "RV end-diastolic volume is {value:.1f} times the LV's",
    ),
    Rule("lv_edv", 40, 450, 10, 0.5, "LV EDV is only {value:.0f} ml", "LV EDV is {value:.0f} ml"),
    Rule("rv_edv", 40, 450, 10, 0.5, "RV EDV is only {value:.0f} ml", "RV EDV is {value:.0f} ml"),
    Rule("lv_mass", 30, 350, 8, 0.5, "LV mass is only {value:.0f} g", "LV mass is {value:.0f} g"),
    Rule("lv_ef", 7, 85, 3, 0.5, "LVEF is only {value:.0f} %", "LVEF is {value:.0f} %"),
    Rule("rv_ef", 10, 85, 5, 0.5, "RVEF is only {signed:.0f} %", "RVEF is {value:.0f} %"),
    Rule(
        "mass_to_volume", 0.35, 2.6, 0.1, 0.5,
        "LV mass is only {value:.2f} g per ml of end-diastolic volume",
        "LV mass is {value:.1f} g per ml of end-diastolic volume",
    ),
    above("mass_change", 40, 8, 0.5, "Myocardial volume changes by {value:.0f} % over the cycle"),
    above("paradoxical_motion", 8, 2, 0.5, "LV area grows in systole on some slices (by {value:.0f} %)"),
    above("curve_excess", 0.5, 0.12, 1, "Volumes rise and fall repeatedly ({value:.0%} excess travel)"),
    above("volume_jump", 8, 1.5, 1, "Volume jumps between frames ({value:.1f} times range / frames)"),
    above("slice_excess", 0.8, 0.2, 1, "Slice areas rise and fall repeatedly ({value:.0%} excess travel)"),
    above("phase_lag", 20, 4, 0.5, "The ventricles do not beat together (lag {value:.0f} % of the cycle)"),
    below("curve_agreement", 0.3, 0.15, 0.5, "The ventricles' volume curves disagree (correlation {signed:.2f})"),
    Rule(
        "peak_ejection", 0.2, 7, 0.3, 0.5,
        "The LV hardly ejects (at most {value:.1f} EDV per cycle)",
        "The LV ejects up to {value:.1f} EDV per cycle",
    ),
    Rule(
        "peak_filling", 0.2, 7, 0.3, 0.5,
        "The LV hardly fills (at most {value:.1f} EDV per cycle)",
        "The LV fills by up to {value:.1f} EDV per cycle",
    ),
)  # fmt: skip

SHORT_AXIS_CHECKS = Checks(
    task="short_axis",
    features=FEATURES,
    groups=(
        profile_features,
        piece_features,
        border_features,
        centroid_features,
        index_features,
        cycle_features,
        timing_features,
        confidence_features,
        flip_features,
    ),
    rules=RULES,
)
