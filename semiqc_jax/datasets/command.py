"""What `launch/build_data.py` shows: a bar, who is left out, the check's table and its summary."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.integrity.check import check_source
from semiqc_jax.datasets.listing import found_table
from semiqc_jax.datasets.outcomes import Progress, Refused
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.splits import SplitRule
from semiqc_jax.progress import console, progress


@contextmanager
def ticking(what: str, n_subjects: int) -> Iterator[Progress]:
    """A bar over the subjects; who is left out is said as it happens."""
    with progress(what, n_subjects, "subjects") as tick:

        def advance(refused: Refused | None) -> None:
            tick()
            if refused is not None:
                console.print(f"left out: {refused.error}", style="yellow", markup=False, soft_wrap=True)

        yield advance


def report_folder(report: str, out: str) -> Path | None:
    """Where the check writes: `report` if given, else beside `out`, else nowhere."""
    if report:
        return Path(report)
    return Path(out).with_name(f"{Path(out).name}_check") if out else None


def check(
    found: Sequence[Found], task: Task, rule: SplitRule, report: Path | None, strict: bool, workers: int
) -> int:
    """Check a source, print its table and what is wrong with it; returns the number of usable subjects."""
    with ticking("checking", len(found)) as advance:
        facts, summary = check_source(found, task, rule, report, strict, advance, workers)
    shown = Console() if sys.stdout.isatty() else Console(width=160)
    shown.print(found_table(facts))
    for text in summary.problems:
        shown.print(f"problem: {text}", markup=False, soft_wrap=True)
    for ids in summary.doubles:
        shown.print(f"the same image: {', '.join(ids)}", markup=False, soft_wrap=True)
    shown.print(", ".join(f"{name} {value}" for name, value in summary.counts.items()), markup=False, soft_wrap=True)
    if report is not None:
        shown.print(f"report: {report / 'report.html'}", markup=False, soft_wrap=True)
    return summary.counts["usable"]
