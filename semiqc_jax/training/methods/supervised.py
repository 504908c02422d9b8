"""The supervised step: labels and pseudo-labels alike are targets.

With the selector `none` this is supervised training, with `all` self-training (Bai et al. 2017) and with
`quality` semiQCSeg (Ruijsink et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from semiqc_jax.inputs.slices import Batch
from semiqc_jax.training.losses import segmentation_loss
from semiqc_jax.training.methods.method import MethodState, PyTree, Sums


@dataclass(frozen=True)
class Supervised:
    """One network, one loss over all streams together."""

    network: nn.Module
    streams: Mapping[str, int]
    axis_name: str | None = None

    def init(self, key: PRNGKeyArray, example: Float[Array, "B S S W"]) -> MethodState:
        """Fresh parameters and batch statistics."""
        variables: dict[str, Any] = dict(self.network.init({"params": key, "dropout": key}, example, False))
        return MethodState(variables.pop("params"), variables)

    def loss(
        self, params: PyTree, aux: PyTree, batch: Mapping[str, Batch], key: PRNGKeyArray, step: Array
    ) -> tuple[Array, tuple[Sums, PyTree]]:
        """Cross-entropy and Dice over labelled and pseudo-labelled slices in one batch."""
        parts = [batch[name] for name in sorted(batch)]
        joined = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
        logits, updated = self.network.apply(
            {"params": params, **aux},
            joined.image,
            True,
            rngs={"dropout": key},
            mutable=list(aux),
        )
        loss, sums = segmentation_loss(logits, joined.label, joined.labelled, self.axis_name)
        return loss, (sums, updated)

    def infer(self, state: MethodState) -> PyTree:
        """Parameters and running statistics."""
        return {"params": state.params, **state.aux}
