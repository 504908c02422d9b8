"""Tables of networks' errors: `python launch/study_networks.py --runs=RUNS --data=DATA --output=TABLES`.

For every checkpoint of every finished run in RUNS: what it makes of the patients of DATA's `train` and `val` splits
that it did not learn from, and how good that is. Run again it makes what is missing. About 20 s a checkpoint and 80
patients (two frames) on two CPU cores.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.studies.networks import study_networks

RUNS = flags.DEFINE_string("runs", None, "Folder of runs of launch/train.py.", required=True)
DATA = flags.DEFINE_string("data", None, "Data set of launch/build_data.py.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder to write the tables to.", required=True)


def main() -> None:
    """Make the tables that are missing."""
    use_compilation_cache()
    made = study_networks(Path(RUNS.value), Path(DATA.value), Path(OUTPUT.value))
    print(f"{OUTPUT.value}: {len(made)} networks; next: python launch/study_judges.py --tables={OUTPUT.value}")


if __name__ == "__main__":
    run_main(main)
