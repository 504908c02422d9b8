"""The study of slices: which score says best how good a slice is? Within a network, over patients that it never saw."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from semiqc_jax.errors import NothingUsableError
from semiqc_jax.files import write_arrays, write_json, write_text
from semiqc_jax.progress import progress
from semiqc_jax.quality.slice_ridge import SliceRegressor, fit_slices, predicted_dice, slice_regressor_arrays
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.studies.detection import Estimate, patient_weights
from semiqc_jax.studies.rank_correlation import weighted_spearman
from semiqc_jax.studies.slice_tables import SliceTable, read_slices

REGRESSOR = "slice_regressor.npz"
LEARNED, UNSEEN = "learned", "learned, runs apart"
BASELINE, RULES, ORACLE = "confidence", "slice rules", "subject's true Dice"
RESAMPLES = 300
KEPT = 0.5  # the share of a network's slices that a score chooses, as in training
END = 1.0  # slices at an end of what is predicted in their frame


def study_slices(tables: Path, output: Path, exclude: Collection[str] = ()) -> dict[str, Any]:
    """Fit the regressor, compare all scores, and write results.json, table.md and slice_regressor.npz to `output`.

    Args:
        tables: the folder.
        output: the folder to write to.
        exclude: subjects whose slices are left out.

    Raises:
        NothingUsableError: there are no tables, or they hold fewer than two patients.
        DataError: see `read_slices`.
    """
    table = read_slices(tables, exclude)
    if len(table.patients) < 2:
        raise NothingUsableError("fewer than two patients", tables, "make tables of more, launch/study_networks.py")
    regressor = fit(table)
    found = figures(table, regressor)
    write_arrays(output / REGRESSOR, slice_regressor_arrays(regressor))
    write_json(output / "results.json", found)
    write_text(output / "table.md", markdown(found))
    return found


def fit(table: SliceTable, rows: Bool[NDArray, " M"] | None = None) -> SliceRegressor:
    """The regressor of some slices of the tables, by default of all; cross-fitted by patient."""
    rows = np.ones(len(table.dice), bool) if rows is None else rows
    networks, patients = len(np.unique(table.network[rows])), len(np.unique(table.patient[rows]))
    learned = f"{networks} networks' segmentations of {patients} patients, {rows.sum()} slices"
    source = f"{learned}, cross-fitted by patient"
    return fit_slices(table.features[rows], table.dice[rows], _subjects(table, rows), source, checks_of(table.task))


def _subjects(table: SliceTable, rows: Bool[NDArray, " M"]) -> list[str]:
    return np.array(table.patients)[table.patient[rows]].tolist()


def by_other_runs(table: SliceTable) -> Float[NDArray, " M"]:
    """Expected Dice by regressors that saw neither the patient nor any checkpoint of the run; NaN for a lone run."""
    found = np.full(len(table.dice), np.nan)
    of_run = np.array(table.runs)[table.network]
    runs = sorted({*table.runs})
    with progress("regressors that never saw the run", len(runs), "runs") as advance:
        for run in runs if len(runs) > 1 else ():
            here = of_run == run
            found[here] = predicted_dice(table.features[here], fit(table, ~here), _subjects(table, here))
            advance()
    return found


def figures(table: SliceTable, regressor: SliceRegressor) -> dict[str, Any]:
    """Every figure of the study, of all networks and of those of each number of labelled patients."""
    learned = predicted_dice(table.features, regressor, _subjects(table, table.dice >= 0))
    scores = {**table.scores, LEARNED: learned, UNSEEN: by_other_runs(table), ORACLE: table.subject_dice}
    scores = {name: score for name, score in scores.items() if not np.isnan(score).any()}
    labelled = np.array(table.labelled)
    groups = {"all": np.ones(len(labelled), bool)}
    groups |= {str(n): labelled == n for n in np.unique(labelled)}
    weights = patient_weights(np.arange(len(table.patients)), resamples=RESAMPLES)
    with progress("scores of slices", len(scores), "scores") as advance:
        each = {}
        for name, score in scores.items():
            each[name] = _of_networks(table, score, weights)
            advance(note=name)
    everyone = {"mean_dice": float(table.dice.mean()), "at_the_ends": float(_at_end(table).mean())}
    best, base, rules = each[LEARNED], each[BASELINE], each[RULES]
    return {
        "task": table.task,
        "patients": len(table.patients),
        "networks": {name: int(of.sum()) for name, of in groups.items()},
        "slices": len(table.dice),
        "missed": table.n_missed,
        "spearman": {
            name: {group: _mean(values[of]).as_json() for group, of in groups.items()} for name, values in each.items()
        },
        "learned_minus_confidence": {g: _mean(best[of] - base[of]).as_json() for g, of in groups.items()},
        "rules_minus_confidence": {g: _mean(rules[of] - base[of]).as_json() for g, of in groups.items()},
        "everyone": everyone,
        "best_half": {name: _best_half(table, score) for name, score in {**scores, "true Dice": table.dice}.items()},
        "learned_error": float(np.abs(learned - table.dice).mean()),
    }


def _of_networks(table: SliceTable, score: Float[NDArray, " M"], weights: Float[NDArray, "B P"]) -> NDArray:
    """Spearman's correlation with the true Dice within each network, [networks, B]."""
    return np.stack(
        [
            weighted_spearman(score[rows], table.dice[rows], weights[:, table.patient[rows]])
            for rows in table.rows_of_networks
        ]
    )


