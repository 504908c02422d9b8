"""The stream of studies: order, batches across studies, and a result that no batch size or device changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import heart

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.memory import MemoryCohort
from semiqc_jax.inputs.grid import Geometry, Grid
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import IN_FLIGHT, Cine, Segmenter, cohort_cines, segment_studies
from semiqc_jax.segmentation.predict import Model, make_predict
from semiqc_jax.study import Study, uniform_positions

GRID = Grid(16, 2.0)
SPEC = NetworkSpec("unet", 3, base=2, depth=2, norm="group", dropout=0.0)
SHAPES = [(2, 3, 40, 44), (1, 1, 24, 90), (3, 2, 30, 28), (1, 5, 36, 40), (2, 1, 70, 20)]


def model_of(seed):
    variables = jax.jit(build_network(SPEC).init)(jax.random.key(seed), jnp.zeros((1, 16, 16, 1)))
    params = jax.tree.map(lambda x: 2 * x, dict(variables))  # sure enough that rounding decides nothing
    return Model(SPEC, params, GRID, SHORT_AXIS)


MODEL = model_of(0)


def cine(i, shape):
    rng = np.random.default_rng(i)
    pixel = (float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.8, 1.2)))
    image, _ = heart(shape[2:], pixel, 8.0)
    noise = rng.normal(0, 30, shape)
    return Cine(f"s{i}", np.clip(image + noise, 0, 255).astype(np.uint8), pixel)


CINES = [cine(i, shape) for i, shape in enumerate(SHAPES)]


@pytest.fixture(scope="module")
def alone():
    """Each study alone, uncut, in one call: what the stream must give."""
    predict = jax.jit(make_predict(MODEL))
    results = []
    for one in CINES:
        (t, z, height, width), n = one.image.shape, one.image.shape[0] * one.image.shape[1]
        pixels = np.zeros((6, 96, 96), np.uint8)
        pixels[:n, :height, :width] = one.image.reshape(n, height, width)
        extent, pixel = (np.tile(np.float32(pair), (6, 1)) for pair in ((height, width), one.pixel_mm))
        label, statistics = jax.device_get(predict(MODEL.variables, pixels, Geometry(extent, pixel)))
        statistics = {name: x[:n].reshape(t, z, *x.shape[1:]) for name, x in statistics.items()}
        results.append((label[:n, :height, :width].reshape(one.image.shape), statistics))
    return results


@pytest.mark.parametrize(
    ("mapping", "count", "batch"), [("shard_map", 1, 4), ("shard_map", 2, 13), ("pmap", 2, 3)]
)
def test_studies_come_back_in_order_whatever_the_batches(alone, mapping, count, batch):
    """Three canvas sizes, batches that hold the end of one study and the start of the next."""
    segmenter = Segmenter.of(MODEL, Devices.of(mapping, count), batch)
    assert segmenter.batch == {4: 4, 13: 14, 3: 4}[batch]
    results = list(segment_studies(segmenter, iter(CINES)))
    assert [r.subject_id for r in results] == [c.subject_id for c in CINES]
    for result, one, (label, statistics) in zip(results, CINES, alone, strict=True):
        assert result.label.shape == one.image.shape
        assert result.label.dtype == np.uint8
        assert np.mean(result.label != label) < 1e-3  # ties of two classes may fall either way
        assert set(result.statistics) == set(statistics)
        for name in ("entropy", "confidence"):
            np.testing.assert_allclose(result.statistics[name], statistics[name], rtol=1e-3)
        for name in ("area_mm2", "centroid_mm"):
            assert result.statistics[name].shape == statistics[name].shape
    assert len(np.unique(np.concatenate([r.label.ravel() for r in results]))) > 1


def test_slices_far_from_the_centre_are_background():
    """The grid reaches 16 mm; 90 pixels of about 1 mm reach 45."""
    segmenter = Segmenter.of(MODEL, Devices.of(count=1), 4)
    (result,) = segment_studies(segmenter, [CINES[1]])
    offset = (np.arange(90) - 44.5) * CINES[1].pixel_mm[1]
    assert not result.label[..., np.abs(offset) > GRID.reach_mm].any()
    assert result.label[..., np.abs(offset) < GRID.reach_mm].any()


def test_memory_is_bounded():
    """However small the studies are and however their canvas changes, few are open at a time."""
    segmenter = Segmenter.of(MODEL, Devices.of(count=1), 4)
    taken = 0

    def many():
        nonlocal taken
        for i in range(20):
            taken += 1
            yield Cine(f"s{i}", CINES[0].image[:1, :1, :, : (20 if i % 2 else 44)], (0.8, 0.8))

    for given, _ in enumerate(segment_studies(segmenter, many())):
        assert taken - given <= IN_FLIGHT + 2
    assert taken == 20


def test_nothing_gives_nothing():
    assert list(segment_studies(Segmenter.of(MODEL, Devices.of(count=1), 4), [])) == []


def test_other_weights_take_the_place_of_the_first():
    first = Segmenter.of(MODEL, Devices.of(count=1), 4)
    other = model_of(1)
    (swapped,) = segment_studies(first.with_variables(other.variables), CINES[2:3])
    (fresh,) = segment_studies(Segmenter.of(other, Devices.of(count=1), 4), CINES[2:3])
    np.testing.assert_array_equal(swapped.label, fresh.label)
    (before,) = segment_studies(first, CINES[2:3])
    assert (before.label != swapped.label).any()


def test_a_cohort_gives_images_and_no_labels():
    image, label = heart((24, 20), (1.5, 1.0))
    study = Study(
        "a",
        np.stack([[image], [image[::-1]]]).astype(np.float32),
        (8.0, 1.5, 1.0),
        uniform_positions(1, 8.0),
        np.eye(4),
        label=np.stack([[label], [label]]),
        labelled=np.ones((2, 1, 3), bool),
    )
    cohort = MemoryCohort("one", SHORT_AXIS, [study], {})
    (only,) = cohort_cines(cohort, [0])
    assert (only.subject_id, only.pixel_mm) == ("a", (1.5, 1.0))
    np.testing.assert_array_equal(only.image, cohort.image(0))
    assert Cine._fields == ("subject_id", "image", "pixel_mm")
