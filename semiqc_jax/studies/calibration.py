"""The study of calibration: what do labelled patients outside training allow to promise, and is it kept?

For every network the patients that it did not learn from are dealt into labelled and test patients, many times. A
patient is one case: the Dice is the mean over ED and ES. Limits come from `quality.calibration.claim` on the labelled
half alone. Whether a promise is kept is looked at twice: on the test half, where chance has its share, and exactly,
where the labelled cases are drawn with replacement and *all* patients of the network are what they were drawn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.special import expit

from semiqc_jax.errors import ConfigError
from semiqc_jax.progress import progress
from semiqc_jax.quality.calibration import Promise, claim
from semiqc_jax.quality.folds import folds_of
from semiqc_jax.quality.learned import merit_scale
from semiqc_jax.quality.machines import NETWORK, SVM
from semiqc_jax.studies.calibration_report import write_report
from semiqc_jax.studies.detection import Estimate, patient_weights
from semiqc_jax.studies.judge_methods import METHODS, prepare
from semiqc_jax.studies.network_tables import GridCohort, NetworkTables, read_grid_cohort, read_tables
from semiqc_jax.studies.reliability import reliability_of
from semiqc_jax.studies.selective import averaged

TARGETS = (0.70, 0.75, 0.80, 0.85)
PROMISES = tuple(Promise(precision, 0.95) for precision in (0.8, 0.9, 0.95))
DRAWS = 40  # of labelled and test patients, for each network
CASES = (60, 120)  # labelled cases that are drawn with replacement
FEWEST = 10  # patients
JUDGE_TARGET = 0.85  # what the network's outputs lie around
RULES, LEARNED = "rules + confidence", {SVM: "svm + confidence", NETWORK: "network + confidence"}

Rows = Int[NDArray, " M"]
Scores = Mapping[str, Mapping[float, Float[NDArray, " N"]]]  # judge -> target -> score in [0, 1]


def study_calibration(folder: Path, output: Path) -> dict[str, Any]:
    """Calibrate the judges on the tables in a folder; writes `output` (JSON) and beside it a table and a figure.

    Raises:
        NothingUsableError, DataError: see `read_tables`.
        ConfigError: fewer than ten patients.
    """
    tables = read_tables(folder)
    patients = len(np.unique(tables.patient))
    if patients < FEWEST:
        raise ConfigError(f"{patients} patients", "--tables", f"give tables of {FEWEST} or more")
    found = figures(tables, judged(tables, read_grid_cohort(folder)))
    write_report(found, output)
    return found


def judged(tables: NetworkTables, cohort: GridCohort) -> Scores:
    """The scores in [0, 1] of every judge; learned ones and their Platt scaling never saw the patient.

    A machine is fitted once, around a Dice of 0.85; what it says of another target is in its scaling.
    """
    _, fold = folds_of(tables.subject_id)
    scores: dict[str, dict[float, NDArray]] = {}
    with progress("judges", 1 + len(LEARNED), "judges") as advance:
        cases = prepare(tables, cohort, JUDGE_TARGET, advance)
        scores[RULES] = dict.fromkeys(TARGETS, METHODS[RULES](cases))
        advance()
        for kind, name in LEARNED.items():
            merit = METHODS[name](cases)
            scores[name] = {target: _probability(kind, merit, tables.dice, target, fold) for target in TARGETS}
            advance()
    both = {t: np.sqrt(scores[RULES][t] * scores[LEARNED[NETWORK]][t]) for t in TARGETS}
    return {**scores, "rules and network": both}


def _probability(
    kind: str, merit: Float[NDArray, " N"], dice: Float[NDArray, " N"], target: float, fold: Int[NDArray, " N"]
) -> Float[NDArray, " N"]:
    found = np.zeros(len(merit))
    for held in (fold == k for k in np.unique(fold)):
        slope, offset = merit_scale(kind, merit[~held], dice[~held], target)
        found[held] = expit(slope * merit[held] + offset)
    return found


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one promise over D draws of labelled cases from the M cases of a network."""

    promised: Bool[NDArray, " D"]
    broken: Bool[NDArray, " D"]  # promised, and of those accepted in the test too few are as claimed
    accepted: Int[NDArray, " M"]  # how often each case was accepted in a test, under a promise
    tested: Int[NDArray, " M"]  # how often it was in a test, under a promise


def outcome(
    score: Float[NDArray, " M"], right: Bool[NDArray, " M"], promise: Promise, draws: Sequence[tuple[Rows, Rows]]
) -> Outcome:
    """Make the promise on the labelled cases of each draw and look at it on the test cases.

    Args:
        score: of a network's cases, larger is better.
        right: whether each is as is to be claimed.
        draws: (labelled, test) row numbers.
    """
    promised, broken = np.zeros((2, len(draws)), bool)
    accepted, tested = np.zeros((2, len(score)), int)
    for d, (labelled, test) in enumerate(draws):
        found = claim(score[labelled], right[labelled], promise) if len(labelled) > promise.needed else None
        if found is None:
            continue
        passed = test[score[test] > found.limit]
        promised[d] = True
        broken[d] = len(passed) > 0 and right[passed].mean() < promise.precision
        tested[test] += 1
        accepted[passed] += 1
    return Outcome(promised, broken, accepted, tested)


