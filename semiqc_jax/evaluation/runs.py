"""Finished runs under a folder, read from their files: one record a run, told apart by what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semiqc_jax.anatomy import SHORT_AXIS, TASKS, Task
from semiqc_jax.errors import ConfigError, DataError, NothingUsableError
from semiqc_jax.evaluation.agreement import defined_mean, summary
from semiqc_jax.evaluation.cases import MEASURED_COLUMNS
from semiqc_jax.evaluation.words import compared
from semiqc_jax.files import number, read_csv, read_json
from semiqc_jax.settings import with_defaults

FACTS = ("arm", "method", "augmentation", "model", "preset", "labelled", "draw", "seed")
MORE = ("dice_sd_subjects", "n_subjects", "updates", "run")
NOT_RECIPE = {  # settings that have a field of their own, or that change no number
    *("method", "step", "selector", "preset", "dataset", "labelled", "labelled_draw", "seed", "augmentation"),
    *("model.name", "data_dir", "inference_batch", "mapping", "devices", "resident_mb", "checkpoint_every"),
    *("log_every", "stage0_from"),
}


@dataclass(frozen=True)
class Run:
    """One evaluated run: what it was, what it measured, and the mean Dice of each test subject."""

    arm: str  # label: the method, until `label_arms` adds what else tells it apart
    method: str
    augmentation: str
    model: str
    preset: str
    labelled: str
    draw: str
    seed: str
    recipe: Mapping[str, str]  # the other settings that make a result, by dotted name
    dataset: str
    task: Task
    values: Mapping[str, float]  # by `measures`; NaN where unknown
    by_subject: Mapping[str, float]
    dice_sd_subjects: float
    updates: int | None
    path: str

    def record(self) -> dict[str, Any]:
        """The row of the table, by `row_columns`."""
        known = {name: getattr(self, name) for name in (*FACTS, *MORE) if hasattr(self, name)}
        return {**known, **self.values, "n_subjects": len(self.by_subject), "run": self.path}


def measures(task: Task) -> tuple[str, ...]:
    """What is compared between runs of a task, the columns of a table's measurements."""
    dice = (f"dice_{name}" for name in task.classes)
    errors = (index.error_name for index in compared(task))
    return ("dice_mean", *dice, "hd95_mm", "no_hd95", *errors, "precision_accepted")


def row_columns(task: Task) -> tuple[str, ...]:
    """Columns of `table.csv`."""
    return (*FACTS, *measures(task), *MORE)


def task_of(metrics: Mapping[str, Any], where: Path) -> Task:
    """The task that a `metrics.json` is of; one that does not say is of the short axis.

    Raises:
        DataError: this version does not know it.
    """
    name = metrics.get("task", SHORT_AXIS.name)
    if name not in TASKS:
        raise DataError(f"unknown task '{name}'", where, "read it with the version that wrote it")
    return TASKS[name]


def read_runs(runs_dir: Path) -> list[Run]:
    """Read every finished and evaluated run under a folder, in the order of their paths.

    Raises:
        NothingUsableError: no run there.
        ConfigError: runs are of different tasks.
        DataError: a run is unfinished or not evaluated, its evaluation is of another step or of others than
            its test split, or runs are of different data sets or test subjects.
    """
    folders = sorted(p.parent for p in runs_dir.rglob("config.json") if (p.parent / "status.json").is_file())
    if not folders:
        raise NothingUsableError(
            "no run", runs_dir, "give the folder that holds the runs (config.json and status.json)"
        )
    names = {folder: _name(folder, runs_dir) for folder in folders}
    status = {folder: read_json(folder / "status.json") for folder in folders}
    unfinished = [
        f"{names[f]} ({status[f].get('state', 'unknown')})"
        for f in folders
        if status[f].get("state") != "complete"
    ]
    if unfinished:
        what = f"unfinished runs: {', '.join(unfinished)}"
        raise DataError(what, runs_dir, "run their train commands again to the end, or move them elsewhere")
    bare = [names[f] for f in folders if not (f / "evaluation" / "test" / "metrics.json").is_file()]
    if bare:
        what = f"runs without evaluation/test: {', '.join(bare)}"
        raise DataError(what, runs_dir, "run launch/evaluate.py --split=test on each")
    runs = [_read_run(folder, names[folder], status[folder]) for folder in folders]
    tasks = {task: [run.path for run in runs if run.task.name == task] for task in {r.task.name for r in runs}}
    if len(tasks) > 1:
        what = "; ".join(f"{task}: {', '.join(paths)}" for task, paths in sorted(tasks.items()))
        raise ConfigError(f"runs of different tasks ({what})", runs_dir, "compare the runs of one task at a time")
    datasets = sorted({run.dataset for run in runs})
    if len(datasets) > 1:
        what = f"runs of different data sets: {', '.join(datasets)}"
        raise DataError(what, runs_dir, "compare one data set at a time")
    others = [run.path for run in runs if run.by_subject.keys() != runs[0].by_subject.keys()]
    if others:
        what = f"runs of other test subjects than {runs[0].path}: {', '.join(others)}"
        raise DataError(what, runs_dir, "compare runs of one test set at a time")
    return runs


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value as text) of nested settings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _name(folder: Path, runs_dir: Path) -> str:
    relative = folder.relative_to(runs_dir).as_posix()
    return runs_dir.resolve().name if relative == "." else relative


