"""What may be promised of a verdict? `python launch/study_calibration.py --tables=TABLES --output=calibration.json`.

TABLES is made by launch/study_networks.py. Calibrates rules and learned judges (cross-fitted by patient) on labelled
patients and looks on others whether what is promised holds; prints the table and writes JSON, Markdown and a figure.
About three minutes for 2,400 segmentations on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.studies.calibration import study_calibration
from semiqc_jax.studies.calibration_report import markdown

TABLES = flags.DEFINE_string("tables", None, "Folder of launch/study_networks.py.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "JSON file to write; .md and .png go beside it.", required=True)


def main() -> None:
    """Run the study and print its table."""
    use_compilation_cache()
    print(markdown(study_calibration(Path(TABLES.value), Path(OUTPUT.value))), end="")


if __name__ == "__main__":
    run_main(main)
