"""The text forms of a comparison: cells, Markdown and the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from semiqc_jax.evaluation.arms import BASELINE
from semiqc_jax.evaluation.report import data_uri, render, show

# measure -> (head of its column, digits, whether more is better)
TITLES: Mapping[str, tuple[str, int, bool]] = {
    "dice_mean": ("Dice", 3, True),
    "dice_lv": ("LV", 3, True),
    "dice_myo": ("Myo", 3, True),
    "dice_rv": ("RV", 3, True),
    "hd95_mm": ("HD95 mm", 1, False),
    "no_hd95": ("no HD95", 1, False),
    "lvedv_mae_ml": ("EDV ml", 1, False),
    "lvesv_mae_ml": ("ESV ml", 1, False),
    "lvef_mae_pct": ("EF %", 1, False),
    "rvedv_mae_ml": ("RVEDV ml", 1, False),
    "rvef_mae_pct": ("RVEF %", 1, False),
    "precision_accepted": ("precision", 2, True),
}
REST = tuple(TITLES)[1:]  # the measures after mean Dice, which has its spread beside it
NOTE = (
    "Dice is the mean over classes and labelled frames; LV, Myo and RV are its classes. The first ± is the "
    "sd over subjects within a run; the second, where there are several runs, the sd of the runs' means over "
    "draws and seeds. HD95 leaves out structures that have no distance because the prediction (or the "
    "reference) is empty; `no HD95` counts them in a run: where it differs, HD95 is not comparable. EDV, ESV "
    "and EF (of the LV, and of the RV where named so) are mean absolute errors, "
    f"read at the reference's ED and ES. The difference is to the `{BASELINE}` run with the same labels, draw, "
    "seed, augmentation, network, grid and schedule, paired by patient, with a 95 % bootstrap interval over "
    "label draws and patients (one draw: patients only). "
    "Precision is the share of the accepted subjects that reach the target Dice, where the truth of the pool "
    "is known."
)


def summary_head() -> list[str]:
    """Column heads of `summary_cells`."""
    fixed = ["method", "labels", "runs", "draws", "Dice ± sd", f"to {BASELINE} [95 %]"]
    return [*fixed, *(TITLES[name][0] for name in REST)]


def summary_cells(record: Mapping[str, Any]) -> list[str]:
    """A line of the summary as text: arm, labels, runs, draws, Dice, paired difference, then the other measures."""
    spread = f"{show(record['dice_mean'])} ± {show(record['dice_sd_subjects'])}"
    if record["n_runs"] > 1:
        spread += f" / {show(record['dice_sd_runs'])}"
    gain = "–"
    if record["n_paired_runs"]:
        low, high = (f"{record[key]:+.3f}" for key in ("difference_low", "difference_high"))
        gain = f"{record['difference']:+.3f} [{low}, {high}]"
    rest = (show(record[name], TITLES[name][1]) for name in REST)
    counts = [str(record[name]) for name in ("n_runs", "n_draws")]
    return [record["arm"], record["labelled"], *counts, spread, gain, *rest]


def run_head() -> list[str]:
    """Column heads of `run_cells`."""
    return [
        "method",
        "labels",
        "draw",
        "seed",
        *(t for t, _, _ in TITLES.values()),
        "updates",
        "subjects",
        "run",
    ]


def run_cells(record: Mapping[str, Any]) -> list[str]:
    """A line of the table of runs as text."""
    measures = (show(record[name], digits) for name, (_, digits, _) in TITLES.items())
    fixed = (record[name] for name in ("arm", "labelled", "draw", "seed"))
    return [*fixed, *measures, show(record["updates"]), str(record["n_subjects"]), record["run"]]


def markdown(summary: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Both tables in Markdown."""

    def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
        cells = [head, ["---"] * len(head), *lines]
        return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in cells]

    parts = ["## Summary", "", *table(summary_head(), [summary_cells(s) for s in summary]), "", NOTE, ""]
    return "\n".join([*parts, "## Runs", "", *table(run_head(), [run_cells(r) for r in rows]), ""])


def page(
    summary: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    figures: Mapping[str, bytes],
    dataset: str,
) -> str:
    """The HTML page; the best value of each label budget stands out. `figures` maps titles to PNGs."""
    marks = [[False] * 6 + [_is_best(record, name, summary) for name in REST] for record in summary]
    return render(
        "compare.html",
        title=f"Methods compared on {dataset or 'a test set'}",
        n_runs=len(rows),
        head=summary_head(),
        summary=[list(zip(summary_cells(record), mark)) for record, mark in zip(summary, marks)],
        note=NOTE,
        figures=[{"title": title, "uri": data_uri(png)} for title, png in figures.items()],
        run_head=run_head(),
        runs=[run_cells(record) for record in rows],
    )


def _is_best(record: Mapping[str, Any], name: str, summary: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a value is the best of its label budget. HD95 has none where counts of `no_hd95` differ."""
    rivals = [r for r in summary if r["labelled"] == record["labelled"] and r[name] == r[name]]
    if name == "hd95_mm" and len({r["no_hd95"] for r in rivals}) > 1:
        return False
    values = {r[name] for r in rivals}
    return len(values) > 1 and record[name] == (max if TITLES[name][2] else min)(values)
