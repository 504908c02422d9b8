"""Turn raw files into a data set: python launch/build_data.py --dataset=acdc --source=RAW --out=DATA."""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags
from common import run_main
from rich.console import Console

from semiqc_jax.anatomy import LABEL_CODES, SHORT_AXIS, TASKS
from semiqc_jax.datasets.build import (
    FORMATS,
    Outcome,
    Request,
    build_cohort,
    finished_summary,
    stored_outcomes,
)
from semiqc_jax.datasets.listing import found_table
from semiqc_jax.datasets.readers import READERS, find_subjects, split_rule
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.errors import EXIT_NOTHING_USABLE, EXIT_OK
from semiqc_jax.progress import console, progress

DATASET = flags.DEFINE_enum("dataset", None, list(READERS), "What the source holds.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Folder of raw files; for phantom its spec.", required=True)
OUT = flags.DEFINE_string("out", "", "Folder to write the data set into (not needed with --check).")
FORMAT = flags.DEFINE_enum("format", "records", FORMATS, "tfds records, or one packed file.")
CHECK = flags.DEFINE_bool("check", False, "Read everything, print what was found, write nothing.")
STRICT = flags.DEFINE_bool("strict", False, "Stop at the first bad subject instead of leaving it out.")
SPLITS = flags.DEFINE_string("splits", None, "JSON of train, val and test; else published or seeded.")
TASK = flags.DEFINE_enum("task", SHORT_AXIS.name, list(TASKS), "Which structures the labels hold.")
CODES = flags.DEFINE_enum("label_codes", "canonical", list(LABEL_CODES), "Label codes of NIfTI labels.")
flags.register_multi_flags_validator(
    ["out", "check"], lambda v: v["out"] or v["check"], "give --out, or --check to write nothing"
)


def main() -> int:
    """Find, read, check, write; a bad subject is left out and listed in `quarantine.csv`."""
    options = ReaderOptions(TASKS[TASK.value], CODES.value)
    splits_file = Path(SPLITS.value) if SPLITS.value else None
    rule = split_rule(DATASET.value, SOURCE.value, splits_file)
    found = find_subjects(DATASET.value, SOURCE.value, options)
    with progress(DATASET.value, len(found), "subjects") as tick:

        def advance(outcome: Outcome) -> None:
            tick()
            if outcome.error is not None:
                console.print(f"left out: {outcome.error}", style="yellow", markup=False, soft_wrap=True)

        if CHECK.value:
            table, usable = found_table(stored_outcomes(found, STRICT.value, advance))
        else:
            settings = {"source": SOURCE.value, "label_codes": CODES.value}
            request = Request(DATASET.value, FORMAT.value, settings, options.task, splits_file)
            before = finished_summary(Path(OUT.value))
            summary = build_cohort(found, Path(OUT.value), request, rule, STRICT.value, advance)
    if CHECK.value:
        (Console() if sys.stdout.isatty() else Console(width=160)).print(table)
        return EXIT_OK if usable else EXIT_NOTHING_USABLE
    shown = ("subjects", "frames", "slices", "quarantined", "splits")
    what = "already built: " if summary == before else ""
    print(f"{OUT.value}: {what}" + ", ".join(f"{key} {summary[key]}" for key in shown))
    return EXIT_OK


if __name__ == "__main__":
    run_main(main)
