"""The text forms of a comparison: cells, Markdown and the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from semiqc_jax.anatomy import Task
from semiqc_jax.evaluation.arms import BASELINE
from semiqc_jax.evaluation.pairs import pair_tables
from semiqc_jax.evaluation.report import data_uri, render, show
from semiqc_jax.evaluation.words import CLASS_HEADS, compared


class Column(NamedTuple):
    """How a measure is shown."""

    head: str
    digits: int
    more_is_better: bool


def columns(task: Task) -> dict[str, Column]:
    """The columns of what is compared, by the names of `measures(task)`."""
    return {
        "dice_mean": Column("Dice", 3, True),
        **{f"dice_{name}": Column(CLASS_HEADS[name], 3, True) for name in task.classes},
        "hd95_mm": Column("HD95 mm", 1, False),
        "no_hd95": Column("no HD95", 1, False),
        **{index.error_name: Column(index.head, index.digits, False) for index in compared(task)},
        "precision_accepted": Column("precision", 2, True),
    }


def rest(task: Task) -> dict[str, Column]:
    """The columns after mean Dice, which has its spread beside it."""
    return {name: column for name, column in columns(task).items() if name != "dice_mean"}


def note(task: Task) -> str:
    """What the columns mean."""
    classes = ", ".join(CLASS_HEADS[name] for name in task.classes)
    indices = "; ".join(f"{index.head}, {index.title}" for index in compared(task))
    return (
        f"Dice is the mean over classes and labelled frames; {classes}: one class alone. The first ± is the "
        "sd over subjects within a run; the second, where there are several runs, the sd of the runs' means over "
        "draws and seeds. HD95 leaves out structures that have no distance because the prediction (or the "
        "reference) is empty; `no HD95` counts them in a run: where it differs, HD95 is not comparable. "
        f"Mean absolute errors at the reference's {task.read_at}: {indices}. The difference is to the "
        f"`{BASELINE}` run with the same labels, draw, seed, augmentation, network, grid and schedule, paired by "
        "patient, with a 95 % bootstrap interval over label draws and patients (one draw: patients only). "
        "Precision is the share of the accepted subjects that reach the target Dice, where the truth of the pool "
        "is known."
    )


def summary_head(task: Task) -> list[str]:
    """Column heads of `summary_cells`."""
    fixed = ["method", "labels", "runs", "draws", "Dice ± sd", f"to {BASELINE} [95 %]"]
    return [*fixed, *(column.head for column in rest(task).values())]


def summary_cells(record: Mapping[str, Any], task: Task) -> list[str]:
    """A line of the summary as text: arm, labels, runs, draws, Dice, paired difference, then the other measures."""
    spread = f"{show(record['dice_mean'])} ± {show(record['dice_sd_subjects'])}"
    if record["n_runs"] > 1:
        spread += f" / {show(record['dice_sd_runs'])}"
    gain = "–"
    if record["n_paired_runs"]:
        low, high = (f"{record[key]:+.3f}" for key in ("difference_low", "difference_high"))
        gain = f"{record['difference']:+.3f} [{low}, {high}]"
    measured = (show(record[name], column.digits) for name, column in rest(task).items())
    counts = [str(record[name]) for name in ("n_runs", "n_draws")]
    return [record["arm"], record["labelled"], *counts, spread, gain, *measured]


def run_head(task: Task) -> list[str]:
    """Column heads of `run_cells`."""
    measured = (column.head for column in columns(task).values())
    return ["method", "labels", "draw", "seed", *measured, "updates", "subjects", "run"]


def run_cells(record: Mapping[str, Any], task: Task) -> list[str]:
    """A line of the table of runs as text."""
    measured = (show(record[name], column.digits) for name, column in columns(task).items())
    fixed = (record[name] for name in ("arm", "labelled", "draw", "seed"))
    return [*fixed, *measured, show(record["updates"]), str(record["n_subjects"]), record["run"]]


PAIRS_NOTE = (
    "Mean Dice of the arm of a line above that of a column, paired like the difference to the baseline; *: the 95 % "
    "interval leaves out 0 (many comparisons: one in twenty does by chance). Intervals are in pairs.csv."
)
Records = Sequence[Mapping[str, Any]]


def markdown(summary: Records, rows: Records, pairs: Records, task: Task) -> str:
    """All tables in Markdown."""

    def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
        cells = [head, ["---"] * len(head), *lines]
        return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in cells]

    parts = ["## Summary", "", *table(summary_head(task), [summary_cells(s, task) for s in summary])]
    parts += ["", note(task), ""]
    for labelled, (head, *lines) in pair_tables(pairs).items():
        parts += [f"## Between arms, {labelled} labelled", "", *table(head, lines), ""]
    parts += [PAIRS_NOTE, "", "## Runs", "", *table(run_head(task), [run_cells(r, task) for r in rows])]
    return "\n".join([*parts, ""])


def page(
    summary: Records,
    rows: Records,
    pairs: Records,
    figures: Mapping[str, bytes],
    dataset: str,
    task: Task,
) -> str:
    """The HTML page; the best value of each label budget stands out. `figures` maps titles to PNGs."""
    best = [[_is_best(line, name, summary, col) for name, col in rest(task).items()] for line in summary]
    marks = [[False] * 6 + line for line in best]
    return render(
        "compare.html",
        title=f"Methods compared on {dataset or 'a test set'}",
        n_runs=len(rows),
        head=summary_head(task),
        summary=[list(zip(summary_cells(record, task), mark)) for record, mark in zip(summary, marks)],
        note=note(task),
        pairs=pair_tables(pairs),
        pairs_note=PAIRS_NOTE,
        figures=[{"title": title, "uri": data_uri(png)} for title, png in figures.items()],
        run_head=run_head(task),
        runs=[run_cells(record, task) for record in rows],
    )


def _is_best(
    record: Mapping[str, Any], name: str, summary: Sequence[Mapping[str, Any]], column: Column
) -> bool:
    """Whether a value is the best of its label budget. HD95 has none where counts of `no_hd95` differ."""
    rivals = [r for r in summary if r["labelled"] == record["labelled"] and r[name] == r[name]]
    if name == "hd95_mm" and len({r["no_hd95"] for r in rivals}) > 1:
        return False
    values = {r[name] for r in rivals}
    return len(values) > 1 and record[name] == (max if column.more_is_better else min)(values)
