"""The synthetic cohort: beating hearts in closed form whose volumes are exact, seen by a virtual scanner."""

from semiqc_jax.datasets.phantom.physiology import GROUPS
from semiqc_jax.datasets.phantom.plan import Truth
from semiqc_jax.datasets.phantom.spec import PhantomSpec, parse_spec
from semiqc_jax.datasets.phantom.study import phantom_splits, phantom_studies, phantom_subject

__all__ = [
    "GROUPS",
    "PhantomSpec",
    "Truth",
    "parse_spec",
    "phantom_splits",
    "phantom_studies",
    "phantom_subject",
]
