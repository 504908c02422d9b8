"""Networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jax.numpy as jnp

from semiqc_jax.models.fcn import FCN
from semiqc_jax.models.layers import NORMS
from semiqc_jax.models.network import Network
from semiqc_jax.models.unet import UNet
from semiqc_jax.models.unet_lstm import UNetLSTM

NETWORKS: Mapping[str, type[Network]] = MappingProxyType({"unet": UNet, "fcn": FCN, "unet_lstm": UNetLSTM})
DTYPES = MappingProxyType({"float32": jnp.float32, "bfloat16": jnp.bfloat16})

__all__ = ["DTYPES", "NETWORKS", "NORMS", "NetworkSpec", "build_network"]


@dataclass(frozen=True)
class NetworkSpec:
    """What defines a network: stored with its weights, and what a checkpoint is checked against."""

    name: str
    n_classes: int  # foreground classes
    base: int
    depth: int
    norm: str
    dropout: float  # U-Net: scale of the published rates; 0 turns dropout off
    dtype: str = "float32"
    window: int = 1  # frames around the one that is segmented, itself in the middle


def build_network(spec: NetworkSpec, axis_name: str | None = None) -> Network:
    """The network of a specification.

    Args:
        axis_name: mapped axis over which batch statistics are averaged in training.
    """
    return NETWORKS[spec.name](
        n_classes=spec.n_classes,
        base=spec.base,
        depth=spec.depth,
        norm=spec.norm,
        dropout=spec.dropout,
        dtype=DTYPES[spec.dtype],
        axis_name=axis_name,
    )
