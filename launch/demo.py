"""The demo: methods on synthetic hearts and aortas, evaluated and compared; `bash launch/demo.sh` installs first."""

from __future__ import annotations

import runpy
import time
from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.rounds import demo
from semiqc_jax.settings import Settings, load_settings

QUICK = flags.DEFINE_bool("quick", False, "Fewer subjects and updates: shows that every part works, not how well.")
OUT = flags.DEFINE_string("out", "runs/demo", "Folder of the demo.")
CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def load(config: str, argument: str) -> Settings:
    """The settings of a file in configs/ for "METHOD[,PRESET]"."""
    return load_settings(runpy.run_path(str(CONFIGS / config))["get_config"](argument).to_dict())


def main() -> None:
    """Both tasks. Run again after a stop, it goes on where it was."""
    use_compilation_cache()
    began, out = time.monotonic(), Path(OUT.value) / ("quick" if QUICK.value else "full")
    demo.run_demo(demo.QUICK if QUICK.value else demo.FULL, out, load)
    print(f"{(time.monotonic() - began) / 60:.1f} min. Pictures: {out}/report.html")


if __name__ == "__main__":
    run_main(main)
