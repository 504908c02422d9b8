"""What a training method is: how one update learns from its streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jaxtyping import Array, Float, PRNGKeyArray

from semiqc_jax.inputs.slices import Batch

PyTree = Any
Sums = dict[str, tuple[Array, Array]]  # metric -> (numerator, denominator), summed over devices


class MethodState(NamedTuple):
    """What a method carries: `params` are what the optimiser updates, `aux` what the method updates itself."""

    params: PyTree
    aux: PyTree  # batch statistics, EMA teachers, ramps


class Method(Protocol):
    """A training method. Every function is pure and runs per device under a named axis."""

    @property
    def streams(self) -> Mapping[str, int]:
        """Examples of each stream in a global batch."""
        ...

    def init(self, key: PRNGKeyArray, example: Float[Array, "B S S W"]) -> MethodState:
        """Fresh parameters and auxiliary state."""
        ...

    def loss(
        self, params: PyTree, aux: PyTree, batch: Mapping[str, Batch], key: PRNGKeyArray, step: Array
    ) -> tuple[Array, tuple[Sums, PyTree]]:
        """Loss of the global batch (the same on every device), metric sums and the new auxiliary state."""
        ...

    def infer(self, state: MethodState) -> PyTree:
        """Variables that the network is applied with after training."""
        ...
