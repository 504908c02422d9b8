"""Every arm against every other: paired differences in Dice, with intervals over label draws and patients."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from semiqc_jax.evaluation.agreement import bootstrap_interval, defined_mean
from semiqc_jax.evaluation.arms import differ_in_selection
from semiqc_jax.evaluation.runs import Run

PAIR_COLUMNS = ("labelled", "arm", "other", "difference", "low", "high", "n_paired_runs", "n_draws")


def paired_difference(ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, Any]:
    """Mean Dice of one arm's runs above another's, each pair of one draw, seed and recipe, paired by patient.

    A patient's value is first averaged over the runs of a draw; the 95 % interval is a bootstrap over draws and
    patients. Pairs differ in nothing but what was selected (`differ_in_selection`); NaN where there is none.
    """
    gains = [
        (run.draw, {subject: dice - other.by_subject[subject] for subject, dice in run.by_subject.items()})
        for run, other in itertools.product(ours, theirs)
        if differ_in_selection(run, other)
    ]
    values = by_draw(gains)
    low, high = bootstrap_interval(values)
    return {
        "difference": defined_mean(values.ravel().tolist()),
        "low": low,
        "high": high,
        "n_paired_runs": len(gains),
        "n_draws": len(values),
    }


def all_pairs(groups: Sequence[Sequence[Run]]) -> tuple[dict[str, Any], ...]:
    """A record of `PAIR_COLUMNS` for every two arms of a label budget that have runs to be paired."""
    found = (
        {"labelled": ours[0].labelled, "arm": ours[0].arm, "other": theirs[0].arm, **paired_difference(ours, theirs)}
        for ours, theirs in itertools.permutations(groups, 2)
        if ours[0].labelled == theirs[0].labelled
    )
    return tuple(record for record in found if record["n_paired_runs"])


def by_draw(values: Sequence[tuple[str, Mapping[str, float]]]) -> Float[np.ndarray, "draws subjects"]:
    """Values of subjects by label draw, from (draw, subject -> value) of runs: the mean over a draw's runs."""
    draws: dict[str, list[list[float]]] = {}
    for draw, by_subject in values:
        draws.setdefault(draw, []).append([by_subject[s] for s in sorted(by_subject)])
    return np.array([np.mean(runs, 0) for runs in draws.values()])


def pair_tables(pairs: Sequence[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """For each label budget a table as text: a line an arm, a column each other; `*`: the interval leaves out 0."""
    tables: dict[str, list[list[str]]] = {}
    for labelled in dict.fromkeys(pair["labelled"] for pair in pairs):
        here = {(p["arm"], p["other"]): p for p in pairs if p["labelled"] == labelled}
        arms = list(dict.fromkeys(arm for arm, _ in here))
        rows = [[arm, *(_cell(here.get((arm, other))) for other in arms)] for arm in arms]
        tables[labelled] = [["above", *arms], *rows]
    return tables


def _cell(pair: Mapping[str, Any] | None) -> str:
    if pair is None:
        return "–"
    star = "*" if pair["low"] > 0 or pair["high"] < 0 else ""
    return f"{pair['difference']:+.3f}{star}"
