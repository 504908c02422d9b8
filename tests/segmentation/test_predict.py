"""A known network in place of a trained one: what goes in, what comes back, and where it lies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import GRID, UNET, dice, heart, heart_slices

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.inputs.augment import AUGMENTATIONS
from semiqc_jax.inputs.grid import Geometry, Grid
from semiqc_jax.inputs.slices import make_batch
from semiqc_jax.segmentation import predict as module
from semiqc_jax.segmentation.predict import Model, make_predict, mirrored_predictions


@pytest.fixture
def fake(monkeypatch):
    """Put a function frames [N, S, S] -> logits [N, S, S, 4] in the place of the network; windows hold one frame."""

    class Network:
        apply = None

    def replace(logits):
        Network.apply = staticmethod(lambda variables, frames, windows, method: logits(frames)[windows[:, 0]])
        monkeypatch.setattr(module, "build_network", lambda spec: Network)

    return replace


def model(grid, flip_average=False):
    return Model(UNET, {}, grid, SHORT_AXIS, flip_average)


def geometry(*shapes_and_pixels):
    return Geometry(*(np.array(x, np.float32) for x in zip(*shapes_and_pixels, strict=True)))


def bright(image):
    """Class 1 above the middle of the intensities, background below; the others nowhere."""
    middle = (image.min((1, 2), keepdims=True) + image.max((1, 2), keepdims=True)) / 2
    nowhere = jnp.full_like(image, -30)
    return jnp.stack([middle - image, image - middle, nowhere, nowhere], -1)


def each_alone(count):
    """Windows of one frame."""
    return np.arange(count)[:, None]


@pytest.mark.parametrize("pixel_mm", [(1.5, 1.5), (0.9, 1.8), (2.2, 1.3)])
def test_a_disc_comes_back_to_its_pixels(fake, pixel_mm):
    """Off the centre, uneven pixels, a canvas larger than the slice."""
    fake(bright)
    shape, radius, centre = (int(90 / pixel_mm[0]), int(100 / pixel_mm[1])), 22.0, (6.0, -9.0)
    _, label = heart(shape, pixel_mm, radius, centre)
    disc = (label == 1) | (label == 2)
    image = np.zeros((1, 128, 128), np.uint8)
    image[0, : shape[0], : shape[1]] = 30 + 200 * disc
    grid = Grid(64, 1.5)
    result, statistics = jax.jit(make_predict(model(grid)))({}, image, geometry((shape, pixel_mm)), each_alone(1))
    assert result.shape == image.shape
    assert result.dtype == jnp.uint8
    assert dice(np.asarray(result)[0, : shape[0], : shape[1]] == 1, disc) > 0.97
    assert float(statistics["area_mm2"][0, 0]) == pytest.approx(np.pi * radius**2, rel=0.03)
    np.testing.assert_allclose(statistics["centroid_mm"][0, 0], centre, atol=0.5)


def test_outside_the_grid_is_background(fake):
    """A grid of 24 mm on a slice of 40 mm: 24 pixels of 1 mm a side are class 2, by hand."""
    fake(lambda image: jnp.zeros((*image.shape, 4)).at[..., 2].set(9))
    image = np.full((1, 64, 64), 7, np.uint8)
    label, _ = jax.jit(make_predict(model(Grid(16, 1.5))))({}, image, geometry(((40, 40), (1.0, 1.0))), each_alone(1))
    expected = np.zeros((40, 40))
    expected[8:32, 8:32] = 2
    np.testing.assert_array_equal(label[0, :40, :40], expected)


def test_mirrored_slices_are_averaged(fake):
    """A network that knows left from right, averaged by hand over the four mirror images."""
    slope = jnp.arange(4.0)[:, None] * 3 + jnp.arange(4.0)

    def logits(image):
        return jnp.stack([image * slope, *[jnp.zeros(image.shape)] * 3], -1)

    fake(logits)
    image = jax.random.normal(jax.random.key(0), (2, 4, 4))
    plain = mirrored_predictions(model(Grid(4, 1.0)), {}, image, each_alone(2)).probability
    np.testing.assert_allclose(plain, jax.nn.softmax(logits(image)), rtol=1e-6)
    averaged = mirrored_predictions(model(Grid(4, 1.0), flip_average=True), {}, image, each_alone(2)).probability
    by_hand = np.zeros((2, 4, 4, 4))
    for rows in (1, -1):
        for columns in (1, -1):
            mirrored = jax.nn.softmax(logits(image[:, ::rows, ::columns]))
            by_hand += np.asarray(mirrored)[:, ::rows, ::columns] / 4
    np.testing.assert_allclose(averaged, by_hand, rtol=1e-5)
    assert not np.allclose(averaged, plain)


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
def test_mirrored_images_agree_as_much_as_the_images(fake, axes):
    """Flips are a group: a mirrored image has the same four predictions, each mirrored."""
    slopes = jax.random.normal(jax.random.key(1), (4, 4, 4))
    fake(lambda image: image[..., None] * slopes)
    image, flipping = jax.random.normal(jax.random.key(0), (3, 4, 4)), model(Grid(4, 1.0), flip_average=True)
    one, other = (mirrored_predictions(flipping, {}, x, each_alone(3)) for x in (image, jnp.flip(image, axes)))
    for name in ("probability", "votes", "variance"):
        np.testing.assert_allclose(getattr(other, name), jnp.flip(getattr(one, name), axes), atol=1e-6)
    assert 0 < float(((one.votes > 0) & (one.votes < 4)).mean()) < 1


def test_flips_reach_the_evidence(fake):
    """The upper half is class 1 in half of the predictions, the lower in the other: pairs share a third."""
    logits = jnp.zeros((16, 16, 4)).at[..., 1].set(jnp.where(jnp.arange(16) < 8, 5.0, -5.0)[:, None])
    logits = logits.at[..., 2:].set(-9.0)
    fake(lambda image: jnp.broadcast_to(logits, (*image.shape, 4)))
    image, where = np.full((1, 16, 16), 9, np.uint8), geometry(((16, 16), (2.0, 2.0)))
    found = make_predict(model(Grid(16, 2.0), flip_average=True))({}, image, where, each_alone(1))[1]
    half = 16 * 8 * 4
    assert found["flips"] == 4
    np.testing.assert_allclose(found["flip_area_mm2"][0], [half, 0, 0])
    np.testing.assert_allclose(found["flip_overlap_mm2"][0], [half / 3, 0, 0], rtol=1e-6)
    assert found["flip_variance"] > 0.4
    alone = make_predict(model(Grid(16, 2.0)))({}, image, where, each_alone(1))[1]
    assert alone["flips"] == 1
    assert not any(np.any(alone[name]) for name in ("flip_area_mm2", "flip_overlap_mm2", "flip_variance"))


def test_the_network_sees_what_it_was_trained_on(fake):
    """Inference prepares a slice exactly as training without augmentation does."""
    seen = []

    def look(image):
        seen.append(image)
        return jnp.zeros((*image.shape, 4))

    fake(look)
    rows = heart_slices(3)
    rows = rows._replace(image=np.maximum(rows.image, 1))
    keys = jax.random.split(jax.random.key(0), 3)

    @jax.jit
    def both(rows):
        make_predict(model(GRID))({}, rows.image[:, 0], rows.geometry, each_alone(3))
        return seen[0][..., None], make_batch(keys, rows, GRID, AUGMENTATIONS["none"]).image

    at_inference, in_training = both(rows)
    np.testing.assert_allclose(at_inference, in_training, atol=2e-5)
