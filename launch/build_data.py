"""Turn raw files into a data set: python launch/build_data.py --dataset=acdc --source=RAW --out=DATA."""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.anatomy import LABEL_CODES, SHORT_AXIS, TASKS
from semiqc_jax.datasets.build import FORMATS, Request, build_cohort, finished_summary
from semiqc_jax.datasets.command import check, report_folder, ticking
from semiqc_jax.datasets.processes import cores
from semiqc_jax.datasets.readers import READERS, find_subjects, split_rule
from semiqc_jax.datasets.readers.found import DEFAULT, ReaderOptions
from semiqc_jax.datasets.splits import STRATA
from semiqc_jax.datasets.verify import verify_cohort
from semiqc_jax.errors import EXIT_NOTHING_USABLE, EXIT_OK

DATASET = flags.DEFINE_enum("dataset", None, list(READERS), "What the source holds.")
SOURCE = flags.DEFINE_string("source", None, "Folder of raw files; for phantom its spec.")
OUT = flags.DEFINE_string("out", "", "Folder to write the data set into (not needed with --check).")
FORMAT = flags.DEFINE_enum("format", "records", FORMATS, "tfds records, or one packed file.")
CHECK = flags.DEFINE_bool("check", False, "Read everything, report what was found, convert nothing.")
REPORT = flags.DEFINE_string("report", "", "Folder of --check's report; OUT_check unless given, none without --out.")
VERIFY = flags.DEFINE_bool("verify", False, "Compare a built data set (--out) with its checksums.")
STRICT = flags.DEFINE_bool("strict", False, "Stop at the first bad subject instead of leaving it out.")
WORKERS = flags.DEFINE_integer("workers", cores(), "Processes that read; 0: none but this one.", lower_bound=0)
SPLITS = flags.DEFINE_string("splits", None, "JSON of train, val and test; else published, stated or seeded.")
STRATIFY = flags.DEFINE_enum("stratify", "group", STRATA, "What a seeded split keeps the shares of.")
SEED = flags.DEFINE_integer("split_seed", 0, "Of a seeded split.", lower_bound=0)
TASK = flags.DEFINE_enum("task", SHORT_AXIS.name, list(TASKS), "Which structures the labels hold.")
CODES = flags.DEFINE_enum("label_codes", "canonical", list(LABEL_CODES), "Label codes of NIfTI labels.")
SUFFIXES = flags.DEFINE_list("label_suffix", list(DEFAULT.label_suffixes), "Endings of NIfTI labels' names.")
flags.register_multi_flags_validator(
    ["dataset", "source", "out", "check", "verify"],
    lambda v: bool(v["out"]) if v["verify"] else bool(v["dataset"] and v["source"] and (v["out"] or v["check"])),
    "give --dataset, --source and --out; --check needs no --out, --verify nothing but --out",
)


def main() -> int:
    """Find, read, check, write; a bad subject is left out and listed in `quarantine.csv`."""
    out = Path(OUT.value)
    if VERIFY.value:
        print(f"{out}: all {verify_cohort(out)} files are as they were written")
        return EXIT_OK
    options = ReaderOptions(TASKS[TASK.value], CODES.value, tuple(SUFFIXES.value))
    splits_file = Path(SPLITS.value) if SPLITS.value else None
    dataset, source = str(DATASET.value), str(SOURCE.value)
    splitting = dataset, source, splits_file, STRATIFY.value, SEED.value, options.task
    if CHECK.value:
        rule = lambda members: split_rule(*splitting)(members)  # noqa: E731, what is wrong with it is reported
        found = find_subjects(dataset, source, options)
        folder = report_folder(REPORT.value, OUT.value)
        usable = check(found, options.task, rule, folder, STRICT.value, WORKERS.value)
        return EXIT_OK if usable else EXIT_NOTHING_USABLE
    rule = split_rule(*splitting)
    found = find_subjects(dataset, source, options)
    settings = {"source": source, "label_codes": CODES.value, "label_suffixes": SUFFIXES.value}
    splits = {"stratify": STRATIFY.value, "split_seed": SEED.value}
    request = Request(dataset, FORMAT.value, settings, options.task, splits_file, splits)
    before = finished_summary(out)
    with ticking(dataset, len(found)) as advance:
        summary = build_cohort(found, out, request, rule, STRICT.value, advance, WORKERS.value)
    shown = ("subjects", "frames", "slices", "quarantined", "splits")
    what = "already built: " if summary == before else ""
    print(f"{OUT.value}: {what}" + ", ".join(f"{key} {summary[key]}" for key in shown))
    return EXIT_OK


if __name__ == "__main__":
    run_main(main)
