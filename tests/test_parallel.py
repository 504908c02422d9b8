"""Devices: what is put on them comes back, and training does not depend on their number or on the mapping."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from tiny import GRID, UNET, assert_equal_trees, heart_slices

from semiqc_jax.errors import ConfigError
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.inputs.slices import cumulative
from semiqc_jax.models.build import build_network
from semiqc_jax.parallel import AXIS, MAPPINGS, Devices
from semiqc_jax.training.methods.supervised import Supervised
from semiqc_jax.training.step import Resident, TrainState, make_step

STREAMS = {"labelled": 8, "pseudo": 8}
CASES = [(mapping, count) for mapping in MAPPINGS for count in (2, 8)]


def recording(inner):
    """An optimiser whose state also holds the last gradient."""
    return optax.GradientTransformation(
        lambda params: (inner.init(params), jax.tree.map(jnp.zeros_like, params)),
        lambda gradient, state, params: (
            (result := inner.update(gradient, state[0], params))[0],
            (result[1], gradient),
        ),
    )


@functools.cache
def trained(mapping, count, updates=3, spec=UNET):
    """Gradients of the first update, and the state and metrics after the last: BatchNorm, two streams of 8."""
    devices = Devices.of(mapping, count)
    method = Supervised(build_network(spec, AXIS), STREAMS, AXIS)
    optimizer = recording(optax.sgd(0.05, momentum=0.9))
    begin = jax.jit(method.init)(jax.random.key(1), jnp.zeros((1, GRID.size, GRID.size, spec.window)))
    state = devices.replicate(TrainState(jnp.int32(0), begin, optimizer.init(begin.params)))
    resident = devices.replicate(
        {
            "labelled": Resident(heart_slices(5, window=spec.window), cumulative(np.ones(5))),
            "pseudo": Resident(heart_slices(9, seed=1, window=spec.window), cumulative(np.arange(9.0))),
        }
    )
    seeds = devices.replicate(np.array([3, 1], np.uint32))
    step = make_step(method, optimizer, AUGMENTATIONS["strong"], GRID, count)
    run = devices.map(step, replicated=3, sharded=1, sum_out=True, donate=True)
    gradient = sums = None
    for _ in range(updates):
        state, sums = run(state, resident, seeds, {})
        gradient = gradient or devices.unreplicate(state.optimizer[1])
    return gradient, devices.unreplicate(state), devices.unreplicate(sums)


def relative_difference(a, b):
    """Largest over the arrays of two trees of |a - b| / |b|, both as vectors."""

    def one(x, y):
        return np.linalg.norm(np.ravel(x - y)) / np.linalg.norm(np.ravel(y))

    return max(jax.tree.leaves(jax.tree.map(one, a, b)))


@pytest.mark.parametrize(("mapping", "count"), CASES)
def test_gradients_are_those_of_one_device(mapping, count):
    reference, gradient = trained("shard_map", 1)[0], trained(mapping, count)[0]
    assert relative_difference(gradient, reference) < 1e-5


def test_gradients_of_windows_are_those_of_one_device():
    spec = dataclasses.replace(UNET, name="unet_lstm", window=3)
    (one, *_), (eight, *_) = (trained("shard_map", count, updates=1, spec=spec) for count in (1, 8))
    assert relative_difference(eight, one) < 1e-5


@pytest.mark.parametrize(("mapping", "count"), CASES)
def test_training_is_that_of_one_device(mapping, count):
    _, reference, metrics = trained("shard_map", 1)
    _, state, sums = trained(mapping, count)
    assert state.step == reference.step == 3
    assert relative_difference(state.method.params, reference.method.params) < 1e-5
    assert relative_difference(state.method.aux, reference.method.aux) < 1e-5
    assert relative_difference(sums, metrics) < 1e-5


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_step_does_what_the_whole_batch_says(mapping):
    """Sums, means and shards by hand: device d of 8 holds rows 2 d and 2 d + 1."""
    devices = Devices.of(mapping, 8)

    def function(scale, rows):
        return lax.psum(scale * rows.sum(), AXIS)

    rows = np.arange(16, dtype=np.float32)
    run = devices.map(function, replicated=1, sharded=1, sum_out=True)
    assert devices.unreplicate(run(devices.replicate(np.float32(2)), devices.shard(rows))) == 2 * rows.sum()

    def each(scale, rows):
        return {"x": scale * rows, "device": jnp.full(rows.shape[0], lax.axis_index(AXIS))}

    run = devices.map(each, replicated=1, sharded=1, sum_out=False)
    result = devices.gather(run(devices.replicate(np.float32(2)), devices.shard(rows)))
    np.testing.assert_array_equal(result["x"], 2 * rows)
    np.testing.assert_array_equal(result["device"], np.repeat(np.arange(8), 2))


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("count", [1, 8])
def test_what_is_put_on_devices_comes_back(mapping, count):
    devices = Devices.of(mapping, count)
    tree = {"a": np.arange(24.0, dtype=np.float32).reshape(8, 3), "b": (np.arange(8), np.ones((8, 2, 2), bool))}
    assert devices.count == count
    assert_equal_trees(devices.unreplicate(devices.replicate(tree)), tree)
    assert_equal_trees(devices.gather(devices.shard(tree)), tree)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_donation_leaves_the_callers_arrays_alone(mapping):
    devices = Devices.of(mapping, 1)
    run = devices.map(lambda x: x + 1, replicated=1, sharded=0, sum_out=True, donate=True)
    own = jnp.arange(4.0)
    np.testing.assert_array_equal(devices.unreplicate(run(devices.replicate(own))), [1, 2, 3, 4])
    np.testing.assert_array_equal(own, [0, 1, 2, 3])


def test_the_number_of_devices():
    assert Devices.of().count == len(jax.devices()) == 8
    with pytest.raises(ConfigError, match="9 devices asked for, 8 found"):
        Devices.of(count=9)
