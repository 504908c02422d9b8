"""Compare finished runs: `python launch/compare.py --runs=runs/acdc --output=runs/acdc/comparison`.

Reads every run under `--runs` (each trained to its end and evaluated on its test split), prints the summary,
and writes table.csv, table.md, table.json, summary.csv, plots and report.html to `--output`.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.summary_table import print_summary

RUNS = flags.DEFINE_string("runs", None, "Folder that holds the runs, at any depth.", required=True)
OUTPUT = flags.DEFINE_string("output", None, "Folder to write the comparison to.", required=True)

def main() -> None:
    """Compare, print, and say where the page is."""
    output = Path(OUTPUT.value)
    found = compare_runs(Path(RUNS.value), output)
    print_summary(found)
    print(f"report: {output / 'report.html'}")


if __name__ == "__main__":
    run_main(main)
