"""`Evidence`: what quality control may look at, small arrays for N subjects made from their segmentations."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Bool, Float


class Evidence(NamedTuple):
    """What a cohort's segmentations show downstream: [N, ...] arrays padded to the longest study.

    Everything is measured on the network's grid (square pixels, the same for all subjects). Padded frames and
    slices are False in the masks and 0 elsewhere. Nothing here comes from a reference label.
    """

    frame_mask: Bool[Array, "N T"]
    slice_mask: Bool[Array, "N Z"]
    slice_extent_mm: Float[Array, "N Z"]  # length along the normal that a slice stands for
    frame_time_s: Float[Array, "N T"]  # NaN where unknown
    area_mm2: Float[Array, "N T Z C"]  # slice-area profile of each class
    centroid_mm: Float[Array, "N T Z C 2"]  # (y, x) from the grid's centre; 0 where the class is absent
    perimeter_mm: Float[Array, "N T Z C"]
    components: Float[Array, "N T Z C"]  # number of 4-connected components
    largest_fraction: Float[Array, "N T Z C"]  # area of the largest component / area; 1 where absent
    enclosure: Float[Array, "N T Z"]  # share of the first class's border that meets the second; 1 where absent
    contact: Float[Array, "N T Z"]  # share of the first class's border that meets the third; 0 where absent
    attachment: Float[Array, "N T Z"]  # share of the third class's border that meets the second; 1 where absent
    holes_mm2: Float[Array, "N T Z"]  # background that the structures enclose
    confidence: Float[Array, "N T Z"]  # mean largest softmax where background < 0.95; 1 where nowhere
    entropy: Float[Array, "N T Z"]  # mean entropy / log(C + 1) over the same pixels; 0 where nowhere
    uncertain_pixels: Float[Array, "N T Z"]  # how many pixels those means run over
    flips: Float[Array, "N T Z"]  # F, predictions of the slice and its mirror images; with 1 the flip_ fields are 0
    flip_overlap_mm2: Float[Array, "N T Z C"]  # area that two of the F share, mean over their pairs
    flip_area_mm2: Float[Array, "N T Z C"]  # area, mean over the F; overlap / area is the pairs' Dice
    flip_variance: Float[Array, "N T Z"]  # of the softmax over the F, summed over codes, mean over uncertain_pixels
    intensity_mean: Float[Array, "N T Z C"]  # of the image, stored intensities 0 to 1; 0 where the class is absent
    intensity_max: Float[Array, "N T Z C"]
