"""Compare finished runs: `python launch/compare.py --runs=runs/acdc --output=runs/acdc/comparison`.

Reads every run under `--runs` (each trained to its end and evaluated on its test split), prints the summary,
and writes table.csv, table.md, table.json, summary.csv, plots and report.html to `--output`.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semiqc_jax.evaluation.compare import Comparison, compare_runs
from semiqc_jax.evaluation.compare_tables import summary_cells, summary_head

RUNS = flags.DEFINE_string("runs", None, "Folder that holds the runs, at any depth.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder to write the comparison to.", required=True)

CAPTION = "EDV, ESV, EF: mean absolute error. ±: sd over subjects / runs. [95 %]: bootstrap over patients."
WIDTH = 160  # columns that the table needs: a narrow terminal folds lines, nothing is cut off


def print_summary(found: Comparison, console: Console) -> None:
    """Print a line for each method and label budget."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", caption=CAPTION)
    for number, title in enumerate(summary_head()):
        table.add_column(title, justify="left" if number == 0 else "right", no_wrap=number > 0)
    for record in found.summary:
        table.add_row(*(Text(cell) for cell in summary_cells(record)))
    console.print(table)


def main() -> None:
    """Compare, print, and say where the page is."""
    output = Path(OUTPUT.value)
    found = compare_runs(Path(RUNS.value), output)
    print_summary(found, Console(width=max(Console().width, WIDTH)))
    print(f"report: {output / 'report.html'}")


if __name__ == "__main__":
    run_main(main)
