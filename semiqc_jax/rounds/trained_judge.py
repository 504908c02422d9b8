"""A classifier of `launch/train_quality.py` as the judge of a run."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.files import write_arrays
from semiqc_jax.quality.checks import FLIPS, Checks
from semiqc_jax.quality.classifier_arrays import from_arrays, to_arrays
from semiqc_jax.quality.learned import Classifier
from semiqc_jax.rounds.judge import Judge, both_judges, learned_judge, rules_judge
from semiqc_jax.settings import QualitySettings, Settings

CLASSIFIER = Path("quality", "classifier.npz")  # below the run's folder
SETTING = "config.quality.classifier"
MEND = "make one with launch/train_quality.py"


def write_classifier(path: Path, classifier: Classifier) -> None:
    """Write a classifier in one piece."""
    write_arrays(path, to_arrays(classifier))


def read_classifier(path: Path, checks: Checks, mend: str = MEND) -> Classifier:
    """Read a classifier.

    Raises:
        DataError: it is missing or damaged, or was made by an older version, for another task, other classes or
            other features.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return from_arrays(data, checks, path, mend)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read the classifier: {error}", path, mend) from error


def given_classifier(settings: Settings, checks: Checks, splits: Mapping[str, Sequence[str]]) -> Classifier:
    """The classifier that the settings name, which has to fit them and may not have learned from test subjects.

    Raises:
        DataError: see `read_classifier`.
        ConfigError: it is about another Dice, looks at confidence where that is not to be used or at mirrored
            predictions where there are none, or see `check_taught_by`.
    """
    quality = settings.quality
    classifier = read_classifier(Path(quality.classifier), checks)
    if not np.isclose(classifier.target, quality.target_dice):
        what = f"{quality.classifier} is about a Dice of {classifier.target}, target_dice is {quality.target_dice}"
        raise ConfigError(what, SETTING, "train one with that --target_dice")
    if classifier.sees_softmax and not quality.use_confidence:
        what = f"{quality.classifier} looks at confidence, which is not to be used"
        raise ConfigError(what, SETTING, "train one with --nouse_confidence")
    if FLIPS in classifier.needs and not settings.flip_average:
        what = f"{quality.classifier} looks at mirrored predictions, flip_average is off"
        raise ConfigError(what, SETTING, "set config.flip_average=True, or train one with --nouse_flips")
    check_taught_by(classifier.folds.of, splits, quality.classifier, SETTING)
    return classifier


def check_taught_by(
    subjects: Collection[str], splits: Mapping[str, Sequence[str]], file: str, setting: str
) -> None:
    """Refuse a judge that learned from test subjects: by what it chooses, their labels would teach the network.

    Raises:
        ConfigError: it did.
    """
    if shared := sorted({*splits.get("test", ())} & {*subjects}):
        what = f"{file} learned from {len(shared)} of the test subjects, {shared[0]} first"
        raise ConfigError(what, setting, "make one with --exclude and this data set's splits.json")


def judge_by(checks: Checks, quality: QualitySettings, classifier: Classifier | None) -> Judge:
    """Rules where there is no classifier; else the classifier, or both, as the settings say.

    Raises:
        ConfigError: the rules that are switched off are not those of the task.
    """
    rules = rules_judge(checks, quality.use_confidence, quality.off, quality.rule_limits)
    if classifier is None:
        return rules
    learned = learned_judge(classifier, quality.use_confidence)
    return both_judges(rules, learned) if quality.name == "both" else learned
