"""Evaluation of a run: segment a split with a checkpoint, measure it, and look back at what was selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from semiqc_jax.anatomy import TASKS
from semiqc_jax.checkpoints import load_model
from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.errors import ConfigError
from semiqc_jax.evaluation.cases import Case
from semiqc_jax.evaluation.evaluate import write_evaluation
from semiqc_jax.evaluation.files import write_figure
from semiqc_jax.evaluation.quality_figures import choice_figure
from semiqc_jax.evaluation.report import write_report
from semiqc_jax.files import number, read_csv, read_json, write_json
from semiqc_jax.inputs.grid import Grid
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Segmenter, cohort_cines, segment_studies
from semiqc_jax.progress import progress
from semiqc_jax.rounds.galleries import write_galleries
from semiqc_jax.rounds.pool import Pool, true_dice
from semiqc_jax.rounds.quality_pages import write_round_page
from semiqc_jax.segmentation.predict import Model


def open_model(run: Path, step: int | None = None) -> tuple[Model, Mapping[str, Any]]:
    """The network of a run with the weights of a checkpoint, and {step, round, sha256} of that."""
    record = load_model(run / "checkpoints", step)
    info = record.info
    grid = Grid(int(info["grid"][0]), float(info["grid"][1]))
    model = Model(record.network, record.variables, grid, TASKS[info["task"]], bool(info["flip_average"]))
    return model, {key: info[key] for key in ("step", "round", "sha256")}


def evaluate_run(
    run: Path, split: str, step: int | None = None, data: str = "", protocol: str = "native"
) -> dict[str, Any]:
    """Segment and measure one split; writes `evaluation/SPLIT`, `evaluation/selection.json` and the report.

    Args:
        split: a split of the data set, or `labelled`, `pool` or `all`.
        step: the checkpoint; the last for None.
        data: another data set than the run's own; its splits then count.
    """
    config = read_json(run / "config.json")
    cohort = open_cohort(data or config["data_dir"])
    splits = dict(cohort.splits) if data else read_json(run / "splits.json")
    splits["all"] = [s.subject_id for s in cohort.subjects]
    if not splits.get(split):
        known = ", ".join(name for name, ids in splits.items() if ids)
        raise ConfigError(f"split '{split}' is empty or unknown", "--split", f"choose one of {known}")
    subjects = [cohort.index(i) for i in splits[split]]
    subjects = [i for i in subjects if cohort.subjects[i].has_label]
    model, checkpoint = open_model(run, step)
    if model.task != cohort.task:
        what = f"the run segments '{model.task.name}', the data set is of '{cohort.task.name}'"
        raise ConfigError(what, cohort.name, "evaluate it on a data set of the same task")
    segmenter = Segmenter.of(model, Devices.of(), config["inference_batch"])
    header = {"dataset": cohort.name, "split": split, "protocol": protocol, "checkpoint": dict(checkpoint)}
    name = split if protocol == "native" else f"{split}_{protocol}"
    with progress(f"evaluating {split}", len(subjects), "subjects") as advance:
        cases = _cases(cohort, subjects, segmenter, advance)
        metrics = write_evaluation(run / "evaluation" / name, cases, header, cohort.task)
    if not data:
        _look_back(run, cohort, splits["pool"], config["quality"]["target_dice"])
    write_report(run)
    return metrics


def metrics_line(metrics: Mapping[str, Any]) -> str:
    """One line for people."""
    dice = metrics["dice"]["all"]
    parts = ", ".join(f"{name} {values['mean']:.3f}" for name, values in dice.items())
    return f"{metrics['split']}: n = {metrics['n_subjects']}, Dice {parts}"


def _cases(cohort: Cohort, subjects: Sequence[int], segmenter: Segmenter, advance: Any) -> Iterator[Case]:
    segmented = segment_studies(segmenter, cohort_cines(cohort, subjects))
    for i, found in zip(subjects, segmented, strict=True):
        label, labelled = read_truth(cohort, i)
        yield Case(cohort.subjects[i], cohort.image(i), found.label, label, labelled)
        advance()


def _look_back(run: Path, cohort: Cohort, members: Sequence[str], target: float) -> None:
    """Pictures of each round's choice, and, where the pool's truth is known, how right it was."""
    subjects = tuple(cohort.index(i) for i in members)
    folders = sorted((run / "rounds").glob("[0-9]*"))
    pools = [pool for folder in folders if (pool := Pool(cohort, subjects, folder)).is_complete]
    for pool in pools:
        write_galleries(pool)
        write_round_page(pool)
    if all(cohort.subjects[i].has_label for i in subjects):
        _write_selection(run, pools, target)


def _write_selection(run: Path, pools: Sequence[Pool], target: float) -> None:
    """How right each round's choice was: `evaluation/selection.json`."""
    rounds = []
    for pool in pools:
        dice = true_dice(pool)
        rows = read_csv(pool.folder / "quality.csv")
        score = np.array([number(row["score"]) for row in rows])
        selected = np.array([row["selected"] == "1" for row in rows])
        good = dice >= target
        groups = [pool.cohort.subjects[i].group for i in pool.subjects]
        write_figure(pool.folder / "choice.png", choice_figure(score, good, selected, groups))
        rounds.append(
            {
                "round": int(pool.folder.name),
                "n_selected": int(selected.sum()),
                "n_pool": len(rows),
                "target_dice": target,
                "prevalence": float(good.mean()),
                "precision_accepted": float(good[selected].mean()) if selected.any() else None,
                "mean_dice_accepted": float(dice[selected].mean()) if selected.any() else None,
                "mean_dice_pool": float(dice.mean()),
                "spearman_score": rank_correlation(score, dice),
                "spearman_confidence": rank_correlation([number(row["confidence"]) for row in rows], dice),
                "accepted_by_group": accepted_by_group(groups, selected, good),
                "slices": slices_in_sight(pool),
            }
        )
    write_json(run / "evaluation" / "selection.json", {"rounds": rounds})


