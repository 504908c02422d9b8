"""Devices and hosts: one function maps a per-device step over all of them, by `shard_map` or by `pmap`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from semiqc_jax.errors import ConfigError

AXIS = "data"
MAPPINGS = ("shard_map", "pmap")
PyTree = Any


@dataclass(frozen=True)
class Devices:
    """The devices of a run and how a per-device function is mapped over them.

    A mapped function takes replicated trees first and sharded ones last, and runs once a device with the
    named axis `AXIS`; reductions over devices are its own (`psum`, `pmean`). Both mappings run the same
    function; `pmap` carries replicated trees stacked along a leading device axis, which `replicate` and
    `unreplicate` hide.
    """

    mapping: str = "shard_map"
    devices: tuple[jax.Device, ...] = ()

    @classmethod
    def of(cls, mapping: str = "shard_map", count: int = 0) -> Devices:
        """The first `count` devices of this machine, all of them for 0.

        Raises:
            ConfigError: there are not as many.
        """
        available = jax.devices()
        if count > len(available):
            raise ConfigError(
                f"{count} devices asked for, {len(available)} found", "config.devices", "ask for fewer; 0 takes all"
            )
        return cls(mapping, tuple(available[: count or len(available)]))

    @property
    def count(self) -> int:
        """Number of devices."""
        return len(self.devices)

    @property
    def _mesh(self) -> jax.sharding.Mesh:
        return jax.make_mesh((self.count,), (AXIS,), devices=self.devices, axis_types=(AxisType.Auto,))

    def replicate(self, tree: PyTree) -> PyTree:
        """Put a copy of every array on every device. Always copies: a mapped step may donate the result."""
        if self.mapping == "pmap":
            return self._stacked(jax.tree.map(lambda x: np.stack([np.asarray(x)] * self.count), tree))
        sharding = NamedSharding(self._mesh, PartitionSpec())
        return jax.tree.map(lambda x: jax.device_put(np.array(x), sharding), tree)

    def shard(self, tree: PyTree) -> PyTree:
        """Split the leading axis of every array over the devices; it must divide by their number."""
        if self.mapping == "pmap":
            return self._stacked(
                jax.tree.map(lambda x: np.asarray(x).reshape(self.count, -1, *np.shape(x)[1:]), tree)
            )
        return jax.device_put(tree, NamedSharding(self._mesh, PartitionSpec(AXIS)))

    def unreplicate(self, tree: PyTree) -> PyTree:
        """One host copy (NumPy) of a replicated tree."""
        host = jax.device_get(tree)
        return jax.tree.map(lambda x: x[0], host) if self.mapping == "pmap" else host

    def gather(self, tree: PyTree) -> PyTree:
        """Host copy of a sharded result, the device axis joined with the batch axis."""
        host = jax.device_get(tree)
        if self.mapping == "pmap":
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), host)
        return host

    def map(
        self, function: Callable[..., Any], replicated: int, sharded: int, *, sum_out: bool, donate: bool = False
    ) -> Callable[..., Any]:
        """Map a per-device function of `replicated` + `sharded` trees over the devices; the same one is compiled once.

        Args:
            function: pure; sees whole replicated trees and its own part of sharded ones.
            sum_out: results are the same on every device (they were reduced inside); otherwise they are
                sharded along their leading axis.
            donate: the first argument's memory may be reused.
        """
        return _mapped(self, function, replicated, sharded, sum_out, donate)

    def _stacked(self, tree: PyTree) -> PyTree:
        mesh = self._mesh
        return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(AXIS)))


@lru_cache(maxsize=32)
def _mapped(
    on: Devices, function: Callable[..., Any], replicated: int, sharded: int, sum_out: bool, donate: bool
) -> Callable[..., Any]:
    donated = (0,) if donate else ()
    if on.mapping == "pmap":
        return jax.pmap(function, axis_name=AXIS, devices=on.devices, donate_argnums=donated)
    whole, part = PartitionSpec(), PartitionSpec(AXIS)
    # check_vma=True would multiply the gradients of replicated parameters by the number of devices.
    mapped = jax.shard_map(
        function,
        mesh=on._mesh,
        in_specs=(whole,) * replicated + (part,) * sharded,
        out_specs=whole if sum_out else part,
        check_vma=False,
    )
    return jax.jit(mapped, donate_argnums=donated)
