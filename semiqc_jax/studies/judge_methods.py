"""The judges that the study of segmentations compares: each a score of every row of the tables, larger is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.stats import rankdata

from semiqc_jax.quality.checks import FLIPS, LABEL, SOFTMAX, Checks
from semiqc_jax.quality.features import features
from semiqc_jax.quality.machines import KINDS, NETWORK, SVM, Examples, cross_fit, examples_of
from semiqc_jax.quality.rules import assess_rules, configure_rules
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.selection import mean_confidence
from semiqc_jax.studies.image_judges import image_inputs, predicted_dice, reverse_accuracy
from semiqc_jax.studies.network_tables import GridCohort, NetworkTables

FOLDS = 5
BOTH, EVERYTHING = (LABEL, SOFTMAX), (LABEL, SOFTMAX, FLIPS)
Scores = Float[NDArray, " N"]


@dataclass(frozen=True, eq=False)
class Cases:
    """What every method sees. Those that learn do so by patient: no patient is judged by what saw it."""

    tables: NetworkTables
    cohort: GridCohort
    checks: Checks
    target: float
    advance: Callable[..., None]

    def examples(self, needs: tuple[str, ...]) -> Examples:
        """The rows as examples for a learned judge."""
        return examples_of(self.tables.evidence, self.checks, self.tables.dice, self.tables.class_dice, needs)


def prepare(tables: NetworkTables, cohort: GridCohort, target: float, advance: Callable[..., None]) -> Cases:
    """The cases of the tables' task."""
    return Cases(tables, cohort, checks_of(tables.task), target, advance)


def _confidence(cases: Cases) -> Scores:
    return np.asarray(mean_confidence(cases.tables.evidence), float)


def _entropy(cases: Cases) -> Scores:
    evidence = cases.tables.evidence
    pixels = evidence.uncertain_pixels
    return -np.sum(evidence.entropy * pixels, (1, 2)) / np.maximum(np.sum(pixels, (1, 2)), 1)


def _flip_agreement(cases: Cases) -> Scores:
    return np.asarray(features(cases.tables.evidence, cases.checks)[:, cases.checks.index["flip_agreement"]], float)


def _flip_variance(cases: Cases) -> Scores:
    evidence = cases.tables.evidence
    pixels = evidence.uncertain_pixels
    return -np.sum(evidence.flip_variance * pixels, (1, 2)) / np.maximum(np.sum(pixels, (1, 2)), 1)


def _rules(cases: Cases, use_confidence: bool, off: tuple[str, ...] = ()) -> Scores:
    checks = configure_rules(cases.checks, off)
    return np.asarray(assess_rules(cases.tables.evidence, checks, use_confidence).score, float)


def _learned(cases: Cases, kind: str, needs: tuple[str, ...]) -> Scores:
    tables = cases.tables
    return cross_fit(kind, cases.examples(needs), tables.subject_id, cases.checks, needs, cases.target).merit


def _image(cases: Cases) -> Scores:
    tables = cases.tables
    inputs, found = image_inputs(tables, cases.cohort), np.zeros(len(tables.dice))
    fold = np.random.default_rng(0).permutation(tables.patient.max() + 1)[tables.patient] % FOLDS
    for held in (fold == k for k in range(FOLDS)):
        found[held] = predicted_dice(inputs, tables.class_dice, ~held)[held]
    return found


def _reverse(cases: Cases) -> Scores:
    return reverse_accuracy(cases.tables, cases.cohort)


Method = Callable[[Cases], Scores]
METHODS: Mapping[str, Method] = {
    "confidence": _confidence,
    "entropy": _entropy,
    "flip agreement": _flip_agreement,
    "flip variance": _flip_variance,
    "ensemble agreement": lambda cases: cases.tables.ensemble_agreement(),
    "Dice from the image": _image,
    "reverse classification": _reverse,
    "rules": partial(_rules, use_confidence=False),
    "rules + confidence": partial(_rules, use_confidence=True, off=("flip_agreement",)),
    "rules + confidence + flips": partial(_rules, use_confidence=True),
    **{kind: partial(_learned, kind=kind, needs=(LABEL,)) for kind in KINDS},
    **{f"{kind} + confidence": partial(_learned, kind=kind, needs=BOTH) for kind in KINDS},
    **{f"{kind} + confidence + flips": partial(_learned, kind=kind, needs=EVERYTHING) for kind in (SVM, NETWORK)},
}
# Means of ranks within a network: nothing is fitted.
COMBINATIONS: Mapping[str, tuple[str, ...]] = {
    "rules + svm + network + regressor": ("rules + confidence", *(f"{kind} + confidence" for kind in KINDS)),
}


def all_scores(cases: Cases, wanted: Mapping[str, Method]) -> dict[str, Scores]:
    """Scores of the methods and of the combinations that they allow; NaN where a method has nothing to say."""
    scores: dict[str, Scores] = {}
    for name, method in wanted.items():
        scores[name] = np.asarray(method(cases), float)
        cases.advance(note=name)
    for name, parts in COMBINATIONS.items():
        if {*parts} <= {*scores}:
            ranked = [within_rank(scores[part], cases.tables.network) for part in parts]
            scores[name] = np.mean(ranked, axis=0)
    return scores


def within_rank(score: Scores, network: NDArray) -> Scores:
    """Rank of each row among those of its network, 0 the worst, 1 the best."""
    found = np.zeros(len(score))
    for one in np.unique(network):
        here = network == one
        found[here] = (rankdata(score[here]) - 1) / max(here.sum() - 1, 1)
    return found
