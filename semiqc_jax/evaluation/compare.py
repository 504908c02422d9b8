"""Compare finished runs: a row a run, a summary over draws and seeds, paired differences, plots, a page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semiqc_jax.anatomy import Task
from semiqc_jax.evaluation.agreement import bootstrap_interval, defined_mean, summary
from semiqc_jax.evaluation.arms import BASELINE, is_baseline, label_arms
from semiqc_jax.evaluation.compare_tables import markdown, page
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.pairs import PAIR_COLUMNS, all_pairs, by_draw, paired_difference
from semiqc_jax.evaluation.plots import Dot, dot_figure
from semiqc_jax.evaluation.runs import Run, measures, read_runs, row_columns
from semiqc_jax.files import write_bytes, write_csv, write_json, write_text

SCHEMA = 1


def summary_columns(task: Task) -> tuple[str, ...]:
    """Columns of `summary.csv`."""
    return (
        *("arm", "method", "labelled", "n_runs", "n_draws", "n_seeds", "n_subjects"),
        *measures(task),
        *("dice_sd_subjects", "dice_sd_runs", "dice_low", "dice_high"),
        *("difference", "difference_low", "difference_high", "n_paired_runs"),
    )


@dataclass(frozen=True)
class Comparison:
    """The table of a task: a record a run (`row_columns`), and one an arm and label budget (`summary_columns`), and one
    for every two arms (`PAIR_COLUMNS`)."""

    task: Task
    rows: tuple[dict[str, Any], ...]
    summary: tuple[dict[str, Any], ...]
    pairs: tuple[dict[str, Any], ...]


def compare_runs(runs_dir: Path, out_dir: Path) -> Comparison:
    """Compare every run under `runs_dir`; writes table.{csv,md,json}, summary.csv, pairs.csv, plots and report.html.

    Raises:
        NothingUsableError, DataError, ConfigError: no run, or runs that cannot be compared (`read_runs`).
    """
    runs = label_arms(read_runs(runs_dir))
    runs.sort(key=lambda r: (_budget(r.labelled), _arm_order(runs, r), r.draw, r.seed))
    groups = [list(g) for _, g in itertools.groupby(runs, key=lambda r: (r.labelled, r.arm))]
    task = runs[0].task
    found = Comparison(
        task=task,
        rows=tuple(run.record() for run in runs),
        summary=tuple(summarise(group, runs) for group in groups),
        pairs=all_pairs(groups),
    )
    write_csv(out_dir / "table.csv", row_columns(task), found.rows)
    write_csv(out_dir / "summary.csv", summary_columns(task), found.summary)
    write_csv(out_dir / "pairs.csv", PAIR_COLUMNS, found.pairs)
    header = {"schema": SCHEMA, "dataset": runs[0].dataset, "task": task.name, "split": "test", "baseline": BASELINE}
    write_json(out_dir / "table.json", {**header, "rows": found.rows, "summary": found.summary, "pairs": found.pairs})
    write_text(out_dir / "table.md", markdown(found.summary, found.rows, found.pairs, task))
    figures = _figures(groups, found)
    for name, png in zip(("dice_by_method.png", "difference.png"), figures.values()):
        write_bytes(out_dir / name, png)
    write_text(out_dir / "report.html", page(found.summary, found.rows, found.pairs, figures, runs[0].dataset, task))
    return found


def summarise(group: Sequence[Run], runs: Sequence[Run]) -> dict[str, Any]:
    """One arm at one label budget: means and spread over its runs, and the difference to the baseline.

    `dice_sd_subjects` is the spread over subjects of one run (averaged over runs), `dice_sd_runs` that of the
    run means over draws and seeds. Intervals are 95 % bootstraps over label draws and patients; a patient's
    value is first averaged over the runs of a draw. The difference pairs each run with the `supervised` run
    that differs in nothing but what was selected (`paired_difference`).
    """
    first = group[0]
    gain = paired_difference([run for run in group if not is_baseline(run)], [run for run in runs if is_baseline(run)])
    low, high = bootstrap_interval(by_draw([(run.draw, run.by_subject) for run in group]))
    return {
        "arm": first.arm,
        "method": first.method,
        "labelled": first.labelled,
        "n_runs": len(group),
        "n_draws": len({run.draw for run in group}),
        "n_seeds": len({run.seed for run in group}),
        "n_subjects": len(first.by_subject),
        **{name: defined_mean([run.values[name] for run in group]) for name in measures(first.task)},
        "dice_sd_subjects": defined_mean([run.dice_sd_subjects for run in group]),
        "dice_sd_runs": summary([run.values["dice_mean"] for run in group])["sd"],
        "dice_low": low,
        "dice_high": high,
        "difference": gain["difference"],
        "difference_low": gain["low"],
        "difference_high": gain["high"],
        "n_paired_runs": gain["n_paired_runs"],
    }


def _budget(labelled: str) -> tuple[int, float, str]:
    return (0, float(labelled), "") if labelled.isdigit() else (1, 0.0, labelled)


def _arm_order(runs: Sequence[Run], run: Run) -> tuple[int, str]:
    known = ("supervised", "self_training", "random", "confidence", "semiqcseg", "oracle")
    return (known.index(run.method) if run.method in known else len(known), run.arm)


def _figures(groups: Sequence[Sequence[Run]], found: Comparison) -> dict[str, bytes]:
    dice: dict[str, list[Dot]] = {}
    gain: dict[str, list[Dot]] = {}
    for group, line in zip(groups, found.summary):
        panel = f"{line['labelled']} labelled"
        runs = tuple(run.values["dice_mean"] for run in group)
        dice.setdefault(panel, []).append(
            Dot(line["arm"], line["dice_mean"], line["dice_low"], line["dice_high"], runs)
        )
        if line["n_paired_runs"]:
            gain.setdefault(panel, []).append(
                Dot(line["arm"], line["difference"], line["difference_low"], line["difference_high"], ())
            )
    figures = {"mean Dice": figure_png(dot_figure(dice, "mean Dice (95 % interval)"))}
    if gain:
        label = f"Dice gained over {BASELINE} (95 % interval)"
        figures[f"difference to {BASELINE}"] = figure_png(dot_figure(gain, label, zero=True))
    return figures
