"""Can a curve tell that it is wrong? `python launch/study_curves.py --source=DSB_CURVES --output=OUT`.

Reads curves.csv.gz and references.csv, compares every judge by 5-fold cross-validation by patient, prints the table
and writes results.json, table.md and figure.png to `--output`. About ten minutes on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.studies.curve_report import markdown
from semiqc_jax.studies.curves import study_curves

SOURCE = flags.DEFINE_string("source", None, "Folder with curves.csv.gz and references.csv.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder to write the study to.", required=True)
HELD_OUT = flags.DEFINE_string("held_out", "", "Judge this split once, learn from all others; no cross-validation.")


def main() -> None:
    """Run the study and print its table."""
    print(markdown(study_curves(Path(SOURCE.value), Path(OUTPUT.value), HELD_OUT.value)), end="")


if __name__ == "__main__":
    run_main(main)
