"""Padding studies of different lengths to one `Evidence`."""

import numpy as np
import pytest

from semiqc_jax.segmentation.assemble import BY_CLASS, MEASURED, assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics


def measured(n_frames, n_slices):
    """Statistics of two classes that are all the number of frames."""
    shapes = dict.fromkeys(MEASURED, ()) | dict.fromkeys(BY_CLASS, (2,)) | {"centroid_mm": (2, 2)}
    return {name: np.full((n_frames, n_slices, *shape), float(n_frames)) for name, shape in shapes.items()}


def test_pads_to_the_longest_of_each():
    evidence = assemble_evidence(
        [measured(2, 3), measured(4, 1)], [np.full(3, 8.0), np.full(1, 6.0)], [np.arange(2) * 0.3, None]
    )
    np.testing.assert_array_equal(evidence.frame_mask, [[1, 1, 0, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal(evidence.slice_mask, [[1, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(evidence.slice_extent_mm, [[8, 8, 8], [6, 0, 0]])
    np.testing.assert_allclose(evidence.frame_time_s, [[0, 0.3, np.nan, np.nan], [np.nan] * 4], rtol=1e-6)
    assert evidence.area_mm2.shape == (2, 4, 3, 2)
    assert evidence.centroid_mm.shape == (2, 4, 3, 2, 2)
    np.testing.assert_array_equal(evidence.area_mm2[..., 0].sum((1, 2)), [2 * 2 * 3, 4 * 4])
    for array in evidence[4:]:
        assert not np.any(array[0, 2:])
        assert not np.any(array[1, :, 1:])


def test_the_fields_are_those_that_are_measured():
    found = label_statistics(np.eye(4, dtype=np.int32), 2, 1.0)
    assert {*found} == {*MEASURED}
    assert {name for name, value in found.items() if value.shape == (2,)} == {*BY_CLASS}


@pytest.mark.parametrize(
    ("extents", "times"), [([], None), ([np.ones(2)], None), ([np.ones(3)], [np.arange(5)])]
)
def test_refuses_lengths_that_differ(extents, times):
    with pytest.raises(ValueError):
        assemble_evidence([measured(2, 3)], extents, times)