def halves(n: int, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
    """Draws of a labelled and a test half of n cases."""
    orders = [rng.permutation(n) for _ in range(DRAWS)]
    return [(order[: n // 2], order[n // 2 :]) for order in orders]


def redrawn(n: int, labelled: int, rng: np.random.Generator) -> list[tuple[Rows, Rows]]:
    """Draws of labelled cases with replacement from n cases, all of which are the test."""
    return [(rng.integers(0, n, labelled), np.arange(n)) for _ in range(DRAWS)]


def figures(tables: NetworkTables, scores: Scores) -> dict[str, Any]:
    """All figures of the study, ready for JSON."""
    rows = [np.flatnonzero(tables.network == k) for k in range(len(tables.run))]
    rng = np.random.default_rng(0)
    split = [halves(len(one), rng) for one in rows]
    drawn = {n: [redrawn(len(one), n, rng) for one in rows] for n in CASES}
    weights = patient_weights(tables.patient)
    combinations = list(product(scores, TARGETS))
    entries = []
    with progress("promises", len(combinations), "scores and targets") as advance:
        for name, target in combinations:
            score, good = scores[name][target], tables.dice >= target
            for promise in PROMISES:
                sides = {"accept": (score, good), "reject": (-score, ~good)}
                each = {side: _look(tables, *x, promise, rows, split, drawn, weights) for side, x in sides.items()}
                entries.append({"judge": name, "target": target, "precision": promise.precision, **each})
            advance()
    return {
        "patients": len(np.unique(tables.patient)),
        "networks": len(rows),
        "runs": len(np.unique(tables.run)),
        "rows": len(tables.dice),
        "labelled_cases": [int(f([len(one) // 2 for one in rows])) for f in (min, max)],
        "draws": DRAWS,
        "needed": {f"{p.precision}": p.needed + 1 for p in PROMISES},
        "prevalence": {f"{t}": float(np.mean([np.mean(tables.dice[one] >= t) for one in rows])) for t in TARGETS},
        "promises": entries,
        "reliability": [
            {"judge": name, "target": t, **reliability_of(scores[name][t], good, tables.patient, rows, split)}
            for name, t in combinations
            for good in [tables.dice >= t]
        ],
    }


def _look(
    tables: NetworkTables,
    score: Float[NDArray, " N"],
    right: Bool[NDArray, " N"],
    promise: Promise,
    rows: Sequence[Rows],
    split: Sequence[list[tuple[Rows, Rows]]],
    drawn: Mapping[int, Sequence[list[tuple[Rows, Rows]]]],
    weights: Float[NDArray, "B N"],
) -> dict[str, Any]:
    """One promise on all networks: how often it is made and broken, and what it accepts."""

    def of_networks(draws: Sequence[list[tuple[Rows, Rows]]]) -> list[Outcome]:
        return [outcome(score[one], right[one], promise, each) for one, each in zip(rows, draws, strict=True)]

    found = of_networks(split)
    accepted, tested = (np.zeros(len(score)) for _ in range(2))
    for one, each in zip(rows, found, strict=True):
        accepted[one], tested[one] = each.accepted, each.tested
    too_few = np.mean([len(labelled) <= promise.needed for each in split for labelled, _ in each])
    return {
        "too_few": float(too_few),
        "promised": over_runs(tables, [x.promised.mean() for x in found]),
        "broken": over_runs(tables, [x.broken.mean() for x in found]),
        "precision": averaged(_share, tables.network, weights, right * accepted, accepted).as_json(),
        "share": averaged(_share, tables.network, weights, accepted, tested).as_json(),
        "redrawn": {
            str(n): {
                "promised": over_runs(tables, [x.promised.mean() for x in again]),
                "broken": over_runs(tables, [x.broken.mean() for x in again]),
            }
            for n, draws in drawn.items()
            for again in [of_networks(draws)]
        },
    }


def _share(part: NDArray, whole: NDArray, weights: NDArray) -> NDArray:
    total = weights @ whole
    return np.divide(weights @ part, total, out=np.full(len(weights), np.nan), where=total > 0)


def over_runs(tables: NetworkTables, values: Sequence[float], resamples: int = 500) -> list[float]:
    """Mean over networks, and the interval of 500 draws of runs, all checkpoints of a run together."""
    runs, of = np.unique(tables.run, return_inverse=True)
    counts = np.random.default_rng(0).multinomial(len(runs), np.full(len(runs), 1 / len(runs)), resamples)
    weights = np.concatenate([np.ones((1, len(of))), counts[:, of]])
    return Estimate(weights @ np.asarray(values, float) / weights.sum(1)).as_json()
