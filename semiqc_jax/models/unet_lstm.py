"""Recurrent U-Net for cine series (Bai et al. 2018, MICCAI, arXiv 1808.00273)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from semiqc_jax.models.network import Network
from semiqc_jax.models.unet import UNetFeatures


class ConvLSTM(nn.Module):
    """Convolutional LSTM with 3 x 3 kernels and no peepholes (Shi et al. 2015), unrolled over the frames.

    What a frame adds to the gates does not depend on the state: `gates` is computed for all frames at once.
    """

    features: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.from_frame = nn.Conv(4 * self.features, (3, 3), dtype=self.dtype)
        self.from_state = nn.Conv(4 * self.features, (3, 3), use_bias=False, dtype=self.dtype)

    def gates(self, x: Float[Array, "N H W F"]) -> Float[Array, "N H W 4*G"]:
        """What each frame adds to the input, forget and output gates and to the candidate."""
        return self.from_frame(x)

    def __call__(self, gates: Sequence[Float[Array, "B H W 4*G"]]) -> Float[Array, "B H W G"]:
        """The state after the last frame; the first one finds an empty memory. 1 is added to the forget gate."""
        cell, state = _update(gates[0], jnp.float32(0))
        for frame in gates[1:]:
            cell, state = _update(frame + self.from_state(state), cell)
        return state


def _update(gates: Float[Array, "B H W 4*G"], cell: Array) -> tuple[Array, Array]:
    write, keep, show, candidate = jnp.split(gates.astype(jnp.float32), 4, axis=-1)
    cell = nn.sigmoid(keep + 1) * cell + nn.sigmoid(write) * jnp.tanh(candidate)
    return cell, nn.sigmoid(show) * jnp.tanh(cell)


class UNetLSTM(Network):
    """U-Net features of each frame, then a ConvLSTM from each end of the window to its middle frame.

    A bidirectional ConvLSTM whose output is read at the middle frame alone: each direction stops there. Its states
    have `base` channels (the published 16 for base 16). The features are those of our U-Net, which pools where the
    published one has convolutions of stride 2.

    The paper trains on labels that registration carried from drawn frames to their neighbours, and weighs a frame at
    distance d by (1 - d / R)**r. Here every window is centred on a frame that has a label of its own, d = 0: no
    other weight occurs.
    """

    dropout: float = 1.0  # scale of the U-Net's published rates; 0 turns dropout off

    def setup(self) -> None:
        self.frame_features = UNetFeatures(
            self.n_classes, self.base, self.depth, self.norm, self.dropout, self.dtype, self.axis_name
        )
        self.earlier, self.later = ConvLSTM(self.base, self.dtype), ConvLSTM(self.base, self.dtype)
        self.output = nn.Conv(self.n_classes + 1, (3, 3), dtype=self.dtype)

    def __call__(self, x: Float[Array, "B H W T"], train: bool = False) -> Float[Array, "B H W C+1"]:
        batch, height, width, window = x.shape
        frames = jnp.moveaxis(x, -1, 0).reshape(window * batch, height, width, 1)
        features = self.frame_features(frames, train)
        half = window // 2
        earlier = jnp.split(self.earlier.gates(features[: (half + 1) * batch]), half + 1)
        later = jnp.split(self.later.gates(features[half * batch :]), half + 1)
        return self._middle(earlier, later[::-1])

    def windows(self, frames: Float[Array, "N H W"], index: Int[Array, "B T"]) -> Float[Array, "B H W C+1"]:
        """Logits of the middle frame of windows of `frames`, after training; each frame is encoded once."""
        features = self.frame_features(frames[..., None], False)
        earlier, later = self.earlier.gates(features), self.later.gates(features)
        half = index.shape[1] // 2
        at = index.T
        return self._middle([earlier[i] for i in at[: half + 1]], [later[i] for i in at[half:][::-1]])

    def _middle(self, earlier: Sequence[Array], later: Sequence[Array]) -> Array:
        both = jnp.concatenate([self.earlier(earlier), self.later(later)], axis=-1)
        return self.output(both).astype(jnp.float32)
