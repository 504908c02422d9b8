"""Which score says best how good a slice is? `python launch/study_slices.py --tables=TABLES --output=OUT`.

Reads the tables of launch/study_networks.py, fits a regressor of a slice's Dice (cross-fitted by patient), compares it
with rules and baselines, prints the table and writes results.json, table.md and slice_regressor.npz to `--output`.
The regressor serves `--config.quality.slice_regressor` of launch/train.py. A minute or two on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.studies.slices import markdown, study_slices

TABLES = flags.DEFINE_string("tables", None, "Folder of tables of launch/study_networks.py.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder to write the study to.", required=True)


def main() -> None:
    """Run the study and print its table."""
    use_compilation_cache()
    print(markdown(study_slices(Path(TABLES.value), Path(OUTPUT.value))), end="")


if __name__ == "__main__":
    run_main(main)
