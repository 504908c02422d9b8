"""Networks: shapes, sizes counted by hand, normalisation, and layers against their plain forms."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import UNET

from semiqc_jax.benchmarks.weights import random_variables
from semiqc_jax.models.build import DTYPES, NETWORKS, NORMS, NetworkSpec, build_network
from semiqc_jax.models.layers import max_pool_2x2, upsample_nearest

RNGS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}


def shapes(spec, image=(1, 16, 16, 1)):
    """Shapes of a fresh network's variables."""
    return jax.eval_shape(build_network(spec).init, RNGS, jax.ShapeDtypeStruct(image, jnp.float32))


def size(tree):
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("depth", "window"), [(2, 3), (5, 1)])
def test_logits_have_the_size_of_the_image(name, norm, dtype, depth, window):
    spec = NetworkSpec(name, 2, base=4, depth=depth, norm=norm, dropout=1.0, dtype=dtype, window=window)
    network = build_network(spec)
    assert network.divisor == 2 ** (depth - 1)
    image = (2, network.divisor, 3 * network.divisor, window)
    variables = shapes(spec, image)
    logits = jax.eval_shape(network.apply, variables, jax.ShapeDtypeStruct(image, jnp.float32))
    assert logits.shape == (*image[:3], 3)
    assert logits.dtype == jnp.float32
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(variables))
    assert ("batch_stats" in variables) == (norm == "batch")


def test_the_unet_refuses_what_its_divisor_does_not_divide():
    with pytest.raises((TypeError, ValueError)):
        shapes(dataclasses.replace(UNET, depth=3), (1, 18, 16, 1))


@pytest.mark.parametrize("norm", NORMS)
def test_unet_parameters_by_hand(norm):
    """Base 2, depth 2, 3 classes; a norm has a scale and a bias for each channel."""
    encoder = (9 * 1 * 2 + 4) + (9 * 2 * 2 + 4) + (9 * 2 * 4 + 8) + (9 * 4 * 4 + 8)
    decoder = (4 * 2 + 2) + (9 * 4 * 2 + 4) + (9 * 2 * 2 + 4)
    output = 9 * 2 * 4 + 4
    variables = shapes(dataclasses.replace(UNET, norm=norm))
    assert size(variables["params"]) == encoder + decoder + output == 496
    assert size(variables.get("batch_stats", {})) == (2 * (2 + 2 + 4 + 4 + 2 + 2) if norm == "batch" else 0)


def test_names_that_checkpoints_know():
    """Those of a network trained before there were windows; frames of a window are channels of the first kernel."""
    params = shapes(UNET)["params"]
    assert set(params) == {"DoubleConv_0", "DoubleConv_1", "DoubleConv_2", "Conv_0", "Conv_1"}
    seen = shapes(dataclasses.replace(UNET, window=5), (1, 16, 16, 5))["params"]
    assert jax.tree.structure(seen) == jax.tree.structure(params)
    assert seen["DoubleConv_0"]["ConvNorm_0"]["Conv_0"]["kernel"].shape == (3, 3, 5, 2)


@pytest.mark.parametrize("norm", NORMS)
def test_fcn_parameters_by_hand(norm):
    """Base 2, depth 2, 3 classes: each level is brought to 4 channels, then 8 -> 8 -> 8 -> 4."""
    first = (9 * 1 * 2 + 4) + (9 * 2 * 2 + 4) + (2 * 4 + 8)
    second = (9 * 2 * 4 + 8) + (9 * 4 * 4 + 8) + (4 * 4 + 8)
    joined = (8 * 8 + 16) + (8 * 8 + 16) + (8 * 4 + 4)
    spec = NetworkSpec("fcn", n_classes=3, base=2, depth=2, norm=norm, dropout=0.0)
    assert size(shapes(spec)["params"]) == first + second + joined == 530


def test_the_published_fcn():
    """16 to 256 filters; 2, 2, 3, 3, 3 convolutions; 5 x 32 channels joined; 64, 64, classes."""
    spec = NetworkSpec("fcn", n_classes=3, base=16, depth=5, norm="batch", dropout=0.0)
    kernels = [x.shape for x in jax.tree.leaves(shapes(spec)["params"]) if len(x.shape) == 4]
    wide = sorted(k[2:] for k in kernels if k[:2] == (3, 3))
    filters = [16, 32, 64, 128, 256]
    expected = [(1, 16), *((a, 2 * a) for a in filters[:-1])]
    for f, more in zip(filters, (1, 1, 2, 2, 2), strict=True):
        expected += [(f, f)] * more
    assert wide == sorted(expected)
    narrow = sorted(k[2:] for k in kernels if k[:2] == (1, 1))
    assert narrow == sorted([*((f, 32) for f in filters), (160, 64), (64, 64), (64, 4)])


def test_the_benchmark_unet():
    """16 to 256 filters and dropout from 0.05 to 0.5: 1.81 million parameters with a bias in each convolution."""
    spec = NetworkSpec("unet", n_classes=3, base=16, depth=5, norm="batch", dropout=1.0)
    count = size(shapes(spec)["params"])
    biases = 2 * (16 + 32 + 64 + 128 + 256) + 2 * (128 + 64 + 32 + 16)  # ours has none before a norm
    assert round((count + biases) / 1e6, 2) == 1.81


@pytest.mark.parametrize("name", NETWORKS)
def test_dropout_is_for_training_alone(name):
    """The U-Net drops by its key in training; without dropout, and after it, no key matters. The FCN never drops."""
    spec = NetworkSpec(name, n_classes=1, base=2, depth=2, norm="group", dropout=1.0)
    network = build_network(spec)
    image = jax.random.normal(jax.random.key(2), (2, 8, 8, 1))
    variables = random_variables(network, 8)

    @jax.jit
    def outputs(key):
        rngs = {"dropout": key}
        dry = build_network(dataclasses.replace(spec, dropout=0.0)).apply(variables, image, True, rngs=rngs)
        return network.apply(variables, image, True, rngs=rngs), dry, network.apply(variables, image)

    (train_a, dry, after), (train_b, *_) = outputs(jax.random.key(3)), outputs(jax.random.key(4))
    np.testing.assert_allclose(dry, after, atol=1e-5)
    assert np.allclose(train_a, train_b) == (name == "fcn")


def test_batch_statistics_follow_the_batch():
    """Momentum 0.9: after one batch a tenth of its mean; the inference output uses the running values."""
    network = build_network(UNET)
    image = 3 + jax.random.normal(jax.random.key(2), (4, 8, 8, 1))
    variables = jax.jit(network.init)(RNGS, image)
    update = jax.jit(lambda v: network.apply(v, image, True, rngs=RNGS, mutable=["batch_stats"]))
    kernel = variables["params"]["DoubleConv_0"]["ConvNorm_0"]["Conv_0"]["kernel"]
    first = nn.Conv(2, (3, 3), use_bias=False).apply({"params": {"kernel": kernel}}, image)
    stats = update(variables)[1]["batch_stats"]["DoubleConv_0"]["ConvNorm_0"]["Norm_0"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], 0.1 * first.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * first.var((0, 1, 2)), rtol=1e-4)


def test_pooling_and_upsampling_are_those_of_the_field():
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 3))
    np.testing.assert_array_equal(max_pool_2x2(x), nn.max_pool(x, (2, 2), (2, 2)))
    np.testing.assert_array_equal(upsample_nearest(x, 3), np.repeat(np.repeat(x, 3, 1), 3, 2))
