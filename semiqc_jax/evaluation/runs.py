"""Finished runs under a folder, read from their files: one record a run, told apart by what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.evaluation.agreement import defined_mean, summary
from semiqc_jax.files import number, read_csv, read_json

CLASSES = ("lv", "myo", "rv")
INDEX_COLUMNS = {
    "lvedv_mae_ml": "lvedv_ml",
    "lvesv_mae_ml": "lvesv_ml",
    "lvef_mae_pct": "lvef_pct",
    "rvedv_mae_ml": "rvedv_ml",
    "rvef_mae_pct": "rvef_pct",
}
MEASURES = (
    "dice_mean", *(f"dice_{name}" for name in CLASSES), "hd95_mm", *INDEX_COLUMNS, "precision_accepted",
)  # fmt: skip
ROW_COLUMNS = ("arm", "method", "augmentation", "model", "preset", "labelled", "draw", "seed", *MEASURES,
               "dice_sd_subjects", "n_subjects", "updates", "run")  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One evaluated run: what it was, what it measured, and the mean Dice of each test subject."""

    arm: str  # label: the method, and what else tells it apart from other arms
    method: str
    augmentation: str
    model: str
    preset: str
    labelled: str
    draw: str
    seed: str
    dataset: str
    values: Mapping[str, float]  # by `MEASURES`; NaN where unknown
    by_subject: Mapping[str, float]
    dice_sd_subjects: float
    updates: int | None
    path: str

    def record(self) -> dict[str, Any]:
        """The row of the table, by `ROW_COLUMNS`."""
        known = {name: getattr(self, name) for name in ROW_COLUMNS if hasattr(self, name)}
        return {**known, **self.values, "n_subjects": len(self.by_subject), "run": self.path}


def read_runs(runs_dir: Path) -> list[Run]:
    """Read every finished and evaluated run under a folder, in the order of their paths.

    Raises:
        NothingUsableError: no run there.
        DataError: a run is unfinished or not evaluated, or runs are of different data sets.
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
    datasets = sorted({run.dataset for run in runs})
    if len(datasets) > 1:
        what = f"runs of different data sets: {', '.join(datasets)}"
        raise DataError(what, runs_dir, "compare one data set at a time")
    return label_arms(runs)


def _name(folder: Path, runs_dir: Path) -> str:
    relative = folder.relative_to(runs_dir).as_posix()
    return runs_dir.resolve().name if relative == "." else relative


def _read_run(folder: Path, name: str, status: Mapping[str, Any]) -> Run:
    config = read_json(folder / "config.json")
    evaluation = folder / "evaluation" / "test"
    metrics = read_json(evaluation / "metrics.json")
    by_subject = _dice_by_subject(evaluation / "per_case.csv")
    try:
        dice = metrics["dice"]["all"]
        errors = metrics["indices"]["reference"]
        values = {
            "dice_mean": dice["mean"]["mean"],
            **{f"dice_{c}": dice[c]["mean"] for c in CLASSES},
            "hd95_mm": metrics["hd95_mm"]["all"]["mean"]["mean"],
            **{column: errors[index]["mae"] for column, index in INDEX_COLUMNS.items()},
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
            dataset=str(metrics.get("dataset", "")),
            values={key: float("nan") if value is None else float(value) for key, value in values.items()},
            by_subject=by_subject,
            dice_sd_subjects=summary(list(by_subject.values()))["sd"],
            updates=status.get("step"),
            path=name,
        )
    except KeyError as error:
        mend = "train and evaluate it again with this version and --protocol=native"
        raise DataError(f"run lacks {error}", folder, mend) from error


def _dice_by_subject(path: Path) -> dict[str, float]:
    """Mean Dice of each subject: over the classes of a frame, then over its frames."""
    frames: dict[str, dict[str, list[float]]] = {}
    for row in read_csv(path):
        frames.setdefault(row["subject_id"], {}).setdefault(row["frame"], []).append(number(row["dice"]))
    return {
        subject_id: defined_mean([defined_mean(classes) for classes in by_frame.values()])
        for subject_id, by_frame in frames.items()
    }


def _last_precision(path: Path) -> float | None:
    """Precision of what the last round accepted; None without rounds or where the pool's truth is unknown."""
    rounds = read_json(path)["rounds"] if path.is_file() else []
    return rounds[-1].get("precision_accepted") if rounds else None


def label_arms(runs: Sequence[Run]) -> list[Run]:
    """Name each run's arm: its method, and augmentation, network and preset where runs differ in them.

    Where two runs would still be the same (arm, labels, draw, seed), the names of their folders tell them
    apart.
    """
    differ = [key for key in ("augmentation", "model", "preset") if len({getattr(r, key) for r in runs}) > 1]
    shown = {"augmentation": "{} augmentation", "model": "{}", "preset": "{}"}

    def label(run: Run) -> str:
        extra = [shown[key].format(getattr(run, key) or "default") for key in differ]
        return ", ".join([run.method, *extra]).replace("none augmentation", "no augmentation")

    named = [replace(run, arm=label(run)) for run in runs]
    keys = [(run.arm, run.labelled, run.draw, run.seed) for run in named]
    return [
        replace(run, arm=f"{run.arm} [{run.path}]") if keys.count(key) > 1 else run
        for run, key in zip(named, keys)
    ]
