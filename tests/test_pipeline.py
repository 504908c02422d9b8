"""The stream of studies: order, batches across studies, and a result that no batch size or device changes."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
WINDOWS = dataclasses.replace(SPEC, name="unet_lstm", window=5)


@functools.cache
def model_of(seed, spec=SPEC):
    variables = jax.jit(build_network(spec).init)(jax.random.key(seed), jnp.zeros((1, 16, 16, spec.window)))
    params = jax.tree.map(lambda x: 2 * x, dict(variables))  # sure enough that rounding decides nothing
    return Model(spec, params, GRID, SHORT_AXIS)


MODEL = model_of(0)


def cine(i, shape):
    rng = np.random.default_rng(i)
    pixel = (float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.8, 1.2)))
    image, _ = heart(shape[2:], pixel, 8.0)
    noise = rng.normal(0, 30, shape)
    return Cine(f"s{i}", np.clip(image + noise, 0, 255).astype(np.uint8), pixel)


CINES = [cine(i, shape) for i, shape in enumerate(SHAPES)]


@functools.cache
def alone(spec, which):
    """Studies alone, uncut, each in one call that knows windows by arithmetic: what the stream must give."""
    model, window, results = model_of(0, spec), spec.window, []
    predict = jax.jit(make_predict(model))
    for one in (CINES[i] for i in which):
        (t, z, height, width), n = one.image.shape, one.image.shape[0] * one.image.shape[1]
        pixels = np.zeros((6, 96, 96), np.uint8)
        pixels[:n, :height, :width] = one.image.reshape(n, height, width)
        extent, pixel = (np.tile(np.float32(pair), (6, 1)) for pair in ((height, width), one.pixel_mm))
        around = np.zeros((6, window), int)
        for k in range(n):
            around[k] = [(k // z + d) % t * z + k % z for d in range(-(window // 2), window // 2 + 1)]
        label, statistics = jax.device_get(predict(model.variables, pixels, Geometry(extent, pixel), around))
        statistics = {name: x[:n].reshape(t, z, *x.shape[1:]) for name, x in statistics.items()}
        results.append((label[:n, :height, :width].reshape(one.image.shape), statistics))
    return results


@pytest.mark.parametrize(
    ("mapping", "count", "batch"), [("shard_map", 1, 4), ("shard_map", 2, 13), ("pmap", 2, 3)]
)
def test_studies_come_back_in_order_whatever_the_batches(mapping, count, batch):
    """Three canvas sizes, batches that hold the end of one study and the start of the next."""
    segmenter = Segmenter.of(MODEL, Devices.of(mapping, count), batch)
    assert segmenter.batch == {4: 4, 13: 14, 3: 4}[batch]
    check(segmenter, range(len(CINES)))


def test_every_slice_is_seen_with_its_frames():
    """Windows of five in cycles of two and three frames, over two devices."""
    check(Segmenter.of(model_of(0, WINDOWS), Devices.of(count=2), 6), (0, 2))


def check(segmenter, which):
    """What comes back is what each study gives alone."""
    cines = [CINES[i] for i in which]
    results = list(segment_studies(segmenter, iter(cines)))
    assert [r.subject_id for r in results] == [c.subject_id for c in cines]
    for result, one, (label, statistics) in zip(results, cines, alone(segmenter.model.network, which), strict=True):
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

    for returned, _ in enumerate(segment_studies(segmenter, many())):
        assert taken - returned <= IN_FLIGHT + 2
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


@settings(max_examples=30)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3)), min_size=1, max_size=4),
    window=st.sampled_from([1, 3, 9]),
    each=st.integers(1, 9),
    count=st.sampled_from([1, 2]),
)
def test_a_part_holds_every_frame_of_its_windows_once(shapes, window, each, count):
    """Whatever the cycles and the batches, b + 2 (W - 1) places are enough, and windows point at their frames."""

    class Recorder:
        model = Model(dataclasses.replace(SPEC, window=window), {}, GRID, SHORT_AXIS)
        devices, batch = SimpleNamespace(count=count, gather=lambda result: result), each * count

        def submit(self, frames, geometry, windows):
            places = each + 2 * (window - 1)
            assert frames.shape[0] == count * places
            assert windows.shape == (self.batch, window)
            assert windows.max() < places
            seen = frames.reshape(count, places, 32, 32)[np.arange(self.batch)[:, None] // each, windows]
            return seen[:, window // 2], {"seen": seen[..., 0, 0]}

    cines = []
    for i, shape in enumerate(shapes):
        number = np.arange(np.prod(shape)).reshape(*shape, 1, 1) + 40 * i
        cines.append(Cine(f"s{i}", np.broadcast_to(number, (*shape, 8, 8)).astype(np.uint8), (1.0, 1.0)))
    for found, cine in zip(segment_studies(Recorder(), cines), cines, strict=True):
        np.testing.assert_array_equal(found.label, cine.image)
        n_frames = cine.image.shape[0]
        around = (np.arange(n_frames)[:, None] + np.arange(window) - window // 2) % n_frames
        np.testing.assert_array_equal(found.statistics["seen"], cine.image[around, :, 0, 0].swapaxes(1, 2))
