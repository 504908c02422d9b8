"""What every test relies on: eight virtual CPU devices, compilation cache, hypothesis settings, real data."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before anything imports jax; through the environment, so that processes that tests start get the same. The
# cache holds machine code: one folder a machine, since a checkout may lie on a shared file system.
os.environ["JAX_PLATFORMS"] = os.environ.get("SEMIQC_TEST_PLATFORM", "cpu")
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(ROOT / ".cache" / "jax" / platform.node())
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
os.environ["MPLBACKEND"] = "Agg"

from absl import flags  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()  # grain's worker processes read absl flags

settings.register_profile(
    "suite", max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data sets (`acdc/`, ...): SEMIQC_DATA_DIR, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("SEMIQC_DATA_DIR", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder} (set SEMIQC_DATA_DIR)")
    return folder


@pytest.fixture(scope="session")
def finished_runs(tmp_path_factory: pytest.TempPathFactory):
    """`tiny_runs.FinishedRuns`: runs of the whole loop on a tiny cohort, each trained once."""
    from tiny_runs import FinishedRuns

    return FinishedRuns(tmp_path_factory.mktemp("runs"))
