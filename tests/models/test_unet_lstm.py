"""The recurrent U-Net: its memory by hand, windows that share frames, and a task that one frame cannot solve."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from semiqc_jax.benchmarks.weights import random_variables
from semiqc_jax.inputs.slices import Batch
from semiqc_jax.models.build import NetworkSpec, build_network
from semiqc_jax.models.unet_lstm import ConvLSTM
from semiqc_jax.training.methods.supervised import Supervised

SPEC = NetworkSpec("unet_lstm", n_classes=1, base=2, depth=2, norm="group", dropout=0.0, window=5)


def variables_of(spec, size=8):
    return random_variables(build_network(spec), size, spec.window)


def test_the_memory_by_hand():
    """On a single pixel a 3 x 3 kernel is its middle: the LSTM of the textbook, its forget gate's bias 1."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(3, 1, 1, 1, 2)).astype(np.float32)
    network = ConvLSTM(2)

    def final(variables, x):
        return network.apply(variables, [network.apply(variables, one, method="gates") for one in x])

    def both(module):
        return module([module.gates(frames[0]), module.gates(frames[1])])

    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), method=both))
    variables = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)
    params = variables["params"]
    cell, state = np.zeros(2), np.zeros(2)
    for x in frames[:, 0, 0, 0]:
        total = x @ params["from_frame"]["kernel"][1, 1] + params["from_frame"]["bias"]
        total += state @ params["from_state"]["kernel"][1, 1]
        write, keep, show = (1 / (1 + np.exp(-v)) for v in (total[:2], total[2:4] + 1, total[4:6]))
        cell = keep * cell + write * np.tanh(total[6:])
        state = show * np.tanh(cell)
    np.testing.assert_allclose(final(variables, frames)[0, 0, 0], state, rtol=1e-5)


def test_parameters_by_hand():
    """Base 2, depth 2, 3 classes: the U-Net without its output, two memories of 2 channels, and a 3 x 3 output."""
    spec = dataclasses.replace(SPEC, n_classes=3)
    network = build_network(spec)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, 4, 4, 5)))["params"]
    count = sum(int(np.prod(x.shape)) for x in jax.tree.leaves(shapes))
    memory = (9 * 2 * 8 + 8) + 9 * 2 * 8
    assert count == (496 - (9 * 2 * 4 + 4)) + 2 * memory + (9 * 4 * 4 + 4)
    published = dataclasses.replace(spec, base=16, depth=5, norm="batch", window=9)
    shapes = jax.eval_shape(build_network(published).init, jax.random.key(0), jnp.zeros((1, 16, 16, 9)))["params"]
    assert shapes["earlier"]["from_state"]["kernel"].shape == (3, 3, 16, 4 * 16)


@pytest.mark.parametrize("name", ["unet_lstm", "unet"])
def test_windows_that_share_frames_are_windows(name):
    """What is computed once a frame is what is computed once a window; an index may come twice."""
    spec = dataclasses.replace(SPEC, name=name, norm="batch")
    variables, network = variables_of(spec), build_network(spec)
    frames = jax.random.normal(jax.random.key(1), (4, 8, 8))
    index = np.array([[2, 3, 0, 1, 2], [3, 0, 1, 2, 3], [0, 0, 0, 0, 0]])
    shared = jax.jit(lambda f, i: network.apply(variables, f, i, method="windows"))(frames, index)
    apart = jax.jit(network.apply)(variables, jnp.moveaxis(frames[index], 1, -1))
    assert shared.shape == (3, 8, 8, 2)
    np.testing.assert_allclose(shared, apart, rtol=1e-4, atol=1e-4)


def test_both_sides_are_remembered_alike():
    """The window in reverse, through the network with its memories exchanged, gives the same; every frame counts."""
    variables = variables_of(SPEC)["params"]
    kernel = variables["output"]["kernel"]
    exchanged = {
        **variables,
        "earlier": variables["later"],
        "later": variables["earlier"],
        "output": {**variables["output"], "kernel": np.concatenate([kernel[:, :, 2:], kernel[:, :, :2]], 2)},
    }
    x = jax.random.normal(jax.random.key(1), (1, 8, 8, 5))
    apply = jax.jit(build_network(SPEC).apply)
    logits = apply({"params": variables}, x)
    np.testing.assert_allclose(apply({"params": exchanged}, x[..., ::-1]), logits, rtol=1e-4, atol=1e-4)
    for frame in range(5):
        assert not np.allclose(apply({"params": variables}, x.at[..., frame].multiply(-1)), logits, atol=1e-3)


def two_discs(rng, count, window):
    """Two equal discs, of which one vanishes before and after the middle frame; the other is the label."""
    y, x = np.mgrid[:16, :16]
    image, label = np.zeros((count, 16, 16, window), np.float32), np.zeros((count, 16, 16), np.int32)
    for i in range(count):
        first, second = ((y - rng.uniform(4, 11)) ** 2 + (x - middle) ** 2 < 9 for middle in rng.permutation([4, 11]))
        image[i] = first[..., None]
        image[i, ..., window // 2] += second
        label[i] = first
    return Batch(image - 0.2, label, np.ones((count, 1), bool))


def dice_after_training(spec, updates=120):
    method = Supervised(build_network(spec), {"labelled": 16})
    rng, optimizer = np.random.default_rng(0), optax.adam(1e-2)
    params = variables_of(spec)["params"]
    state = optimizer.init(params)

    @jax.jit
    def update(params, state, batch):
        gradient = jax.grad(lambda p: method.loss(p, {}, {"labelled": batch}, jax.random.key(0), 0)[0])(params)
        change, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, change), state

    for _ in range(updates):
        params, state = update(params, state, two_discs(rng, 16, spec.window))
    test = two_discs(rng, 64, spec.window)
    found = jax.jit(method.network.apply)({"params": params}, test.image).argmax(-1)
    return 2 * np.sum(found * test.label) / (np.sum(found) + np.sum(test.label))


def test_neighbours_tell_what_the_frame_does_not():
    """A frame alone shows two discs that nothing tells apart: half of what it finds is wrong at best."""
    spec = dataclasses.replace(SPEC, base=4, window=3)
    assert dice_after_training(spec) > 0.95
    assert dice_after_training(dataclasses.replace(spec, name="unet", window=1)) < 0.8
