"""Which judge knows a good segmentation? `python launch/study_judges.py --tables=TABLES --output=judges.json`.

TABLES is made by launch/study_networks.py. Compares rules, learned judges (cross-fitted by patient) and baselines;
prints the table and writes JSON, Markdown and a figure. About ten minutes for 2,000 segmentations on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.studies.judge_report import markdown
from semiqc_jax.studies.judges import study_judges

TABLES = flags.DEFINE_string("tables", None, "Folder of launch/study_networks.py.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "JSON file to write; .md and .png go beside it.", required=True)


def main() -> None:
    """Run the study and print its table."""
    print(markdown(study_judges(Path(TABLES.value), Path(OUTPUT.value))), end="")


if __name__ == "__main__":
    run_main(main)
