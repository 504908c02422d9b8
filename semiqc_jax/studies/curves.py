"""The study of curves: can one network's curve tell that its EF or EDV is wrong? Cross-validated by patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from semiqc_jax.errors import ConfigError
from semiqc_jax.progress import progress
from semiqc_jax.studies.curve_data import CurveSet, read_curves
from semiqc_jax.studies.curve_methods import METHODS, Inputs, prepare, svm
from semiqc_jax.studies.curve_report import write_report
from semiqc_jax.studies.detection import Estimate, patient_weights, risk_coverage, weighted_auc, within_networks

FOLDS, REPEATS = 5, 3
SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)  # of the training patients, for the learning curve
COVERAGE = np.arange(0.1, 1.01, 0.1)
COMBINATION = ("SVM", "network")
BASELINE, JUDGE = "boosted trees", "SVM + network"

Splits = list[Bool[NDArray, " N"]]  # the rows that are judged; all others may teach


@dataclass(frozen=True, eq=False)
class Judged:
    """Scores of the judged rows, [R, N] a method, R repeats."""

    scores: dict[str, Float[NDArray, "R N"]]
    learning: dict[str, Float[NDArray, "R N"]]  # of the SVM, by training patients


def study_curves(source: Path, output: Path, held_out: str = "") -> dict[str, Any]:
    """Run the study and write results.json, table.md and figure.png to `output`.

    Args:
        source: folder of `read_curves`.
        held_out: a split that is judged once by what all others teach; by default 5-fold cross-validation by
            patient, three times.

    Raises:
        DataError: see `read_curves`.
        ConfigError: `held_out` is no split of the references, or leaves nobody to learn from.
    """
    data = read_curves(source)
    repeats = [[_held_out(data, held_out)]] * REPEATS if held_out else [_folds(data, seed) for seed in range(REPEATS)]
    inputs = prepare(data)
    judged = _judge(data, inputs, repeats)
    rows = np.any(repeats[0], axis=0)
    found = _figures(data, inputs, judged, rows)
    found["protocol"] = f"split {held_out} held out" if held_out else f"{FOLDS}-fold by patient, {REPEATS} times"
    write_report(found, output)
    return found


def _folds(data: CurveSet, seed: int) -> Splits:
    fold = np.random.default_rng(seed).permutation(len(data.patients)) % FOLDS
    return [fold[data.patient] == k for k in range(FOLDS)]


def _held_out(data: CurveSet, split: str) -> Bool[NDArray, " N"]:
    rows = data.split == split
    if not rows.any() or rows.all():
        names = ", ".join(sorted(set(data.split)))
        raise ConfigError(f"split {split} is empty or everybody", "--held_out", f"choose of {names}, two or more")
    return rows


def _judge(data: CurveSet, inputs: Inputs, repeats: list[Splits]) -> Judged:
    n, shape = len(inputs.bad), (len(repeats), len(inputs.bad))
    scores = {name: np.full(shape, np.nan) for name in METHODS}
    learning: dict[str, NDArray] = {}
    total = sum(len(splits) for splits in repeats) * (len(METHODS) + len(SHARES) - 1)
    with progress("curves", total, "fits") as advance:
        for repeat, splits in enumerate(repeats):
            for k, held in enumerate(splits):
                for name, method in METHODS.items():
                    scores[name][repeat, held] = method(inputs, ~held, FOLDS * repeat + k)[held]
                    advance(note=name)
                for share, train in _fewer(data, ~held, repeat):
                    part = learning.setdefault(str(share), np.full((len(repeats), n), np.nan))
                    part[repeat, held] = svm(inputs, train, 0)[held]
                    advance(note="learning curve")
    learning[str(SHARES[-1])] = scores["SVM"]
    scores[JUDGE] = np.mean([scores[name] for name in COMBINATION], axis=0)
    return Judged(scores, learning)


def _fewer(data: CurveSet, train: Bool[NDArray, " N"], seed: int) -> Iterator[tuple[float, Bool[NDArray, " N"]]]:
    """Nested parts of the training patients, all of their networks' curves each."""
    order = np.random.default_rng(seed).permutation(np.unique(data.patient[train]))
    for share in SHARES[:-1]:
        yield share, np.isin(data.patient, order[: max(round(share * len(order)), 2)])


def _figures(data: CurveSet, inputs: Inputs, judged: Judged, rows: Bool[NDArray, " N"]) -> dict[str, Any]:
    bad, apart = data.bad[rows], data.disagreement()
    kinds = {
        "all": bad,
        "EF": data.bad_ef[rows],
        "EDV": data.bad_edv[rows],
        "own": bad & ~inputs.shared[rows],
        "shared": bad & inputs.shared[rows],
    }
    weights, network = patient_weights(data.patient[rows]), data.network[rows]

    def measure(scores: Float[NDArray, "R N"], kind: str) -> tuple[Estimate, Estimate]:
        each = [within_networks(score[rows], kinds[kind], ~bad, network, weights) for score in scores]
        return _mean([a for a, _ in each]), _mean([s for _, s in each])

    alone = {name: {kind: measure(x, kind) for kind in kinds} for name, x in judged.scores.items()}
    several = {
        "agreement": apart[None],
        f"agreement + {JUDGE}": apart[None] + judged.scores[JUDGE],
    }
    together = {name: {kind: measure(x, kind) for kind in kinds} for name, x in several.items()}
    learning = {share: measure(x, "all")[0].as_json() for share, x in judged.learning.items()}
    best, base = alone[JUDGE]["all"][0], alone[BASELINE]["all"][0]
    curves = {
        name: np.mean([risk_coverage(s[rows], bad, network, COVERAGE) for s in judged.scores[name]], 0).tolist()
        for name in ("roughness", BASELINE, "SVM", JUDGE)
    }
    return {
        "patients": len(np.unique(data.patient[rows])),
        "networks": len(data.networks),
        "curves": int(rows.sum()),
        "prevalence": {kind: float(is_bad.mean()) for kind, is_bad in kinds.items()},
        "ceiling": float(1 - 0.5 * kinds["shared"].sum() / max(bad.sum(), 1)),
        "one_network": {name: _json(kinds_of) for name, kinds_of in alone.items()},
        "several_networks": {name: _json(kinds_of) for name, kinds_of in together.items()},
        "pooled_auc": {name: _pooled(x[:, rows], bad, weights) for name, x in judged.scores.items()},
        "gain_over_boosted_trees": best.minus(base).as_json(),
        "learning_curve": learning,
        "coverage": COVERAGE.tolist(),
        "risk": curves,
    }


def _mean(estimates: list[Estimate]) -> Estimate:
    return Estimate(np.mean([x.resamples for x in estimates], 0))


def _pooled(scores: Float[NDArray, "R M"], bad: Bool[NDArray, " M"], weights: Float[NDArray, "B M"]) -> list[float]:
    """AUC over the curves of all networks as if of one."""
    return _mean([Estimate(weighted_auc(x, bad, ~bad, weights)) for x in scores]).as_json()


def _json(kinds: dict[str, tuple[Estimate, Estimate]]) -> dict[str, dict[str, list[float]]]:
    return {k: {"auc": a.as_json(), "sensitivity": s.as_json()} for k, (a, s) in kinds.items()}
