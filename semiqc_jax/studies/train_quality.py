"""A classifier for quality control, learned from what real networks made of patients with a reference."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.checks import FLIPS, LABEL, SOFTMAX
from semiqc_jax.quality.folds import FOLDS
from semiqc_jax.quality.learned import Classifier, fit_classifier
from semiqc_jax.quality.machines import KINDS, examples_of
from semiqc_jax.quality.profile_network import UPDATES
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.trained_judge import write_classifier
from semiqc_jax.studies.network_tables import read_tables

FEWEST = 10  # patients


def train_quality(
    folder: Path,
    kind: str,
    target: float,
    output: Path,
    use_confidence: bool = True,
    use_flips: bool = True,
    exclude: Collection[str] = (),
    folds: int = FOLDS,
    updates: int = UPDATES,
) -> Classifier:
    """Fit a classifier to the tables in a folder, cross-fitted by patient, and write it.

    Args:
        kind: `svm`, `network` or `regressor`.
        target: the Dice that counts as good.
        use_confidence: the softmax statistics are among what it looks at.
        use_flips: the agreement of mirrored predictions is, too; runs that it judges need flip averaging then.
        exclude: subjects of which nothing may be learned: none of their rows is used.
        folds: into how many the patients are dealt.

    Raises:
        ConfigError: no such kind, or fewer than ten patients are left.
        NothingUsableError, DataError: see `read_tables`.
    """
    if kind not in KINDS:
        raise ConfigError(f"no kind '{kind}'", "--kind", f"kinds are {', '.join(KINDS)}")
    tables = read_tables(folder).without(exclude)
    patients = sorted({*map(str, tables.subject_id)})
    if len(patients) < FEWEST:
        raise ConfigError(f"{len(patients)} patients to learn from", "--tables", f"give {FEWEST} or more")
    needs = (LABEL, *[SOFTMAX] * use_confidence, *[FLIPS] * (use_confidence and use_flips))
    checks = checks_of(tables.task)
    examples = examples_of(tables.evidence, checks, tables.dice, tables.class_dice, needs)
    networks = len(np.unique(tables.network))
    source = f"{len(tables.dice)} segmentations of {len(patients)} patients by {networks} networks"
    found = fit_classifier(kind, examples, tables.subject_id, target, source, checks, needs, updates, folds)
    write_classifier(output, found)
    return found