def slices_in_sight(pool: Pool) -> dict[str, Any] | None:
    """How right a round's choice of frames or slices was; None where it chose subjects."""
    path = pool.folder / "slices.csv"
    if not path.exists():
        return None
    rows, truth = read_csv(path), true_dice(pool, "slice")
    place = {pool.cohort.subjects[i].subject_id: n for n, i in enumerate(pool.subjects)}
    dice = np.array([truth[place[row["subject_id"]], int(row["frame"]), int(row["slice"])] for row in rows])
    score = np.array([number(row["score"]) for row in rows])
    taken = np.array([row["selected"] == "1" for row in rows])
    there = ~np.isnan(dice)
    judged = there & ~np.isnan(score)
    return {
        "n": int(there.sum()),
        "n_selected": int((there & taken).sum()),
        "mean_dice": float(dice[there].mean()),
        "mean_dice_selected": float(dice[there & taken].mean()) if (there & taken).any() else None,
        "spearman_score": rank_correlation(score[judged], dice[judged]),
    }


def accepted_by_group(
    groups: Sequence[str | None], accepted: NDArray[np.bool_], good: NDArray[np.bool_]
) -> dict[str, dict[str, int]]:
    """Of each disease group that is known: how many there are, were accepted, and are good ({n, accepted, good})."""
    members = {name: np.array([g == name for g in groups]) for name in sorted({g for g in groups if g})}
    return {
        name: {"n": int(of.sum()), "accepted": int((of & accepted).sum()), "good": int((of & good).sum())}
        for name, of in members.items()
    }


def rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's correlation; NaN where a side is constant or holds NaN."""
    both = np.asarray([a, b], float)
    return float(spearmanr(*both).statistic) if (np.ptp(both, axis=1) > 0).all() else float("nan")
