"""The supervised method: all streams are one batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import GRID, UNET, assert_equal_trees, heart_slices

from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.inputs.slices import Batch, make_batch
from semiqc_jax.models.build import build_network
from semiqc_jax.training.losses import segmentation_loss
from semiqc_jax.training.methods.supervised import Supervised


@pytest.fixture(scope="module")
def batch():
    keys = jax.random.split(jax.random.key(0), 4)
    return jax.jit(make_batch, static_argnums=(2, 3))(keys, heart_slices(4), GRID, AUGMENTATIONS["none"])


def test_two_streams_are_one_batch(batch):
    """Loss, metrics and batch statistics; the network's own loss on the joined batch is the reference."""
    method = Supervised(build_network(UNET), {"labelled": 2, "pseudo": 2})
    state = jax.jit(method.init)(jax.random.key(1), batch.image)
    loss = jax.jit(method.loss)
    parts = {"labelled": jax.tree.map(lambda x: x[:2], batch), "pseudo": jax.tree.map(lambda x: x[2:], batch)}
    key, step = jax.random.key(2), jnp.int32(0)
    value, (sums, aux) = loss(state.params, state.aux, parts, key, step)
    together, (joined_sums, joined_aux) = loss(state.params, state.aux, {"labelled": batch}, key, step)
    assert_equal_trees((value, sums, aux), (together, joined_sums, joined_aux))
    variables = method.infer(state)
    logits, updated = jax.jit(
        lambda v: method.network.apply(v, batch.image, True, rngs={"dropout": key}, mutable=["batch_stats"])
    )(variables)
    expected, _ = segmentation_loss(logits, batch.label, batch.labelled, None)
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), aux, updated)


def test_what_is_not_drawn_teaches_nothing(batch):
    """With nothing drawn the loss does not depend on the network."""
    method = Supervised(build_network(UNET), {"labelled": 4})
    state = jax.jit(method.init)(jax.random.key(1), batch.image)
    blank = Batch(batch.image, jnp.zeros_like(batch.label), jnp.zeros_like(batch.labelled))
    gradient = jax.jit(jax.grad(lambda p: method.loss(p, state.aux, {"labelled": blank}, jax.random.key(0), 0)[0]))
    assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(gradient(state.params))) < 1e-6
