"""Learn a judge of volume curves: `python launch/train_curve_judge.py --output=curve_judge.npz`.

By default from synthetic hearts whose curves were broken on purpose; with `--source`, the folder that
launch/study_curves.py reads, from real curves. A run uses it by --config.quality.curves=curve_judge.npz.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.studies.train_curve_judge import train_curve_judge

SOURCE = flags.DEFINE_string("source", "", "Folder with curves.csv.gz and references.csv; by default synthetic hearts.")
SPLIT = flags.DEFINE_string("split", "train", "Of the source: the patients to learn from.")
OUTPUT = flags.DEFINE_string("output", None, "File to write, .npz.", required=True)


def main() -> None:
    """Fit one judge and write it."""
    source = Path(SOURCE.value) if SOURCE.value else None
    found = train_curve_judge(Path(OUTPUT.value), source, SPLIT.value)
    print(f"{OUTPUT.value}: learned from {found.learned_from}")


if __name__ == "__main__":
    run_main(main)
