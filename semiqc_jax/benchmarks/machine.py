"""On what a measurement was made: the machine and the versions, without which a number says little."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import jax

from semiqc_jax import __version__
from semiqc_jax.datasets.processes import cores

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scipy",
    "grain",
    "tensorflow-datasets",
    "array_record",
)


def machine() -> dict[str, object]:
    """Processor, number of cores that this process may use, and JAX's devices."""
    devices = jax.devices()
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "devices": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
    }


def processor() -> str:
    """The processor's model where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Python, this package and what the measurements run on."""
    installed = {package: version(package) for package in PACKAGES}
    return {"semiqc_jax": __version__, "python": platform.python_version(), **installed}
