"""The features that quality control judges: a table of what each is, and one function for N subjects."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semiqc_jax.quality.curve_features import cycle_features, index_features
from semiqc_jax.quality.shape_features import (
    border_features,
    centroid_features,
    confidence_features,
    piece_features,
    profile_features,
)
from semiqc_jax.segmentation.evidence import Evidence


@dataclass(frozen=True)
class Feature:
    """One number per subject. `downstream` features need a label volume only, no softmax."""

    name: str
    unit: str  # "" for a plain ratio
    source: str
    description: str
    downstream: bool = True


OWN = "this project"
UKBB = "UK Biobank pipeline (Bai 2018, ukbb_cardiac)"
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
    Feature("rv_alone", "", OWN, "share of the RV on slices without LV and myocardium"),
    Feature("fragments", "", OWN, "share of the area outside the largest component of its slice"),
    Feature("extra_pieces", "", UKBB, "components beyond the first of a structure on a slice, mean"),
    Feature("lv_irregularity", "", OWN, "(perimeter / 4)^2 / area of the LV, area-weighted; 1.27 for a disc"),
    Feature("rv_irregularity", "", OWN, "the same of the RV"),
    Feature("open_cavity", "", OWN, "share of the LV's border that does not meet myocardium"),
    Feature("lv_rv_contact", "", OWN, "share of the LV's border that meets the RV"),
    Feature("off_centre", "mm", OWN, "distance between the centroids of LV and myocardium on a slice, mean"),
    Feature("centroid_kink", "mm", OWN, "distance of a centroid from the midpoint of its neighbours', mean"),
    Feature("centroid_motion", "mm", OWN, "rms distance of a slice's centroid from its mean over frames"),
    Feature("lv_edv", "ml", PETERSEN, "LV end-diastolic volume"),
    Feature("rv_edv", "ml", PETERSEN, "RV volume at the LV's end-diastole"),
    Feature("lv_mass", "g", PETERSEN, "myocardium at end-diastole x 1.05 g/ml"),
    Feature("lv_ef", "%", PETERSEN, "LV ejection fraction"),
    Feature("rv_ef", "%", PETERSEN, "RV ejection fraction at the LV's phases, signed"),
    Feature("stroke_volume_mismatch", "%", RUIJSINK, "(RV - LV stroke volume) / LV's (at least 10 ml)"),
    Feature("rv_lv_ratio", "", OWN, "RV / LV end-diastolic volume"),
    Feature("mass_to_volume", "g/ml", OWN, "LV mass / end-diastolic volume"),
    Feature("mass_change", "%", OWN, "range of the myocardium's volume over the cycle / its mean"),
    Feature("paradoxical_motion", "%", OWN, "LV area gained on slices from ED to ES / LV area at ED"),
    Feature("curve_excess", "", OWN, "travel of the LV and RV curves / twice their range - 1"),
    Feature("volume_jump", "", RUIJSINK, "largest step between frames x frames / range, LV or RV"),
    Feature("slice_excess", "", OWN, "travel of all slice-area curves / twice their ranges - 1"),
    Feature("confidence", "", "softmax", "mean largest probability, background < 0.95", downstream=False),
    Feature("entropy", "", "softmax", "mean entropy / log(C + 1) over the same pixels", downstream=False),
)
FEATURE_INDEX = {feature.name: i for i, feature in enumerate(FEATURES)}
GROUPS = (
    profile_features,
    piece_features,
    border_features,
    centroid_features,
    index_features,
    cycle_features,
    confidence_features,
)
DOWNSTREAM = tuple(i for i, feature in enumerate(FEATURES) if feature.downstream)


def subject_features(subject: Evidence) -> Float[Array, " F"]:
    """Features of one subject (`Evidence` without the leading N), in the order of `FEATURES`. Never NaN."""
    subject = jax.tree.map(jnp.asarray, subject)
    values: dict[str, Array] = {}
    for group in GROUPS:
        values |= group(subject)
    return jnp.stack([values[feature.name] for feature in FEATURES])


@jax.jit
def features(evidence: Evidence) -> Float[Array, "N F"]:
    """Features of N subjects of the short-axis task, in the order of `FEATURES`. Never NaN."""
    return jax.vmap(subject_features)(evidence)
