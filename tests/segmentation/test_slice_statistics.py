"""Statistics of one slice against numbers counted by hand, and components against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from semiqc_jax.segmentation.slice_statistics import connected_components, label_statistics, slice_statistics

RING = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 2, 2, 2, 2, 0, 0],
        [0, 2, 1, 1, 2, 0, 0],
        [0, 2, 1, 1, 3, 0, 0],
        [0, 2, 2, 0, 3, 0, 0],
        [0, 0, 0, 0, 0, 0, 2],
        [0, 0, 0, 0, 0, 0, 0],
    ]
)
SPIRAL = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 0, 1],
        [1, 0, 0, 0, 1, 0, 1],
        [1, 0, 1, 1, 1, 0, 1],
        [1, 0, 0, 0, 0, 0, 1],
        [1, 1, 1, 1, 1, 1, 1],
    ]
)
statistics = jax.jit(label_statistics, static_argnums=1)
IMAGE = np.arange(16.0).reshape(4, 4) / 16


def test_a_small_heart_by_hand():
    found = statistics(RING, 3, 2.0)
    np.testing.assert_array_equal(found["area_mm2"], [16, 40, 8])
    np.testing.assert_array_equal(found["perimeter_mm"], [16, 48, 12])
    np.testing.assert_array_equal(found["components"], [1, 2, 1])
    np.testing.assert_allclose(found["largest_fraction"], [1, 9 / 10, 1])
    np.testing.assert_allclose(found["centroid_mm"][0], [-1, -1])
    np.testing.assert_allclose(found["centroid_mm"][2], [1, 2])
    assert found["enclosure"] == 6 / 8
    assert found["contact"] == 1 / 8
    assert found["attachment"] == 1 / 6
    assert found["holes_mm2"] == 0
    assert found["uncertain_pixels"] == 16
    assert found["confidence"] == 1
    assert found["entropy"] == 0


def test_an_empty_slice():
    found = statistics(np.zeros((5, 6), int), 2, 1.5)
    for name in ("area_mm2", "centroid_mm", "perimeter_mm", "components", "contact", "entropy", "holes_mm2"):
        assert not np.any(found[name]), name
    np.testing.assert_array_equal(found["largest_fraction"], 1)
    assert found["enclosure"] == found["attachment"] == found["confidence"] == 1


def test_background_that_is_enclosed_is_a_hole():
    """Diagonal neighbours do not meet: a ring is closed by its sides, whatever classes it is of."""
    label = np.zeros((6, 7), int)
    label[1:5, 1:6] = 2
    label[2:4, 2:4] = 0
    assert statistics(label, 3, 2.0)["holes_mm2"] == 4 * 4
    label[1, 2:6] = 1
    assert statistics(label, 3, 2.0)["holes_mm2"] == 4 * 4
    label[1, 3] = 0  # opens it
    assert statistics(label, 3, 2.0)["holes_mm2"] == 0


def test_a_structure_that_fills_the_image_borders_on_its_edge():
    found = statistics(np.ones((3, 3), int), 2, 1.0)
    np.testing.assert_array_equal(found["perimeter_mm"], [12, 0])
    assert found["enclosure"] == found["contact"] == 0


def test_a_spiral_is_one_component():
    assert statistics(SPIRAL, 1, 1.0)["components"] == 1
    cut = SPIRAL.copy()
    cut[6, 1] = 0
    found = statistics(cut, 1, 1.0)
    assert found["components"] == 2
    np.testing.assert_allclose(found["largest_fraction"], 17 / 30)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0.1, 0.9))
def test_components_are_those_of_scipy(seed, n_classes, density):
    rng = np.random.default_rng(seed)
    label = rng.integers(1, n_classes + 1, (12, 17)) * (rng.random((12, 17)) < density)
    root = np.asarray(connected_components(jnp.asarray(label)))
    holes = ndimage.binary_fill_holes(label > 0) & (label == 0)
    assert statistics(label, 3, 1.0)["holes_mm2"] == holes.sum()
    for code in range(n_classes + 1):
        expected, count = ndimage.label(label == code)
        pairs = {(int(a), int(b)) for a, b in zip(root[label == code], expected[label == code], strict=True)}
        assert len(pairs) == count == len({a for a, _ in pairs})


@pytest.mark.parametrize("sharp", [0.9, 0.6])
def test_softmax_statistics_by_hand(sharp):
    probabilities = np.zeros((4, 4, 3), np.float32)
    probabilities[..., 0] = 1
    probabilities[1, 1] = [1 - sharp, sharp, 0]
    probabilities[2, 2] = [0.94, 0.03, 0.03]
    probabilities[3, 3] = [0.96, 0.04, 0]  # clearly background
    found = jax.jit(slice_statistics)(probabilities, 1.0, IMAGE)
    terms = [1 - sharp, sharp, 0.94, 0.03, 0.03]
    assert found["uncertain_pixels"] == 2
    np.testing.assert_allclose(found["confidence"], (sharp + 0.94) / 2, rtol=1e-6)
    np.testing.assert_allclose(found["entropy"], -np.sum(np.log(terms) * terms) / 2 / np.log(3), rtol=1e-5)
    np.testing.assert_array_equal(found["area_mm2"], [1, 0])
    np.testing.assert_array_equal(found["intensity_mean"], [5 / 16, 0])


def test_intensities_by_hand():
    label = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 2]])
    found = jax.jit(slice_statistics)(jax.nn.one_hot(label, 4), 2.0, IMAGE)
    np.testing.assert_allclose(found["intensity_mean"], [(1 + 2 + 5) / 48, (11 + 15) / 32, 0])
    np.testing.assert_allclose(found["intensity_max"], [5 / 16, 15 / 16, 0])
    np.testing.assert_array_equal(statistics(label, 3, 2.0)["intensity_max"], [1, 1, 0])  # a mask has no image


def test_vmapped_is_the_same_as_one_by_one():
    labels = np.random.default_rng(0).integers(0, 4, (3, 7, 7))
    together = jax.jit(jax.vmap(lambda label: label_statistics(label, 3, 2.0)))(labels)
    for i in range(3):
        for name, value in statistics(labels[i], 3, 2.0).items():
            np.testing.assert_allclose(together[name][i], value, rtol=1e-5, err_msg=name)
