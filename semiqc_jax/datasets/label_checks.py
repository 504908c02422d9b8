"""What reference labels say against themselves: a check on the labels of one study, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.study import Study

LV, MYOCARDIUM = 1, 2
MIN_PIXELS = 10  # below it a slice's border says little
MIN_ENCLOSED = 0.6  # share of the cavity's border that meets myocardium; an open base keeps more than that
MAX_APART_MM = 5.0  # median over slices: centres of the cavity and of what the outer contour holds; 0.7-4.6 of hearts
MAX_SPIKE = 0.5  # of the largest slice: how far a slice's area may lie off the mean of its two neighbours
MIN_SLICES = 3  # of a structure that is drawn on a stack of twice as many or more
MIN_CONTRAST = 0.83  # chance that blood in the cavity is brighter than muscle; drawn hearts of cine MR have 0.89-0.99


def label_warnings(study: Study) -> list[str]:
    """What is odd about the labels of a valid study, a sentence each; empty without labels or where all is well.

    All are hints for a person who looks at the pictures: hearts differ, so none makes a study unusable.
    """
    if study.label is None or study.labelled is None:
        return []
    found = [*_border(study)]
    if study.task == SHORT_AXIS:
        found += [*_enclosure(study), *_contrast(study), *_phases(study), *_profiles(study)]
    return found


def enclosed_share(cavity: Bool[ndarray, "Y X"], wall: Bool[ndarray, "Y X"]) -> float:
    """Share of the pixels around the cavity (8 neighbours, outside of it) that are wall; NaN of no cavity."""
    padded = np.pad(cavity, 1)
    height, width = cavity.shape
    shifts = [padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    ring = np.any(shifts, axis=0) & ~cavity
    return float((ring & wall).sum() / ring.sum()) if ring.any() else float("nan")


def centre_distance_mm(
    one: Bool[ndarray, "Y X"], other: Bool[ndarray, "Y X"], spacing_mm: tuple[float, float]
) -> float:
    """Distance between the centres of two areas in mm; NaN where one is empty. `spacing_mm` is (dy, dx)."""
    if not (one.any() and other.any()):
        return float("nan")
    centres = [np.argwhere(mask).mean(0) * np.asarray(spacing_mm) for mask in (one, other)]
    return float(np.linalg.norm(centres[0] - centres[1]))


def _border(study: Study) -> Iterator[str]:
    label = _label(study)
    edges = [label[..., 0, :], label[..., -1, :], label[..., 0], label[..., -1]]
    for code, title in enumerate(study.task.titles, start=1):
        if any((edge == code).any() for edge in edges):
            yield f"the label of the {title} touches the border of the image"


def _enclosure(study: Study) -> Iterator[str]:
    """Outer contours that are not around the inner ones: the myocardium must lie around the cavity."""
    label, (_, dy, dx) = _label(study), study.spacing_mm
    shares, distances = [], []
    for t, z in np.argwhere(_drawn(study)[..., :2].all(-1)):
        cavity, wall = label[t, z] == LV, label[t, z] == MYOCARDIUM
        if min(cavity.sum(), wall.sum()) >= MIN_PIXELS:
            shares.append(enclosed_share(cavity, wall))
            distances.append(centre_distance_mm(cavity, cavity | wall, (dy, dx)))
    open_slices = [i for i, share in enumerate(shares) if share < MIN_ENCLOSED]
    if open_slices:
        yield (
            f"the LV myocardium does not enclose the LV cavity on {len(open_slices)} of {len(shares)} slices: it meets "
            f"{min(shares):.0%} of the cavity's border at worst, and the centres of cavity and of both lie up to "
            f"{max(distances[i] for i in open_slices):.1f} mm apart (misplaced outer contours?)"
        )
    elif len(distances) >= MIN_SLICES and np.median(distances) > MAX_APART_MM:
        yield (
            f"the centres of the LV cavity and of cavity and myocardium together lie {np.median(distances):.1f} mm "
            "apart on half of the slices (misplaced outer contours?)"
        )


def brighter_share(one: Float[ndarray, " N"], other: Float[ndarray, " M"]) -> float:
    """Chance that a grey level of one is above one of the other, ties half; NaN where either has none."""
    if not (one.size and other.size):
        return float("nan")
    ordered = np.sort(other)
    below = (np.searchsorted(ordered, one, "left") + np.searchsorted(ordered, one, "right")) / 2
    return float(below.mean() / other.size)


def _contrast(study: Study) -> Iterator[str]:
    """Labels that lie beside the heart: blood in the cavity is brighter than the muscle around it on cine MR."""
    label, shares = _label(study), []
    for t, z in np.argwhere(_drawn(study)[..., :2].all(-1)):
        blood, muscle = (study.image[t, z][label[t, z] == code] for code in (LV, MYOCARDIUM))
        if min(blood.size, muscle.size) >= MIN_PIXELS:
            shares.append(brighter_share(blood, muscle))
    if len(shares) >= MIN_SLICES and np.median(shares) < MIN_CONTRAST:
        yield (
            f"the labels do not fit the image: a pixel of the LV cavity is brighter than one of the myocardium in "
            f"{np.median(shares):.0%} of cases only, where {MIN_CONTRAST:.0%} or more is usual (labels of another "
            "image, shifted, mirrored or in another order?)"
        )


def _phases(study: Study) -> Iterator[str]:
    """ED and ES as given against the drawn LV, on the slices where both frames have it drawn."""
    if study.ed_frame is None or study.es_frame is None or study.ed_frame == study.es_frame:
        return
    label, drawn = _label(study), _drawn(study)[..., LV - 1]
    both = drawn[study.ed_frame] & drawn[study.es_frame]
    voxel_ml = float(np.prod(study.spacing_mm)) / 1000
    ed, es = (float((label[t][both] == LV).sum()) * voxel_ml for t in (study.ed_frame, study.es_frame))
    if es > ed:
        yield f"the drawn LV is larger at ES ({es:.0f} ml) than at ED ({ed:.0f} ml)"


def _profiles(study: Study) -> Iterator[str]:
    """Slice areas of the LV that jump along the stack, and structures drawn on hardly any slice."""
    label, drawn = _label(study), _drawn(study)
    area = np.stack([(label == code + 1).sum((2, 3)) for code in range(study.task.n_classes)], -1)  # [T, Z, C]
    spikes = [
        (t, z)
        for t in range(len(area))
        for z in range(1, area.shape[1] - 1)
        if drawn[t, z - 1 : z + 2, LV - 1].all() and _spike(area[t, :, LV - 1], z) > MAX_SPIKE
    ]
    if spikes:
        shown = ", ".join(f"slice {z + 1} of frame {t + 1}" for t, z in spikes[:3])
        yield f"the area of the LV cavity jumps along the stack ({shown}{', ...' if len(spikes) > 3 else ''})"
    for c, title in enumerate(study.task.titles):
        counts = [int((area[t, :, c] > 0).sum()) for t in range(len(area)) if drawn[t, :, c].any()]
        if counts and area.shape[1] >= 2 * MIN_SLICES and min(counts) < MIN_SLICES:
            yield f"the {title} is drawn on {min(counts)} of {area.shape[1]} slices"


def _spike(area: Float[ndarray, " Z"], z: int) -> float:
    """How far the area of slice z lies off the mean of its neighbours, as a share of the largest area.

    0 beside an empty slice: the stack starts and ends there, at the base at once.
    """
    if min(area[z - 1], area[z + 1]) == 0:
        return 0.0
    return abs(area[z] - (area[z - 1] + area[z + 1]) / 2) / max(area.max(), 1)


def _label(study: Study) -> UInt8[ndarray, "T Z Y X"]:
    return np.asarray(study.label)


def _drawn(study: Study) -> Bool[ndarray, "T Z C"]:
    return np.asarray(study.labelled)
