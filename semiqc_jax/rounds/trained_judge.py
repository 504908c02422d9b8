"""A classifier of `launch/train_quality.py` as the judge of a run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from semiqc_jax.errors import ConfigError, DataError
from semiqc_jax.files import write_bytes
from semiqc_jax.quality.checks import FLIPS, Checks
from semiqc_jax.quality.learned import Classifier, assess_learned, from_arrays, learned_reasons, to_arrays
from semiqc_jax.rounds.judge import Judge
from semiqc_jax.settings import QualitySettings

SETTING = "config.quality.classifier"
MEND = "make one with launch/train_quality.py"


def write_classifier(path: Path, classifier: Classifier) -> None:
    """Write a classifier in one piece."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **to_arrays(classifier))
    write_bytes(path, buffer.getvalue())


def read_classifier(path: Path, checks: Checks, mend: str = MEND) -> Classifier:
    """Read a classifier.

    Raises:
        DataError: it is missing or damaged, or was made for another task, other classes or other features.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return from_arrays(data, checks, path, mend)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read the classifier: {error}", path, mend) from error


def given_classifier(
    quality: QualitySettings, checks: Checks, judged: Collection[str], flip_average: bool
) -> Classifier:
    """The classifier that the settings name, which has to fit them and the subjects that it is to judge.

    Raises:
        DataError: see `read_classifier`.
        ConfigError: it is about another Dice, looks at confidence where that is not to be used or at mirrored
            predictions where there are none, or learned from one of the subjects.
    """
    classifier = read_classifier(Path(quality.classifier), checks)
    if not np.isclose(classifier.target, quality.target_dice):
        what = f"{quality.classifier} is about a Dice of {classifier.target}, target_dice is {quality.target_dice}"
        raise ConfigError(what, SETTING, "train one with that --target_dice")
    if classifier.sees_softmax and not quality.use_confidence:
        what = f"{quality.classifier} looks at confidence, which is not to be used"
        raise ConfigError(what, SETTING, "train one with --nouse_confidence")
    if FLIPS in classifier.needs and not flip_average:
        what = f"{quality.classifier} looks at mirrored predictions, flip_average is off"
        raise ConfigError(what, SETTING, "set config.flip_average=True, or train one with --nouse_flips")
    if shared := sorted({*judged} & {*classifier.subjects}):
        what = f"{quality.classifier} learned from {len(shared)} of the subjects that it is to judge, {shared[0]} first"
        raise ConfigError(what, SETTING, "train one with --exclude and this run's splits.json")
    return classifier


def learned_judge(classifier: Classifier, use_confidence: bool) -> Judge:
    """The judge that a classifier makes."""
    return Judge(
        "quality_learned",
        lambda evidence: assess_learned(evidence, classifier, use_confidence),
        lambda row: learned_reasons(row, classifier),
        classifier.learned_from,
    )
