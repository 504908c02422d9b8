"""What the segmentation networks share: their settings, and how they see frames of a cine."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Network(nn.Module):
    """A network that labels the middle one of W frames, which are its input's channels in order of time.

    `__call__` takes separate windows; `windows` takes windows that share frames, as those of a cine do.
    """

    n_classes: int  # foreground classes C
    base: int = 16  # filters of the first level
    depth: int = 5
    norm: str = "batch"
    dropout: float = 0.0
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @property
    def divisor(self) -> int:
        """Height and width must be multiples of this."""
        return 2 ** (self.depth - 1)

    def __call__(self, x: Float[Array, "B H W T"], train: bool = False) -> Float[Array, "B H W C+1"]:
        """Logits of the middle frame of each window."""
        raise NotImplementedError

    def windows(self, frames: Float[Array, "N H W"], index: Int[Array, "B T"]) -> Float[Array, "B H W C+1"]:
        """Logits of the middle frame of windows of `frames`, after training."""
        return self(jnp.moveaxis(frames[index], 1, -1))