def _mean(values: Float[NDArray, "networks B"]) -> Estimate:
    there = ~np.isnan(values)
    return Estimate(np.where(there, values, 0).sum(0) / np.maximum(there.sum(0), 1))


def _best_half(table: SliceTable, score: Float[NDArray, " M"]) -> dict[str, float]:
    """Of the half of each network's slices that score best: mean Dice, and the share at the ends of the heart."""
    dice, ends = [], []
    for rows in table.rows_of_networks:
        chosen = np.flatnonzero(rows)[np.argsort(-score[rows], kind="stable")[: max(round(KEPT * rows.sum()), 1)]]
        dice.append(table.dice[chosen].mean())
        ends.append(_at_end(table)[chosen].mean())
    return {"mean_dice": float(np.mean(dice)), "at_the_ends": float(np.mean(ends))}


def _at_end(table: SliceTable) -> Bool[NDArray, " M"]:
    return table.scores["place"] <= END


def markdown(found: dict[str, Any]) -> str:
    """The table with what it rests on."""
    groups = list(found["networks"])
    heads = [f"{'all' if g == 'all' else g + ' labelled'} ({found['networks'][g]})" for g in groups]
    everyone = found["everyone"]
    lines = [
        f"{found['slices']} slices of {found['patients']} patients on which something is predicted, by "
        f"{found['networks']['all']} networks that never saw the patient (mean Dice {everyone['mean_dice']:.3f}, "
        f"{everyone['at_the_ends']:.1%} at an end of what is predicted in their frame; {found['missed']} slices with "
        "nothing predicted where something is drawn are left out). Spearman's correlation with a slice's true Dice "
        "within a network, then averaged [95 %, bootstrap over patients], by the number of labelled patients "
        "(networks); then mean Dice of the best half of a network's slices, and how many of those are at an end.",
        "",
        f"| score | {' | '.join(heads)} | Dice of the best half | at the ends |",
        f"| --- |{' --- |' * (len(groups) + 2)}",
    ]
    for name, of in found["best_half"].items():
        cells = [_interval(found["spearman"][name][g]) if name in found["spearman"] else "1" for g in groups]
        lines.append(f"| {name} | {' | '.join(cells)} | {of['mean_dice']:.3f} | {of['at_the_ends']:.1%} |")
    gains = "; ".join(
        f"{what} minus confidence: {_interval(found[f'{what}_minus_confidence']['all'], '+.3f')}"
        for what in ("learned", "rules")
    )
    return "\n".join([*lines, "", f"{gains}. Mean absolute error of the learned: {found['learned_error']:.3f}."]) + "\n"


def _interval(values: list[float], style: str = ".3f") -> str:
    value, low, high = (format(x, style) for x in values)
    return f"{value} [{low}, {high}]"
