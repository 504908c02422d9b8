"""The integrity check of a source: every subject read in parallel, nothing converted; a table and a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.integrity.facts import Examination, Facts, columns, examine
from semiqc_jax.datasets.integrity.page import write_page
from semiqc_jax.datasets.integrity.summary import Summary, summarise
from semiqc_jax.datasets.outcomes import QUARANTINE_COLUMNS, Progress, each_id_once
from semiqc_jax.datasets.processes import PATIENCE_S, run_jobs
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.splits import SplitRule
from semiqc_jax.files import write_csv

SAMPLE = 120  # pictures of subjects without a warning, spread over the source; warned ones are all drawn
PICTURES = "pictures"


def check_source(
    found: Sequence[Found],
    task: Task,
    split_rule: SplitRule,
    report: Path | None = None,
    strict: bool = False,
    progress: Progress = lambda refused: None,
    workers: int = 0,
    patience_s: float = PATIENCE_S,
) -> tuple[list[Facts], Summary]:
    """Read every subject and say what is there; memory is bounded by one subject a worker.

    Args:
        found: the subjects of the source, in order.
        task: which task they were read for.
        split_rule: how a build would split them.
        report: folder for `report.html`, `check.csv`, `quarantine.csv` and `pictures/`; None writes nothing.
        strict: stop at the first bad subject.
        progress: called for each subject with why it would be left out, or None.
        workers: processes that read; 0 reads in this one.
        patience_s: a subject that takes a process longer is left out.

    Returns:
        The facts of each subject, in order, and what holds for all.

    Raises:
        DataError: with `strict`, that of a bad subject.
    """
    folder = None if report is None else report / PICTURES
    step = max(1, -(-len(found) // SAMPLE))
    jobs = [Examination(one, n % step == 0, folder) for n, one in enumerate(each_id_once(found))]
    facts: dict[int, Facts] = {}
    for number, one in run_jobs(examine, jobs, workers, patience_s):
        facts[number] = one
        progress(one.refused)
        if strict and one.refused is not None:
            raise one.refused.error
    ordered = [facts[number] for number in range(len(jobs))]
    summary = summarise(ordered, split_rule)
    if report is not None:
        rows = [check_row(one, summary) for one in ordered]
        write_csv(report / "check.csv", columns(task), rows)
        refused = [one.refused.row() for one in ordered if one.refused]
        write_csv(report / "quarantine.csv", QUARANTINE_COLUMNS, refused)
        write_page(report / "report.html", ordered, rows, summary, PICTURES)
    return ordered, summary


def check_row(one: Facts, summary: Summary) -> dict[str, Any]:
    """A row of `check.csv`."""
    row: Mapping[str, Any] = one.row or {}
    others = [i for ids in summary.doubles if one.subject_id in ids for i in ids if i != one.subject_id]
    why = {"reason": f"{one.refused.what} ({one.refused.where})", "mend": one.refused.mend} if one.refused else {}
    return {
        **row,
        "subject_id": one.subject_id,
        "path": one.path,
        "status": one.status,
        "split": summary.split_of.get(one.subject_id) if one.refused is None else None,
        "same_image_as": " ".join(others),
        "image_sha256": one.digest,
        "warnings": "; ".join(one.warnings),
        **why,
    }
