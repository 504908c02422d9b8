"""Losses by hand: what is not drawn may hide in the background, and counts nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.training.losses import dice_sums, marginal_cross_entropy, segmentation_loss

DRAWN = jnp.ones((1, 3), bool)
LOSS_OF_BATCH = jax.jit(lambda *case: segmentation_loss(*case, None))
LOSS_OF_DEVICES = jax.jit(jax.vmap(lambda *case: segmentation_loss(*case, "d"), axis_name="d"))


def logits_of(*probabilities):
    """Logits [1, 1, P, C + 1] of P pixels."""
    return jnp.log(jnp.array(probabilities, jnp.float32))[None, None]


def random_case(seed, all_drawn=False):
    """Logits [2, 4, 5, 4], a label without the classes that are not drawn, and which are drawn [2, 3]."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (2, 4, 5, 4)).astype(np.float32)
    labelled = (rng.random((2, 3)) < 0.5) | all_drawn
    label = rng.integers(0, 4, (2, 4, 5))
    drawn = np.concatenate([np.ones((2, 1), bool), labelled], -1)
    return logits, label * drawn[np.arange(2)[:, None, None], label], labelled


def test_cross_entropy_by_hand():
    """Class 3 is not drawn: on background 0.5 or 0.1 is right together, on class 1 only its own 0.25."""
    logits = logits_of([0.5, 0.25, 0.15, 0.1], [0.5, 0.25, 0.15, 0.1])
    label = jnp.array([[[0, 1]]])
    entropy = marginal_cross_entropy(logits, label, jnp.array([[True, True, False]]))
    np.testing.assert_allclose(entropy[0, 0], [-np.log(0.6), -np.log(0.25)], rtol=1e-6)
    entropy = marginal_cross_entropy(logits, label, jnp.array([[True, False, False]]))
    np.testing.assert_allclose(entropy[0, 0], [-np.log(0.75), -np.log(0.25)], rtol=1e-6)
    entropy = marginal_cross_entropy(logits, label, jnp.zeros((1, 3), bool))
    np.testing.assert_allclose(entropy[0, 0, 0], 0, atol=1e-6)  # nothing drawn says nothing


@given(seed=st.integers(0, 99))
def test_with_every_class_drawn_it_is_the_plain_cross_entropy(seed):
    logits, label, labelled = random_case(seed, all_drawn=True)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    np.testing.assert_allclose(marginal_cross_entropy(logits, label, labelled), expected, atol=1e-5)


def test_a_hidden_class_is_not_pushed_down():
    """The gradient lifts what may be there in proportion and lowers the rest; it is finite for sure logits."""
    logits = logits_of([0.5, 0.25, 0.15, 0.1])
    drawn = jnp.array([[True, True, False]])

    def loss(x):
        return marginal_cross_entropy(x, jnp.zeros((1, 1, 1), int), drawn).sum()

    p = np.array([0.5, 0.25, 0.15, 0.1])
    expected = p - np.array([0.5 / 0.6, 0, 0, 0.1 / 0.6])
    np.testing.assert_allclose(jax.grad(loss)(logits)[0, 0, 0], expected, atol=1e-6)
    assert np.isfinite(jax.grad(loss)(jnp.array([[[[-80.0, 80, 0, 0]]]]))).all()


def test_dice_sums_by_hand():
    """Two slices of two pixels; class 2 is drawn on the first alone."""
    probability = jnp.array([[[[0.2, 0.8, 0], [0.5, 0.1, 0.4]]], [[[0.1, 0.6, 0.3], [1, 0, 0]]]])
    label = jnp.array([[[1, 2]], [[1, 0]]])
    numerator, denominator = dice_sums(probability, label, jnp.array([[True, True], [True, False]]))
    np.testing.assert_allclose(numerator, [2 * (0.8 + 0.6), 2 * 0.4], rtol=1e-6)
    np.testing.assert_allclose(denominator, [2 + 0.8 + 0.1 + 0.6, 1 + 0.4], rtol=1e-6)


def test_the_loss_by_hand():
    """(Cross-entropy + 1 - Dice) / 2, Dice smoothed by 1, and metric sums of the hard prediction."""
    logits = logits_of([0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1])
    label = jnp.array([[[0, 1]]])
    loss, sums = segmentation_loss(logits, label, DRAWN, None)
    entropy = -(np.log(0.7) + np.log(0.6)) / 2
    dice = np.mean([(2 * 0.6 + 1) / (1 + 0.7 + 1), 1 / (0.2 + 1), 1 / (0.2 + 1)])
    assert float(loss) == pytest.approx((entropy + 1 - dice) / 2, rel=1e-6)
    assert float(sums["cross_entropy"][0] / sums["cross_entropy"][1]) == pytest.approx(entropy, rel=1e-6)
    np.testing.assert_array_equal(sums["dice"][0], [2, 0, 0])
    np.testing.assert_array_equal(sums["dice"][1], [2, 0, 0])


@given(seed=st.integers(0, 99))
def test_devices_add_up_to_the_batch(seed):
    """A loss over a named axis is the loss of the whole batch, on each device."""
    case = random_case(seed)
    whole, sums = LOSS_OF_BATCH(*case)
    split, split_sums = LOSS_OF_DEVICES(*(x[:, None] for x in case))
    np.testing.assert_allclose(split, [whole, whole], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-5), split_sums, sums)


def test_a_perfect_prediction_costs_nothing():
    _, label, labelled = random_case(0, all_drawn=True)
    loss, _ = segmentation_loss(100 * jax.nn.one_hot(label, 4), label, labelled, None)
    assert float(loss) == pytest.approx(0, abs=1e-5)
