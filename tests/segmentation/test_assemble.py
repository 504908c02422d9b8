"""Padding studies of different lengths to one `Evidence`."""

import jax
import numpy as np
import pytest

from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.slice_statistics import label_statistics


def measured(n_frames, n_slices, fill=1):
    label = np.full((n_frames, n_slices, 4, 5), fill)
    return jax.tree.map(np.asarray, jax.vmap(jax.vmap(lambda x: label_statistics(x, 2, 1.0)))(label))


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
    np.testing.assert_array_equal(evidence.area_mm2[..., 0].sum((1, 2)), [2 * 3 * 20, 4 * 20])
    for array in evidence[4:]:
        assert not np.any(array[0, 2:])
        assert not np.any(array[1, :, 1:])


@pytest.mark.parametrize(
    ("extents", "times"), [([], None), ([np.ones(2)], None), ([np.ones(3)], [np.arange(5)])]
)
def test_refuses_lengths_that_differ(extents, times):
    with pytest.raises(ValueError):
        assemble_evidence([measured(2, 3)], extents, times)
