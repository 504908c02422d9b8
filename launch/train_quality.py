"""Learn a judge: `python launch/train_quality.py --tables=TABLES --kind=svm --output=classifier.npz`.

TABLES is made by launch/study_networks.py. A run uses it by --config.quality.name=learned
--config.quality.classifier=classifier.npz; it may not judge subjects that it learned from (`--exclude`).
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.files import read_json
from semiqc_jax.studies.train_quality import train_quality

TABLES = flags.DEFINE_string("tables", None, "Folder of launch/study_networks.py.", required=True)
KIND = flags.DEFINE_string("kind", "svm", "svm, network or regressor.")
TARGET = flags.DEFINE_float("target_dice", 0.85, "The Dice that counts as good.", 0.0, 1.0)
CONFIDENCE = flags.DEFINE_bool("use_confidence", True, "Look at the networks' softmax as well.")
FLIPS = flags.DEFINE_bool("use_flips", True, "With use_confidence: look at how mirrored predictions agree as well.")
EXCLUDE = flags.DEFINE_string("exclude", "", "splits.json: all of its subjects but those of `test` are left out.")
OUTPUT = flags.DEFINE_string("output", None, "File to write, .npz.", required=True)


def main() -> None:
    """Fit one classifier and write it."""
    splits = read_json(Path(EXCLUDE.value)) if EXCLUDE.value else {}
    exclude = {i for name, ids in splits.items() if name != "test" for i in ids}
    sees = {"use_confidence": CONFIDENCE.value, "use_flips": FLIPS.value}
    found = train_quality(Path(TABLES.value), KIND.value, TARGET.value, Path(OUTPUT.value), exclude=exclude, **sees)
    print(f"{OUTPUT.value}: learned from {found.learned_from}")


if __name__ == "__main__":
    run_main(main)
