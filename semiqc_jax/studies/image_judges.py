"""Judges that look at the image instead of downstream: predicted Dice, and reverse classification accuracy.

Both are small, honest forms of published methods, made to run in minutes on two CPU cores.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, UInt8
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from semiqc_jax.studies.network_tables import GridCohort, NetworkTables, mask_agreement

PLACES = (0.25, 0.5, 0.75)  # of the stack, either end first: the slices that the image judge sees
COARSE = 2  # pixels are averaged in squares of this side
UPDATES, BATCH, RATE = 240, 24, 2e-3
REFERENCES = 3  # of the network's labelled patients, for reverse classification
NEIGHBOURS, REACH = 5, 24  # pixels around the heart's centre
PIXELS_PER_SD = 6.0  # one standard deviation of the grey levels is as far as this many pixels


def image_inputs(tables: NetworkTables, cohort: GridCohort) -> Float[NDArray, "N P S S K"]:
    """Image and one-hot mask of P = frames x 3 slices of each row, at half resolution."""
    n_classes, found = len(tables.classes), []
    for subject, mask in zip(tables.subject_id, tables.mask, strict=True):
        at = cohort.index[str(subject)]
        z = np.round(np.array(PLACES) * (cohort.n_slices[at] - 1)).astype(int)
        image, label = cohort.image[at][:, z] / 255.0, mask[: cohort.image.shape[1], z]
        parts = [image, *(label == c + 1 for c in range(n_classes))]
        found.append(np.stack(parts, -1).reshape(-1, *image.shape[2:], n_classes + 1))
    whole = np.asarray(found, np.float32)
    n, p, s, _, k = whole.shape
    return whole.reshape(n, p, s // COARSE, COARSE, s // COARSE, COARSE, k).mean((3, 5))


class _ImageNetwork(nn.Module):
    outputs: int

    @nn.compact
    def __call__(self, x: Float[Array, "N P S S K"]) -> Float[Array, "N O"]:
        n, p = x.shape[:2]
        x = x.reshape(n * p, *x.shape[2:])
        for width in (8, 16, 24):
            x = nn.relu(nn.Conv(width, (3, 3), (2, 2))(x))
        x = x.reshape(n, p, -1, x.shape[-1])
        x = jnp.concatenate([x.mean((1, 2)), x.max(2).mean(1)], -1)
        return nn.Dense(self.outputs)(nn.relu(nn.Dense(32)(x)))


def predicted_dice(
    inputs: Float[NDArray, "N P S S K"], class_dice: Float[NDArray, "N C"], train: Bool[NDArray, " N"]
) -> Float[NDArray, " N"]:
    """Mean over classes of the Dice that a small convolutional network predicts from image and mask.

    After Robinson 2018 (MICCAI, "Real-time prediction of segmentation quality"), with three slices a frame.
    """
    network = _ImageNetwork(class_dice.shape[1])
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, UPDATES))
    params = jax.jit(network.init)(jax.random.key(0), inputs[:1])
    moments, rng, rows = optimiser.init(params), np.random.default_rng(0), np.flatnonzero(train)
    targets = np.nan_to_num(class_dice).astype(np.float32)

    @jax.jit
    def update(params: Any, moments: Any, x: Array, y: Array) -> tuple[Any, Any]:
        gradient = jax.grad(lambda p: jnp.mean((jnp.asarray(network.apply(p, x)) - y) ** 2))(params)
        step, moments = optimiser.update(gradient, moments, params)
        return optax.apply_updates(params, step), moments

    for _ in range(UPDATES):
        drawn = rng.choice(rows, BATCH)
        x = inputs[drawn]
        x = x[:, :, ::-1] if rng.random() < 0.5 else x
        x = x[:, :, :, ::-1] if rng.random() < 0.5 else x
        params, moments = update(params, moments, x, targets[drawn])
    judge = jax.jit(partial(network.apply, params))
    parts = [np.asarray(judge(inputs[at : at + 256])) for at in range(0, len(inputs), 256)]
    return np.concatenate(parts).mean(1)


def reverse_accuracy(tables: NetworkTables, cohort: GridCohort) -> Float[NDArray, " N"]:
    """Reverse classification accuracy: the judged mask as the only atlas, tried on patients with a reference.

    Valindria 2017 (IEEE Trans Med Imaging 36:1597), without registration: the pixels of the judged image, each a
    place relative to the heart's centre and a grey level, label those of a reference patient at the same height of
    the stack by their nearest neighbours. The score is the best mean Dice over `REFERENCES` patients that the
    network learned from.
    """
    found = np.zeros(len(tables.dice))
    for n, subject in enumerate(tables.subject_id):
        at = cohort.index[str(subject)]
        ids = tables.labelled_ids[tables.network[n]]
        references = [cohort.index[i] for i in ids if i in cohort.index][:REFERENCES]
        mask = tables.mask[n, : cohort.image.shape[1], : cohort.image.shape[2]]
        atlas = _pixels(cohort.image[at], mask, int(cohort.n_slices[at]))
        scores = [0.0]
        for other in references:
            image, label, number = cohort.image[other], cohort.label[other], int(cohort.n_slices[other])
            wanted = _pixels(image, label, number)
            guessed = [_vote(a, b) for a, b in zip(atlas, wanted, strict=True)]
            truth = [b[1] for b in wanted]
            a, b = (np.concatenate(x).reshape(1, 1, 1, -1).astype(np.uint8) for x in (guessed, truth))
            scores.append(mask_agreement(a, b, len(tables.classes)))
        found[n] = max(scores)
    return found


def _pixels(image: UInt8[NDArray, "T Z S S"], label: NDArray, n_slices: int) -> list[tuple[NDArray, NDArray]]:
    """(place and grey level [P, 3], label [P]) around the heart on three slices of each frame."""
    size, z = image.shape[-1], np.round(np.array(PLACES) * (n_slices - 1)).astype(int)
    heart = np.argwhere((label > 0).any((0, 1)))
    middle = np.round(heart.mean(0)).astype(int) if len(heart) else np.array([size // 2] * 2)
    low, high = np.maximum(middle - REACH, 0), np.minimum(middle + REACH, size)
    box = tuple(slice(a, b, COARSE) for a, b in zip(low, high, strict=True))
    y, x = np.mgrid[box]
    place = np.stack([y - middle[0], x - middle[1]], -1).reshape(-1, 2)
    found = []
    for t, k in np.ndindex(len(image), len(z)):
        grey = image[t, z[k]][box].reshape(-1, 1).astype(float)
        grey = PIXELS_PER_SD * (grey - grey.mean()) / max(float(grey.std()), 1.0)
        found.append((np.concatenate([place, grey], 1), label[t, z[k]][box].ravel()))
    return found


def _vote(atlas: tuple[NDArray, NDArray], wanted: tuple[NDArray, NDArray]) -> NDArray:
    _, nearest = cKDTree(atlas[0]).query(wanted[0], k=NEIGHBOURS)
    votes = atlas[1][nearest]
    counts = np.stack([(votes == c).sum(1) for c in range(int(votes.max(initial=0)) + 1)], 1)
    return counts.argmax(1)
