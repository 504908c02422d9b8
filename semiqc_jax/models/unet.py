"""U-Net of the field's semi-supervised benchmark (SSL4MIS; Ronneberger et al. 2015)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from semiqc_jax.models.layers import ConvNorm, max_pool_2x2, upsample_nearest
from semiqc_jax.models.network import Network

DROPOUT = (0.05, 0.1, 0.2, 0.3, 0.5)  # encoder level by level, the deepest last


class DoubleConv(nn.Module):
    """Two (3 x 3 convolution, norm, leaky ReLU), with dropout between them."""

    features: int
    dropout: float
    norm: str
    dtype: Any
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Float[Array, "B H W F"], train: bool) -> Float[Array, "B H W G"]:
        conv = {"norm": self.norm, "negative_slope": 0.01, "dtype": self.dtype, "axis_name": self.axis_name}
        x = ConvNorm(self.features, **conv)(x, train)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return ConvNorm(self.features, **conv)(x, train)


class UNetFeatures(Network):
    """Encoder and decoder of `depth` levels with `base * 2**level` filters and skip connections, no output layer.

    Upsampling is a 1 x 1 convolution at the low resolution followed by nearest-neighbour repetition, which
    commute; it trains several times faster on CPU than a transposed convolution.
    """

    dropout: float = 1.0  # scale of the published rates; 0 turns dropout off

    @nn.compact
    def __call__(self, x: Float[Array, "B H W T"], train: bool = False) -> Float[Array, "B H W base"]:
        return self.features(x, train)

    @nn.nowrap  # its layers are those of the module that calls it
    def features(self, x: Float[Array, "B H W T"], train: bool) -> Float[Array, "B H W base"]:
        """The features at full size that the output layer sees."""
        rates = [self.dropout * rate for rate in DROPOUT[: self.depth - 1]] + [self.dropout * DROPOUT[-1]]
        block = {"norm": self.norm, "dtype": self.dtype, "axis_name": self.axis_name}
        skips = []
        for level in range(self.depth):
            if level:
                skips.append(x)
                x = max_pool_2x2(x)
            x = DoubleConv(self.base * 2**level, rates[level], **block)(x, train)
        for level in reversed(range(self.depth - 1)):
            x = nn.Conv(self.base * 2**level, (1, 1), dtype=self.dtype)(x)
            x = jnp.concatenate([skips[level], upsample_nearest(x, 2)], axis=-1)
            x = DoubleConv(self.base * 2**level, 0.0, **block)(x, train)
        return x


class UNet(UNetFeatures):
    """The features and a 3 x 3 output convolution; frames of a window are input channels."""

    @nn.compact
    def __call__(self, x: Float[Array, "B H W T"], train: bool = False) -> Float[Array, "B H W C+1"]:
        x = self.features(x, train)
        return nn.Conv(self.n_classes + 1, (3, 3), dtype=self.dtype)(x).astype(jnp.float32)
