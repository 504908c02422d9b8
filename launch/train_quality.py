"""Learn a judge: `python launch/train_quality.py --tables=TABLES --kind=svm --output=classifier.npz`.

TABLES is made by launch/study_networks.py. A run uses it by --config.quality.name=learned (or both)
--config.quality.classifier=classifier.npz. It holds a machine for every fold of the patients and one of all of them, so
that none of them is judged by a machine that learned from it. A run refuses one that learned from its test patients:
--exclude=DATA/splits.json leaves them out.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.studies.excluding import excluded_subjects
from semiqc_jax.studies.train_quality import train_quality

TABLES = flags.DEFINE_string("tables", None, "Folder of launch/study_networks.py.", required=True)
KIND = flags.DEFINE_string("kind", "svm", "svm, network or regressor.")
TARGET = flags.DEFINE_float("target_dice", 0.85, "The Dice that counts as good.", 0.0, 1.0)
CONFIDENCE = flags.DEFINE_bool("use_confidence", True, "Look at the networks' softmax as well.")
FLIPS = flags.DEFINE_bool("use_flips", True, "With use_confidence: look at how mirrored predictions agree as well.")
FOLDS = flags.DEFINE_integer("folds", 5, "Into how many the patients are dealt.", 2)
EXCLUDE = flags.DEFINE_string("exclude", "", "A splits.json: nothing is learned of subjects of --exclude_splits.")
EXCLUDE_SPLITS = flags.DEFINE_list("exclude_splits", ["test"], "Splits of --exclude.")
OUTPUT = flags.DEFINE_string("output", None, "File to write, .npz.", required=True)


def main() -> None:
    """Fit one classifier and write it."""
    exclude, sees = excluded_subjects(EXCLUDE.value, EXCLUDE_SPLITS.value), (CONFIDENCE.value, FLIPS.value)
    found = train_quality(
        Path(TABLES.value), KIND.value, TARGET.value, Path(OUTPUT.value), *sees, exclude=exclude, folds=FOLDS.value
    )
    print(f"{OUTPUT.value}: learned from {found.learned_from}")


if __name__ == "__main__":
    run_main(main)
