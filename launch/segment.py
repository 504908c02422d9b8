"""Segment new scans: python launch/segment.py --input=FILE_OR_DIR --output=OUT --run=RUN."""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.datasets.readers import READERS
from semiqc_jax.errors import ConfigError
from semiqc_jax.rounds.segment import segment_scans

INPUT = flags.DEFINE_string("input", None, "A scan, or a folder of those.", required=True)
DATASET = flags.DEFINE_enum("dataset", "nifti", sorted(READERS), "How the input is laid out.")
OUTPUT = flags.DEFINE_string("output", None, "Folder to write to.", required=True)
RUN = flags.DEFINE_string("run", "", "Folder of the trained run whose last checkpoint segments.")


def main() -> None:
    """Segment, measure and judge; a bad scan is left out and listed in `quarantine.csv`."""
    if not RUN.value:
        raise ConfigError("no model", "--run", "name the folder of a trained run; none comes with the code")
    use_compilation_cache()
    counts = segment_scans(INPUT.value, Path(OUTPUT.value), Path(RUN.value), DATASET.value)
    shown = ", ".join(f"{name} {count}" for name, count in counts.items())
    print(f"{OUTPUT.value}: {shown}; report: {Path(OUTPUT.value) / 'report.html'}")


if __name__ == "__main__":
    run_main(main)
