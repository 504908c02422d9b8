"""Evidence -> features: one function for N subjects of any task."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.quality.checks import Checks, Scalars
from semiqc_jax.segmentation.evidence import Evidence


def subject_features(subject: Evidence, checks: Checks) -> Float[Array, " F"]:
    """Features of one subject (`Evidence` without the leading N), in the order of `checks.features`. Never NaN."""
    subject = jax.tree.map(jnp.asarray, subject)
    values: Scalars = {}
    for group in checks.groups:
        values |= group(subject)
    return jnp.stack([values[feature.name] for feature in checks.features])


def measured(subject: Evidence, checks: Checks) -> Bool[Array, " R"]:
    """Whether the features of the rules can be measured of one subject, in the order of `checks.rules`."""
    conditions = [checks.features[checks.index[rule.name]].when for rule in checks.rules]
    return jnp.stack([jnp.asarray(True) if when is None else when(subject) for when in conditions])


@partial(jax.jit, static_argnames="checks")
def features(evidence: Evidence, checks: Checks) -> Float[Array, "N F"]:
    """Features of N subjects of the task that `checks` are for, in the order of `checks.features`. Never NaN."""
    return jax.vmap(partial(subject_features, checks=checks))(evidence)
