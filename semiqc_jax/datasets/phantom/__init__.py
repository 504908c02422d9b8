"""The synthetic cohorts: hearts and aortas in closed form, whose truth is exact, seen by a virtual scanner."""

from semiqc_jax.datasets.phantom.aorta.physiology import GROUPS as AORTA_GROUPS
from semiqc_jax.datasets.phantom.aorta.plan import AortaTruth
from semiqc_jax.datasets.phantom.heart.physiology import GROUPS
from semiqc_jax.datasets.phantom.heart.plan import HeartTruth
from semiqc_jax.datasets.phantom.spec import SPECS, AortaSpec, CohortSpec, PhantomSpec, parse_spec
from semiqc_jax.datasets.phantom.study import phantom_splits, phantom_studies, phantom_subject
from semiqc_jax.datasets.phantom.subject import Truth, subject_id

__all__ = [
    "AORTA_GROUPS",
    "GROUPS",
    "SPECS",
    "AortaSpec",
    "AortaTruth",
    "CohortSpec",
    "HeartTruth",
    "PhantomSpec",
    "Truth",
    "parse_spec",
    "phantom_splits",
    "phantom_studies",
    "phantom_subject",
    "subject_id",
]
