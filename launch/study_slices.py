"""Which score says best how good a slice is? `python launch/study_slices.py --tables=TABLES --output=OUT`.

Reads the tables of launch/study_networks.py, fits a regressor of a slice's Dice (cross-fitted by patient), compares it
with rules and baselines, prints the table and writes results.json, table.md and slice_regressor.npz to `--output`.
The regressor serves `--config.quality.slice_regressor` of launch/train.py, which refuses one that learned from its test
patients: --exclude=DATA/splits.json leaves them out. A minute or two on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.studies.excluding import excluded_subjects
from semiqc_jax.studies.slices import markdown, study_slices

TABLES = flags.DEFINE_string("tables", None, "Folder of tables of launch/study_networks.py.", required=True)
EXCLUDE = flags.DEFINE_string("exclude", "", "A splits.json: subjects of --exclude_splits are left out.")
EXCLUDE_SPLITS = flags.DEFINE_list("exclude_splits", ["test"], "Splits of --exclude.")
OUTPUT = flags.DEFINE_string("output", None, "Folder to write the study to.", required=True)


def main() -> None:
    """Run the study and print its table."""
    use_compilation_cache()
    exclude = excluded_subjects(EXCLUDE.value, EXCLUDE_SPLITS.value)
    print(markdown(study_slices(Path(TABLES.value), Path(OUTPUT.value), exclude)), end="")


if __name__ == "__main__":
    run_main(main)
