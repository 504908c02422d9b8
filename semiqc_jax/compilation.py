"""The persistent compilation cache: a second process starts in seconds."""

from __future__ import annotations

import os
from pathlib import Path

import jax


def use_compilation_cache() -> None:
    """Keep compiled programs in `$SEMIQC_CACHE_DIR`, or in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semiqc_jax"
    folder = Path(os.environ.get("SEMIQC_CACHE_DIR") or default) / "xla"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
