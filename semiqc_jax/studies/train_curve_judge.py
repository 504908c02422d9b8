"""A judge of volume curves as a file, learned from synthetic hearts or from curves whose reference is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from semiqc_jax.errors import ConfigError
from semiqc_jax.quality.curve_chance import CurveExamples, CurveJudge, fit_curve_judge
from semiqc_jax.rounds.curve_file import write_curve_judge
from semiqc_jax.studies.broken_curves import COPIES, HEARTS, PHANTOM_SEED, broken_curves
from semiqc_jax.studies.curve_data import CurveSet, read_curves
from semiqc_jax.studies.curve_methods import Inputs, learnable, prepare

FEWEST = 10  # patients


def train_curve_judge(output: Path, source: Path | None = None, split: str = "train") -> CurveJudge:
    """Fit a judge of volume curves and write it.

    Args:
        source: folder of `read_curves`; without one the judge learns from synthetic hearts alone.
        split: of the source: whose curves teach; every name but these is left for judging.

    Raises:
        DataError, NothingUsableError: see `read_curves`.
        ConfigError: the split has fewer than ten patients with a usable curve.
    """
    judge = judge_of_phantoms() if source is None else judge_of_curves(read_curves(source), split)
    write_curve_judge(output, judge)
    return judge


def judge_of_phantoms(hearts: int = HEARTS, copies: int = COPIES) -> CurveJudge:
    """A judge that learned from synthetic hearts whose curves were broken on purpose: no real curve is used."""
    data = broken_curves(hearts, copies, PHANTOM_SEED)
    inputs = prepare(data)
    usable = ~inputs.unusable
    source = f"{usable.sum()} curves of {hearts} synthetic hearts, broken on purpose"
    return fit_curve_judge(_examples(data, inputs, usable, usable), source)


def judge_of_curves(data: CurveSet, split: str) -> CurveJudge:
    """A judge that learned from real curves of one split.

    Raises:
        ConfigError: fewer than ten of its patients have a usable curve.
    """
    inputs = prepare(data)
    rows = (data.split == split) & ~inputs.unusable
    patients = [data.patients[i] for i in np.unique(data.patient[rows])]
    if len(patients) < FEWEST:
        names = ", ".join(sorted(set(data.split)))
        what = f"{len(patients)} patients to learn from in the split '{split}'"
        raise ConfigError(what, "--split", f"give one of {FEWEST} or more; splits are {names}")
    teaches = learnable(inputs, rows)
    networks = len(np.unique(data.network[rows]))
    source = f"{rows.sum()} curves of {len(patients)} patients by {networks} networks"
    return fit_curve_judge(_examples(data, inputs, rows, teaches), source, patients)


def _examples(data: CurveSet, inputs: Inputs, rows: Bool[NDArray, " N"], teaches: Bool[NDArray, " N"]) -> CurveExamples:
    per_row = (inputs.features, inputs.severity, inputs.bad, teaches, data.patient)
    return CurveExamples(*(x[rows] for x in per_row))