def _read_run(folder: Path, name: str, status: Mapping[str, Any]) -> Run:
    config = with_defaults(read_json(folder / "config.json"))  # runs of any version compare
    evaluation = folder / "evaluation" / "test"
    metrics = read_json(evaluation / "metrics.json")
    cases = read_csv(evaluation / "per_case.csv")
    by_subject = _dice_by_subject(cases)
    task = task_of(metrics, folder)
    try:
        _check_evaluation(folder, metrics["checkpoint"]["step"], status["step"], by_subject)
        dice = metrics["dice"]["all"]
        errors = metrics["indices"]["reference"]
        values = {
            "dice_mean": dice["mean"]["mean"],
            **{f"dice_{c}": dice[c]["mean"] for c in task.classes},
            "hd95_mm": metrics["hd95_mm"]["all"]["mean"]["mean"],
            "no_hd95": sum(_lacks_distance(case, task) for case in cases),
            **{index.error_name: errors[index.name]["mae"] for index in compared(task)},
            "precision_accepted": _last_precision(folder / "evaluation" / "selection.json"),
        }
        model = config.get("model", {})
        return Run(
            arm=str(config["method"]),
            method=str(config["method"]),
            augmentation=str(config.get("augmentation", "")),
            model=str(model.get("name", "") if isinstance(model, Mapping) else model),
            preset=str(config.get("preset") or ""),
            labelled=str(config["labelled"]),
            draw=str(config.get("labelled_draw", "")),
            seed=str(config.get("seed", "")),
            recipe={key: value for key, value in flat(config) if key not in NOT_RECIPE},
            dataset=str(metrics.get("dataset", "")),
            task=task,
            values={key: float("nan") if value is None else value for key, value in values.items()},
            by_subject=by_subject,
            dice_sd_subjects=summary(list(by_subject.values()))["sd"],
            updates=status["step"],
            path=name,
        )
    except KeyError as error:
        mend = "train and evaluate it again with this version and --protocol=native"
        raise DataError(f"run lacks {error}", folder, mend) from error


def _check_evaluation(folder: Path, step: int, last: int, tested: Mapping[str, float]) -> None:
    """Refuse an evaluation that `--checkpoint` or `--data` made of something else than the run's result."""
    mend = "run launch/evaluate.py --split=test on it again, without --checkpoint and --data"
    if step != last:
        raise DataError(f"evaluation/test is of step {step}, the run ended at step {last}", folder, mend)
    strangers = sorted(tested.keys() - set(read_json(folder / "splits.json")["test"]))
    if strangers:
        what = f"evaluation/test has {len(strangers)} subjects that are not in the run's test split"
        raise DataError(f"{what} ({strangers[0]}, ...)", folder, mend)


def _lacks_distance(case: Mapping[str, str], task: Task) -> bool:
    """Whether a class that is drawn on every slice has no distance because it, or its prediction, is empty."""
    return not case["hd95_mm"] and bool(case[MEASURED_COLUMNS[task.curve][1]]) and number(case["dice"]) == 0


def _dice_by_subject(cases: Iterable[Mapping[str, str]]) -> dict[str, float]:
    """Mean Dice of each subject: over the classes of a frame, then over its frames."""
    frames: dict[str, dict[str, list[float]]] = {}
    for row in cases:
        frames.setdefault(row["subject_id"], {}).setdefault(row["frame"], []).append(number(row["dice"]))
    return {
        subject_id: defined_mean([defined_mean(classes) for classes in by_frame.values()])
        for subject_id, by_frame in frames.items()
    }


def _last_precision(path: Path) -> float | None:
    """Precision of what the last round accepted; None without rounds or where the pool's truth is unknown."""
    rounds = read_json(path)["rounds"] if path.is_file() else []
    return rounds[-1].get("precision_accepted") if rounds else None
