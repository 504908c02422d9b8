"""What a stage trains on, and that it trains alike from a resident stream and from one that is read."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny import assert_equal_trees, heart

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.memory import MemoryCohort
from semiqc_jax.errors import ConfigError
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Segmentation
from semiqc_jax.rounds.sources import Canvas, labelled_source, pseudo_source
from semiqc_jax.rounds.stage import Trainer
from semiqc_jax.rounds.store import PseudoStore
from semiqc_jax.settings import GridSettings, ModelSettings, Settings
from semiqc_jax.study import Study, uniform_positions
from semiqc_jax.training.loop import Hooks, StopRequest

SHAPES = [(2, 2, 40, 30), (1, 3, 26, 52), (2, 1, 30, 30)]
PIXELS = [(1.0, 1.4), (1.6, 0.9), (1.2, 1.2)]
SETTINGS = Settings(
    model=ModelSettings(base=2, depth=2, dropout=0.0),
    grid=GridSettings(16, 2.0),
    batch_size=4,
    round_updates=4,
    seed=11,
)


def study(i):
    shape, pixel = SHAPES[i], PIXELS[i]
    image, label = heart(shape[2:], pixel, 7.0 + i)
    noise = np.random.default_rng(i).normal(0, 10, shape)
    labelled = np.ones((*shape[:2], 3), bool)
    labelled[0, 0] = [i > 0, i > 0, False]  # of the first study nothing is drawn on this slice
    label = np.broadcast_to(label, shape) * np.concatenate([labelled[..., :1] | True, labelled], -1)[
        np.arange(shape[0])[:, None, None, None], np.arange(shape[1])[:, None, None], label
    ]
    return Study(
        f"p{i}",
        (image + noise).astype(np.float32),
        (8.0, *pixel),
        uniform_positions(shape[1], 8.0),
        np.eye(4),
        label=label.astype(np.uint8),
        labelled=labelled,
    )


@pytest.fixture(scope="module")
def cohort():
    return MemoryCohort("three", SHORT_AXIS, [study(i) for i in range(3)], {})


@pytest.fixture(scope="module")
def store(cohort, tmp_path_factory):
    """Pseudo-labels that no truth holds: the code is frame + slice."""
    store = PseudoStore(tmp_path_factory.mktemp("round") / "pseudo")
    marked = []
    for i in (1, 2):
        t, z = np.indices(SHAPES[i][:2])
        label = np.broadcast_to((t + z)[..., None, None], SHAPES[i]).astype(np.uint8)
        marked.append(Segmentation(f"p{i}", label, {}))
    store.write(0, marked, {})
    return store


WEIGHT = np.zeros((2, 2, 3), np.float32)
WEIGHT[0, 0] = [1.0, 0.0, 0.5]  # p1 has one frame of three slices
WEIGHT[1, :, 0] = [0.0, 0.5]  # p2 has two frames of one slice


def test_labelled_slices_are_those_on_which_something_is_drawn(cohort):
    canvas = Canvas.of(cohort, 100.0)
    source = labelled_source(cohort, [0, 1], canvas)
    assert source.count == 3 + 3
    assert source.bytes == 2 * 6 * canvas.size[0] * canvas.size[1]
    np.testing.assert_allclose(source.distribution, np.arange(1, 7) / 6, rtol=1e-6)
    one = source.read(3)  # frame 0, slice 0 of the second
    np.testing.assert_array_equal(one.labelled, [True, True, False])
    np.testing.assert_array_equal(one.image[0, :26, :52], cohort.image(1)[0, 0])
    assert set(np.unique(one.label)) == {0, 1, 2}
    np.testing.assert_array_equal(one.geometry.extent, [26, 52])
    np.testing.assert_allclose(one.geometry.pixel_mm, [1.6, 0.9])


def test_one_canvas_holds_every_slice_within_reach(cohort):
    assert Canvas.of(cohort, 100.0).size == (64, 64)
    near = Canvas.of(cohort, 10.0)
    assert near.size == (32, 32)
    one = labelled_source(cohort, [1], near).read(1)
    height, width = one.geometry.extent.astype(int)
    assert 2 * 10 / 1.6 <= height < 2 * 10 / 1.6 + 5
    assert 2 * 10 / 0.9 <= width < 2 * 10 / 0.9 + 5
    top, left = (26 - height) // 2, (52 - width) // 2
    expected = cohort.image(1)[0, 1, top : top + height, left : left + width]
    np.testing.assert_array_equal(one.image[0, :height, :width], expected)


def test_pseudo_slices_are_those_with_weight(cohort, store):
    source = pseudo_source(cohort, [1, 2], WEIGHT, store, Canvas.of(cohort, 100.0))
    np.testing.assert_allclose(source.distribution, [0.5, 0.75, 1.0])
    for i, (subject, t, z) in enumerate([(1, 0, 0), (1, 0, 2), (2, 1, 0)]):
        one = source.read(i)
        height, width = SHAPES[subject][2:]
        np.testing.assert_array_equal(one.image[0, :height, :width], cohort.image(subject)[t, z])
        assert np.all(one.label[:height, :width] == t + z)
        assert one.labelled.all()


@pytest.mark.parametrize("kind", ["labelled", "pseudo"])
def test_a_slice_comes_with_its_frames(cohort, store, kind):
    """p2 has two frames of one slice: five frames around the second, where the cycle closes twice."""
    canvas = Canvas.of(cohort, 100.0, window=5)
    if kind == "labelled":
        source, at = labelled_source(cohort, [2], canvas), 0
        assert source.count == 2
    else:
        source, at = pseudo_source(cohort, [1, 2], WEIGHT, store, canvas), 2
    assert source.bytes == source.count * 6 * canvas.size[0] * canvas.size[1]
    frame = 0 if kind == "labelled" else 1
    one = source.read(at)
    assert one.image.shape == (5, *canvas.size)
    expected = cohort.image(2)[(frame + np.arange(5)) % 2, 0]
    np.testing.assert_array_equal(one.image[:, :30, :30], expected)
    assert one.label.shape == canvas.size
    resident = source.resident().slices
    assert resident.image.nbytes + resident.label.nbytes == source.bytes
    np.testing.assert_array_equal(resident.image[at], one.image)


def test_a_selection_that_kept_nobody_is_an_error(cohort, store):
    with pytest.raises(ConfigError, match=r"kept no subject.*config.threshold"):
        pseudo_source(cohort, [1, 2], np.zeros_like(WEIGHT), store, Canvas.of(cohort, 100.0))


WINDOW = dataclasses.replace(SETTINGS, model=ModelSettings("unet_lstm", base=2, depth=2, window=3))


def train(cohort, store, resident_mb, state=None, count=1, selector="quality", settings=SETTINGS):
    """Four updates of round 1, saved after each second one."""
    settings = dataclasses.replace(settings, resident_mb=resident_mb, selector=selector)
    trainer = Trainer(settings, cohort, Devices.of(count=count))
    canvas = Canvas.of(cohort, 60.0, settings.model.window)
    sources = {
        "labelled": labelled_source(cohort, [0], canvas),
        "pseudo": pseudo_source(cohort, [1, 2], WEIGHT, store, canvas),
    }
    saved, logged = {}, {}
    hooks = Hooks(saved.__setitem__, logged.__setitem__, lambda n, note: None, StopRequest(), 2, 4)
    begin = trainer.start_stage(1, trainer.fresh().method) if state is None else state
    return trainer.train(1, begin, sources, hooks), saved, logged


@pytest.fixture(scope="module")
def resident(cohort, store):
    return train(cohort, store, 2048)


def test_a_stream_that_is_read_trains_as_a_resident_one(cohort, store, resident):
    """Bit-equal parameters, batch statistics and optimiser after four updates of two streams."""
    state, _, logged = train(cohort, store, 0)
    assert_equal_trees(state, resident[0])
    assert logged[4]["loss"] == resident[2][4]["loss"]


def test_windows_that_are_read_train_as_resident_ones(cohort, store):
    """The recurrent network, dropout and all; and its state is saved and taken up."""
    state, saved, _ = train(cohort, store, 2048, settings=WINDOW)
    assert_equal_trees(train(cohort, store, 0, saved[2], settings=WINDOW)[0], state)


@pytest.mark.parametrize("resident_mb", [0, 2048])
def test_a_stage_resumes_to_the_bit(cohort, store, resident, resident_mb):
    halfway = resident[1][2]
    assert halfway.step == 2
    assert_equal_trees(train(cohort, store, resident_mb, halfway)[0], resident[0])


def test_two_devices_read_their_own_halves(cohort, store, resident):
    state, *_ = train(cohort, store, 0, count=2)
    for a, b in zip(jax.tree.leaves(state.method), jax.tree.leaves(resident[0].method), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_training_moves_and_knows_the_pseudo_labels(cohort, store, resident):
    """The parameters moved, and without the pseudo-labelled stream they moved elsewhere."""
    fresh = Trainer(SETTINGS, cohort, Devices.of(count=1)).fresh().method.params
    alone = train(cohort, store, 2048, selector="none")[0].method.params
    ours = resident[0].method.params
    for other in (fresh, alone):
        assert any(not np.allclose(a, b) for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(other), strict=True))


def test_streams_must_divide_over_the_devices(cohort):
    with pytest.raises(ConfigError, match="4 labelled examples a batch do not divide over 8 devices"):
        Trainer(SETTINGS, cohort, Devices.of()).check()
