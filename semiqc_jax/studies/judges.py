"""The study of segmentations: which judge knows how good a network's segmentation of an unseen patient is?

Every figure is taken within a network (one checkpoint), then averaged over networks; intervals are those of 500
draws of patients, all rows of a patient together.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from semiqc_jax.errors import ConfigError
from semiqc_jax.progress import progress
from semiqc_jax.quality.reliability import fit_platt, platt_probability, reliability_table
from semiqc_jax.studies.detection import Estimate, patient_weights, risk_coverage, weighted_auc
from semiqc_jax.studies.group_shares import group_shares
from semiqc_jax.studies.judge_methods import METHODS, all_scores, prepare, within_rank
from semiqc_jax.studies.judge_report import write_report
from semiqc_jax.studies.network_tables import NetworkTables, read_grid_cohort, read_tables
from semiqc_jax.studies.selective import averaged, half_precision, kept_at_precision, prevalence, spearman

GOOD, FAIR, BAD = 0.85, 0.75, 0.70  # small networks reach GOOD too seldom to measure a precision
FEWEST = 10  # patients
COVERAGE = np.arange(0.1, 1.01, 0.1)
MANY = 7  # labelled patients from which on good segmentations are common
BASELINE = "confidence"
RIVALS = (
    *("rules + confidence", "rules + confidence + flips", "svm + confidence", "network + confidence"),
    *("svm + confidence + flips", "network + confidence + flips", "regressor + confidence"),
    *("rules + svm + network + regressor", "flip agreement"),
)


def study_judges(folder: Path, output: Path) -> dict[str, Any]:
    """Compare all judges on the tables in a folder; writes `output` (JSON) and beside it a table and a figure.

    Raises:
        NothingUsableError, DataError: see `read_tables`.
        ConfigError: fewer than ten patients.
    """
    tables, cohort = read_tables(folder), read_grid_cohort(folder)
    patients = len(np.unique(tables.patient))
    if patients < FEWEST:
        raise ConfigError(f"{patients} patients", "--tables", f"give tables of {FEWEST} or more")
    with progress("judges", len(METHODS), "methods") as advance:
        scores = all_scores(prepare(tables, cohort, GOOD, advance), METHODS)
    found = figures(tables, scores)
    write_report(found, output)
    return found


def figures(tables: NetworkTables, scores: Mapping[str, Float[NDArray, " N"]]) -> dict[str, Any]:
    """All figures of the study, ready for JSON."""
    many = tables.labelled[tables.network] >= MANY
    everything = np.ones(len(many), bool)
    last = tables.final[tables.network]
    name = f"{MANY} labels and more"
    parts = {"all": everything, name: many, f"{name}, last checkpoint": many & last}
    return {
        "patients": len(np.unique(tables.patient)),
        "rows": len(tables.dice),
        "networks": _networks(tables),
        "parts": {name: _part(tables, scores, rows) for name, rows in parts.items() if rows.any()},
        "groups": group_shares(tables, scores, many if many.any() else everything),
        "reliability": {name: _reliability(tables, score) for name, score in scores.items() if _complete(score)},
    }


def _complete(score: NDArray) -> bool:
    return not np.isnan(score).any()


def _networks(tables: NetworkTables) -> list[dict[str, Any]]:
    return [
        {
            "run": str(tables.run[k]),
            "labelled": int(tables.labelled[k]),
            "step": int(tables.step[k]),
            "n": int(here.sum()),
            "mean_dice": float(tables.dice[here].mean()),
            "good": float((tables.dice[here] >= GOOD).mean()),
            "bad": float((tables.dice[here] < BAD).mean()),
        }
        for k in range(len(tables.run))
        for here in [tables.network == k]
    ]


def _part(
    tables: NetworkTables, scores: Mapping[str, Float[NDArray, " N"]], rows: Bool[NDArray, " N"]
) -> dict[str, Any]:
    known = {name: rows & ~np.isnan(score) for name, score in scores.items()}
    estimates = {name: _measure(tables, scores[name], here) for name, here in known.items() if here.any()}
    weights, network, good = patient_weights(tables.patient[rows]), tables.network[rows], tables.dice[rows] >= GOOD
    coverage = {
        name: risk_coverage(-scores[name][rows], ~good, network, COVERAGE).tolist()
        for name in scores
        if _complete(scores[name][rows])
    }
    gains = {
        name: {key: estimates[name][key].minus(estimates[BASELINE][key]).as_json() for key in estimates[name]}
        for name in RIVALS
        if name in estimates
    }
    return {
        "rows": int(rows.sum()),
        "patients": len(np.unique(tables.patient[rows])),
        "networks": len(np.unique(network)),
        "prevalence": averaged(prevalence, network, weights, good).as_json(),
        "prevalence_fair": averaged(prevalence, network, weights, tables.dice[rows] >= FAIR).as_json(),
        "methods": {
            name: {"n": int(known[name].sum()), **{k: v.as_json() for k, v in each.items()}}
            for name, each in estimates.items()
        },
        "gain_over_confidence": gains,
        "coverage": COVERAGE.tolist(),
        "risk": {**coverage, "oracle": risk_coverage(-tables.dice[rows], ~good, network, COVERAGE).tolist()},
    }


def _measure(tables: NetworkTables, score: Float[NDArray, " N"], rows: Bool[NDArray, " N"]) -> dict[str, Estimate]:
    s, dice, network = score[rows], tables.dice[rows], tables.network[rows]
    weights = patient_weights(tables.patient[rows])

    def auc(s: NDArray, low: NDArray, weights: NDArray) -> NDArray:
        return weighted_auc(-s, low, ~low, weights)

    return {
        "spearman": averaged(spearman, network, weights, s, dice),
        "auc_good": averaged(auc, network, weights, s, dice < GOOD),
        "auc_bad": averaged(auc, network, weights, s, dice < BAD),
        "auc_bad_pooled": Estimate(auc(s, dice < BAD, weights)),
        "precision_half": averaged(half_precision, network, weights, s, dice >= GOOD),
        "precision_half_fair": averaged(half_precision, network, weights, s, dice >= FAIR),
        "kept_at_090_fair": averaged(kept_at_precision, network, weights, s, dice >= FAIR),
        "kept_at_090": averaged(kept_at_precision, network, weights, s, dice >= GOOD),
        "kept_at_090_pooled": Estimate(kept_at_precision(s, dice >= GOOD, weights)),
    }


def _reliability(tables: NetworkTables, score: Float[NDArray, " N"]) -> dict[str, Any]:
    """Reliability of the score scaled to probabilities by other patients' rows, 5-fold, pooled over networks."""
    good = tables.dice >= GOOD
    ranked = np.clip(within_rank(score, np.zeros(len(score))), 0.001, 0.999)
    fold = np.random.default_rng(1).permutation(tables.patient.max() + 1)[tables.patient] % 5
    probability = np.zeros(len(score))
    for held in (fold == k for k in range(5)):
        if held.any() and not held.all():
            probability[held] = platt_probability(ranked[held], fit_platt(ranked[~held], good[~held]))
    table = reliability_table(probability, good)
    bins = [[one.predicted, one.observed, one.n] for one in table.bins]
    return {"ece": table.ece, "brier": table.brier, "bins": bins}
