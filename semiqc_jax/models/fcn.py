"""Fully convolutional network of ukbb_cardiac (Bai et al. 2018, JCMR 20:65)."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from semiqc_jax.models.layers import ConvNorm
from semiqc_jax.models.network import Network

CONVOLUTIONS = (2, 2, 3, 3, 3)  # 3 x 3 convolutions a level


class FCN(Network):
    """VGG-like encoder whose levels are each brought to 2 * base channels and full size, then joined.

    Downsampling is by convolutions of stride 2, upsampling bilinear after each level's 1 x 1 convolution; two
    more 1 x 1 convolutions of 4 * base channels stand between the concatenation and the output. Frames of a window are
    input channels.
    """

    dropout: float = 0.0  # not used: the published network has none

    @nn.compact
    def __call__(self, x: Float[Array, "B H W T"], train: bool = False) -> Float[Array, "B H W C+1"]:
        conv = {"norm": self.norm, "dtype": self.dtype, "axis_name": self.axis_name}
        size = x.shape[1:3]
        branches = []
        for level in range(self.depth):
            for i in range(CONVOLUTIONS[level]):
                stride = 2 if level and i == 0 else 1
                x = ConvNorm(self.base * 2**level, stride=stride, **conv)(x, train)
            branch = ConvNorm(2 * self.base, kernel=1, **conv)(x, train)
            shape = (x.shape[0], *size, branch.shape[-1])
            branches.append(branch if level == 0 else jax.image.resize(branch, shape, "bilinear"))
        x = jnp.concatenate(branches, axis=-1)
        for _ in range(2):
            x = ConvNorm(4 * self.base, kernel=1, **conv)(x, train)
        return nn.Conv(self.n_classes + 1, (1, 1), dtype=self.dtype)(x).astype(jnp.float32)
