"""Augmentation: what it must leave alone, what it must move together."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import dice, heart

from semiqc_jax.inputs.augment import AUGMENTATIONS, Augmentation, augment_slice
from semiqc_jax.inputs.grid import Geometry, Grid, standardise

GRID = Grid(32, 1.0)
KEYS = jax.random.split(jax.random.key(0), 64)
PLACE = AUGMENTATIONS["strong"]._replace(log_gamma=0, brightness=0, log_contrast=0, bias_field=0, noise=0)


@functools.partial(jax.jit, static_argnums=(3, 4))
def augmented(keys, image, label, grid, spec, pixel_mm=(1.0, 1.0)):
    """Images [K, S, S] and labels [K, S, S] of one slice, a window of one frame, under many keys."""
    frames, target = augmented_window(keys, image[None], label, grid, spec, pixel_mm)
    return frames[..., 0], target


@functools.partial(jax.jit, static_argnums=(3, 4))
def augmented_window(keys, frames, label, grid, spec, pixel_mm=(1.0, 1.0)):
    """Images [K, S, S, W] and labels [K, S, S] of one slice and its window under many keys."""
    where = Geometry(jnp.array(label.shape, jnp.float32), jnp.array(pixel_mm, jnp.float32))
    return jax.vmap(lambda key: augment_slice(key, frames, label, where, grid, spec))(keys)


def noise_slice(shape=(32, 32)):
    rng = np.random.default_rng(0)
    return rng.integers(1, 256, shape, np.uint8), rng.integers(0, 4, shape, np.uint8)


def test_without_augmentation_the_grid_shows_the_slice():
    """Where grid and slice coincide nothing is resampled."""
    image, label = noise_slice()
    result, target = augmented(KEYS[:2], image, label, GRID, AUGMENTATIONS["none"])
    for one in result:
        np.testing.assert_allclose(one, standardise(image / np.float32(255)), atol=1e-5)
    np.testing.assert_array_equal(target, [label, label])
    assert target.dtype == jnp.int32


def test_a_grid_within_a_slice_is_its_centre():
    image, label = noise_slice((40, 36))
    result, target = augmented(KEYS[:1], image, label, GRID, AUGMENTATIONS["none"])
    np.testing.assert_array_equal(target[0], label[4:36, 2:34])
    np.testing.assert_allclose(result[0], standardise(image[4:36, 2:34] / np.float32(255)), atol=1e-5)


def test_flips_are_mirror_images():
    """All four appear, each is exact, and image and label are mirrored alike."""
    image, label = noise_slice()
    result, target = augmented(KEYS, image, label, GRID, Augmentation(flip=True))
    shown = np.asarray(standardise(image / np.float32(255)))
    count = [0] * 4
    for one, its_label in zip(np.asarray(result), target, strict=True):
        mirrored = [(np.flip(shown, axes), np.flip(label, axes)) for axes in ((), (0,), (1,), (0, 1))]
        (which,) = [i for i, (_, y) in enumerate(mirrored) if np.array_equal(y, its_label)]
        np.testing.assert_allclose(one, mirrored[which][0], atol=1e-5)
        count[which] += 1
    assert min(count) > 4  # 16 of 64 are expected of each


@pytest.mark.parametrize("pixel_mm", [(1.0, 1.0), (0.8, 1.6)])
def test_image_and_label_move_together(pixel_mm):
    """An image that is its label stays it up to the border, whatever the place."""
    shape = tuple(int(48 / size) for size in pixel_mm)
    _, label = heart(shape, pixel_mm, radius_mm=9)
    mask = (label > 0).astype(np.uint8)
    image, target = augmented(KEYS, mask * np.uint8(255), mask, GRID, PLACE, pixel_mm)
    middle = (image.min((1, 2), keepdims=True) + image.max((1, 2), keepdims=True)) / 2
    overlap = [dice(a, b) for a, b in zip(np.asarray(image > middle), np.asarray(target > 0), strict=True)]
    assert min(overlap) > 0.93
    # ... and the places do differ: about the area of each and its centre.
    area = np.asarray(target > 0).sum((1, 2))
    assert area.max() > 1.5 * area.min()


def test_size_follows_the_scale():
    """Scale alone: the area of a disc changes by exp(-2 s) with s within +- 0.3; it stays at the centre."""
    _, label = heart((48, 48), radius_mm=8)
    mask = ((label == 1) | (label == 2)).astype(np.uint8)
    _, target = augmented(KEYS, mask, mask, Grid(48, 1.0), Augmentation(log_scale=0.3))
    ratio = np.asarray(target).sum((1, 2)) / mask.sum()
    assert 0.5 < ratio.min() < 0.7
    assert 1.5 < ratio.max() < 1.95
    rows = np.asarray(target).sum(2)
    np.testing.assert_allclose(rows, rows[:, ::-1])


def test_shifts_are_in_millimetres():
    """A shift within +- 6 mm on a grid of 2 mm moves the label by up to 3 grid pixels, and by all of them."""
    _, label = heart((64, 64), radius_mm=8)
    mask = ((label == 1) | (label == 2)).astype(np.uint8)
    _, target = augmented(KEYS, mask, mask, Grid(32, 2.0), Augmentation(shift_mm=6.0))
    index = np.arange(32) - 15.5
    moved = np.asarray(target).sum(2) @ index / np.asarray(target).sum((1, 2))
    assert 2.5 < np.abs(moved).max() < 3.1


def test_the_key_decides():
    image, label = noise_slice()
    first = augmented(KEYS[:3], image, label, GRID, AUGMENTATIONS["strong"])
    again = augmented(KEYS[:3], image, label, GRID, AUGMENTATIONS["strong"])
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.allclose(first[0][0], first[0][1])


def test_looks_change_the_image_alone():
    image, label = heart((32, 32))
    looks = AUGMENTATIONS["strong"]._replace(rotation_deg=0, log_scale=0, shift_mm=0, flip=False)
    result, target = augmented(KEYS[:8], image, label, GRID, looks)
    np.testing.assert_array_equal(target, np.broadcast_to(label, target.shape))
    np.testing.assert_allclose(result.mean((1, 2)), 0, atol=1e-5)
    assert np.asarray(result.std(0)).min() > 0
    assert np.isfinite(np.asarray(result)).all()


def test_the_reach_covers_every_place():
    """Along its axes the grid never reaches beyond `reach_mm` of the slice's centre without rotation."""
    assert AUGMENTATIONS["none"].reach_mm(GRID) == 16
    spec = PLACE._replace(rotation_deg=0)
    shape = tuple(2 * int(np.ceil(spec.reach_mm(GRID))) for _ in range(2))
    _, target = augmented(KEYS, np.full(shape, 7, np.uint8), np.ones(shape, np.uint8), GRID, spec)
    assert np.all(np.asarray(target) == 1)  # 0 would be outside the slice


def test_the_frames_of_a_window_change_together():
    """Each frame comes out as it would alone by the same key; only noise is its own."""
    rng = np.random.default_rng(1)
    frames, label = rng.integers(0, 256, (3, 32, 32), np.uint8), noise_slice()[1]
    strong = AUGMENTATIONS["strong"]
    window, target = augmented_window(KEYS[:4], frames, label, GRID, strong._replace(noise=0))
    for i, frame in enumerate(frames):
        alone, its_target = augmented(KEYS[:4], frame, label, GRID, strong._replace(noise=0))
        np.testing.assert_allclose(window[..., i], alone, atol=1e-4)
        np.testing.assert_array_equal(target, its_target)
    same = np.broadcast_to(frames[0], frames.shape)
    noisy, _ = augmented_window(KEYS[:4], same, label, GRID, strong)
    assert not np.allclose(noisy[..., 0], noisy[..., 1], atol=1e-3)
