"""Features of one slice in one frame: its softmax, its place among its neighbours in space and time, its shape.

They serve any task, since all but the last few are measured class by class. None depends on the base-to-apex
direction or on padding: neighbours in space enter by their mean, their smaller and their larger value. At an end of
the stack the missing neighbour is the slice itself. The cycle is closed, so that with two frames the neighbour in time
is the other frame, and with one the frame itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from semiqc_jax.anatomy import TASKS
from semiqc_jax.quality.checks import FLIPS, Checks
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.shape_features import WORST_DISTANCE_MM, WORST_EXTRA_PIECES, WORST_IRREGULARITY, valid_slices
from semiqc_jax.segmentation.evidence import Evidence

Columns = dict[str, Float[Array, "T Z"]]
ClassColumns = dict[str, Float[Array, "T Z C"]]
FAR_FROM_END = 4.0  # slices: further inside it makes no difference
LEAST_AREA_MM2 = 30.0  # about ten pixels of 1.8 mm: smaller areas are no scale for others
LARGEST_LOGIT = 6.0

CLASS_FEATURES = (
    "present",  # 1 where the class is predicted
    "share",  # area / the class's largest area on any slice of the frame
    "bend",  # (area - mean of the neighbours in space) / that largest area
    "smaller_neighbour",  # the smaller of the neighbours' areas / that largest area
    "larger_neighbour",
    "change",  # (area - mean of the neighbours in time) / the slice's largest area over the frames
    "pieces",  # components beyond the first
    "fragments",  # share of the area outside the largest component
    "irregularity",  # log of (perimeter / 4)^2 / area; 0.24 for a disc
    "kink",  # mm, distance of the centroid from the mean of the neighbours' in space
    "drift",  # mm, distance of the centroid from the mean of the neighbours' in time
)
SLICE_FEATURES = (
    "confidence",  # mean largest probability, background < 0.95
    "entropy",
    "confidence_above_subject",  # less the mean over the subject's slices
    "entropy_above_subject",
    "neighbour_confidence",  # mean over the neighbours in space
    "neighbour_entropy",
    "other_confidence",  # mean over the neighbours in time
    "other_entropy",
    "uncertain_share",  # pixels that are not clearly background / the most on any slice of the frame
    "end_of_stack",  # slices to the nearer end of the stack, at most 4
    "end_of_heart",  # slices to the nearer end of what is predicted in the frame, at most 4; 0 outside
    "enclosure",  # share of the first class's border that meets the second
    "contact",  # share of the first class's border that meets the third
    "first_to_second",  # log of the ratio of the areas of the first two classes, 0 where one is absent
    "last_to_second",  # the same of the last class and the second
    "off_centre",  # mm, distance between the centroids of the first two classes
    "frame_confidence",  # mean over the frame's slices
    "subject_confidence",
    "subject_score",  # log-odds of the subject's score by the rules, that on mirrored predictions apart
)


def slice_feature_names(checks: Checks) -> tuple[str, ...]:
    """The names of the columns of `slice_features`."""
    classes = TASKS[checks.task].classes
    return (*SLICE_FEATURES, *(f"{name}_{feature}" for feature in CLASS_FEATURES for name in classes))


@partial(jax.jit, static_argnames="checks")
def slice_features(evidence: Evidence, checks: Checks) -> Float[Array, "N T Z F"]:
    """Features of every slice of N subjects, in the order of `slice_feature_names`. Never NaN; 0 on padding.

    The agreement of mirrored predictions is none of them: what is fitted to these features serves with and without.
    """
    evidence = jax.tree.map(jnp.asarray, evidence)
    rules = tuple(rule for rule in checks.rules if checks.features[checks.index[rule.name]].needs != FLIPS)
    score = assess_rules(evidence, replace(checks, rules=rules)).score
    return jax.vmap(_of_subject)(evidence, jnp.clip(jax.scipy.special.logit(score), -LARGEST_LOGIT, LARGEST_LOGIT))


@jax.jit
def slice_agreement(evidence: Evidence) -> tuple[Float[Array, "N T Z"], Bool[Array, "N T Z"]]:
    """Mean Dice of the pairs of mirrored predictions of each slice, all classes together, and where it is measured.

    1 where there is one prediction only, or where none finds anything.
    """
    overlap, area = (jnp.asarray(x).sum(-1) for x in (evidence.flip_overlap_mm2, evidence.flip_area_mm2))
    return jnp.where(area > 0, overlap / jnp.where(area > 0, area, 1.0), 1.0), jnp.asarray(evidence.flips) > 1


@jax.jit
def predicted_slices(evidence: Evidence) -> Bool[Array, "N T Z"]:
    """The slices on which anything is predicted; an area that is NaN is not nothing."""
    return ~(jnp.asarray(evidence.area_mm2) <= 0).all(-1) & jax.vmap(valid_slices)(evidence)


def _of_subject(subject: Evidence, score: Float[Array, ""]) -> Float[Array, "T Z F"]:
    valid = valid_slices(subject)
    whole = _softmax_columns(subject, valid) | _place_columns(subject, valid) | _pair_columns(subject)
    whole["subject_score"] = jnp.broadcast_to(score, valid.shape)
    each = _area_columns(subject, valid) | _shape_columns(subject, valid)
    columns = [whole[name][..., None] for name in SLICE_FEATURES] + [each[name] for name in CLASS_FEATURES]
    return jnp.concatenate(columns, -1) * valid[..., None]


def _in_space(value: Float[Array, "T Z ..."], valid: Bool[Array, "T Z"]) -> tuple[Array, Array]:
    """The values of the slices before and after each."""
    at, last = jnp.arange(valid.shape[1]), jnp.maximum(valid.any(0).sum() - 1, 0)
    return value[:, jnp.maximum(at - 1, 0)], value[:, jnp.minimum(at + 1, last)]


def _in_time(value: Float[Array, "T Z ..."], valid: Bool[Array, "T Z"]) -> tuple[Array, Array]:
    """The values of the same slice in the frames before and after each."""
    at, n = jnp.arange(valid.shape[0]), jnp.maximum(valid.any(1).sum(), 1)
    return value[(at - 1) % n], value[(at + 1) % n]


def _mean(pair: tuple[Array, Array]) -> Array:
    return (pair[0] + pair[1]) / 2


def _weighted(value: Float[Array, "T Z"], weight: Float[Array, "T Z"], axes: tuple[int, ...]) -> Float[Array, ...]:
    total = weight.sum(axes, keepdims=True)
    mean = (value * weight).sum(axes, keepdims=True) / jnp.maximum(total, 1e-6)
    return jnp.broadcast_to(jnp.where(total > 0, mean, 0.0), value.shape)


def _softmax_columns(subject: Evidence, valid: Bool[Array, "T Z"]) -> Columns:
    confidence, entropy = jnp.asarray(subject.confidence), jnp.asarray(subject.entropy)
    pixels = subject.uncertain_pixels * valid
    of_subject = _weighted(confidence, pixels, (0, 1))
    return {
        "confidence": confidence,
        "entropy": entropy,
        "confidence_above_subject": confidence - of_subject,
        "entropy_above_subject": entropy - _weighted(entropy, pixels, (0, 1)),
        "neighbour_confidence": _mean(_in_space(confidence, valid)),
        "neighbour_entropy": _mean(_in_space(entropy, valid)),
        "other_confidence": _mean(_in_time(confidence, valid)),
        "other_entropy": _mean(_in_time(entropy, valid)),
        "uncertain_share": pixels / jnp.maximum(pixels.max(1, keepdims=True), 1.0),
        "frame_confidence": _weighted(confidence, pixels, (1,)),
        "subject_confidence": of_subject,
    }


def _place_columns(subject: Evidence, valid: Bool[Array, "T Z"]) -> Columns:
    at, n = jnp.arange(valid.shape[1]), valid.any(0).sum()
    to_end = jnp.minimum(at, n - 1 - at)
    predicted = (subject.area_mm2 > 0).any(-1) & valid
    before = jnp.cumsum(predicted, 1)
    inside = (before > 0) & (before < before[:, -1:] + predicted)
    first = jnp.argmax(predicted, 1, keepdims=True)
    last = valid.shape[1] - 1 - jnp.argmax(predicted[:, ::-1], 1, keepdims=True)
    to_heart_end = jnp.where(inside, jnp.minimum(at - first, last - at) + 1, 0)
    return {
        "end_of_stack": jnp.broadcast_to(jnp.clip(to_end, 0, FAR_FROM_END), valid.shape),
        "end_of_heart": jnp.minimum(to_heart_end, FAR_FROM_END),
    }


def _pair_columns(subject: Evidence) -> Columns:
    area = jnp.asarray(subject.area_mm2)
    logs = jnp.log(jnp.maximum(area, 1e-3))
    present = area > 0
    offset = jnp.linalg.norm(subject.centroid_mm[..., 0, :] - subject.centroid_mm[..., 1, :], axis=-1)
    first, last = present[..., 0] & present[..., 1], present[..., -1] & present[..., 1]
    return {
        "enclosure": jnp.asarray(subject.enclosure),
        "contact": jnp.asarray(subject.contact),
        "first_to_second": jnp.where(first, logs[..., 0] - logs[..., 1], 0.0),
        "last_to_second": jnp.where(last, logs[..., -1] - logs[..., 1], 0.0),
        "off_centre": jnp.where(first, jnp.minimum(offset, WORST_DISTANCE_MM), 0.0),
    }


def _area_columns(subject: Evidence, valid: Bool[Array, "T Z"]) -> ClassColumns:
    area = subject.area_mm2 * valid[..., None]
    of_frame = jnp.maximum(area.max(1, keepdims=True), LEAST_AREA_MM2)
    of_slice = jnp.maximum(area.max(0, keepdims=True), LEAST_AREA_MM2)
    around = _in_space(area, valid)
    return {
        "present": (area > 0).astype(jnp.float32),
        "share": area / of_frame,
        "bend": (area - _mean(around)) / of_frame,
        "smaller_neighbour": jnp.minimum(*around) / of_frame,
        "larger_neighbour": jnp.maximum(*around) / of_frame,
        "change": (area - _mean(_in_time(area, valid))) / of_slice,
    }


def _shape_columns(subject: Evidence, valid: Bool[Array, "T Z"]) -> ClassColumns:
    area, centroid = subject.area_mm2 * valid[..., None], jnp.asarray(subject.centroid_mm)
    present = area > 0
    irregularity = (subject.perimeter_mm / 4) ** 2 / jnp.maximum(area, 1e-3)

    def away(centroids: tuple[Array, Array], there: tuple[Array, Array]) -> Array:
        """Distance from the mean of the neighbours that show the class; 0 where none does."""
        counts = [x[..., None].astype(jnp.float32) for x in there]
        total = counts[0] + counts[1]
        mean = (centroids[0] * counts[0] + centroids[1] * counts[1]) / jnp.maximum(total, 1.0)
        distance = jnp.minimum(jnp.linalg.norm(centroid - mean, axis=-1), WORST_DISTANCE_MM)
        return jnp.where(present & (total[..., 0] > 0), distance, 0.0)

    return {
        "pieces": jnp.where(present, jnp.clip(subject.components - 1, 0, WORST_EXTRA_PIECES), 0.0),
        "fragments": jnp.where(present, 1 - subject.largest_fraction, 0.0),
        "irregularity": jnp.where(present, jnp.log(jnp.clip(irregularity, 1.0, WORST_IRREGULARITY)), 0.0),
        "kink": away(_in_space(centroid, valid), _in_space(present, valid)),
        "drift": away(_in_time(centroid, valid), _in_time(present, valid)),
    }
