"""Found subjects -> a built data set on disk: streamed, quarantined, and only ever seen whole."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from semiqc_jax.anatomy import SHORT_AXIS, Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.pack import PackWriter
from semiqc_jax.datasets.readers.found import Found, files_digest
from semiqc_jax.datasets.splits import SplitRule, checked_splits, present
from semiqc_jax.datasets.stored import Stored, store, subject_to_json
from semiqc_jax.errors import ConfigError, DataError, NothingUsableError
from semiqc_jax.study import check_study

FORMATS = ("records", "pack")
QUARANTINE_COLUMNS = ("subject_id", "path", "stage", "reason", "mend")


@dataclass(frozen=True)
class Outcome:
    """What became of one found subject: its stored form, or the error that it is quarantined for."""

    found: Found
    stored: Stored | None
    error: DataError | None
    stage: str  # the last stage reached: "read", "check" or "stored"


@dataclass(frozen=True)
class Request:
    """What a build is of; a finished data set of an equal request is not made again."""

    dataset: str  # the name that the data set has
    form: str  # "records" (tfds, ArrayRecord) or "pack" (one .npz)
    settings: Mapping[str, Any] = field(default_factory=dict)  # source, ...: kept in the summary
    task: Task = SHORT_AXIS
    splits_file: Path | None = None

    def identity(self, found: Sequence[Found]) -> dict[str, Any]:
        """The part of `summary.json` that tells one request from another, the state of its files included."""
        splits_file = () if self.splits_file is None else (self.splits_file,)
        return {
            "dataset": self.dataset,
            "format": self.form,
            "splits_file": None if self.splits_file is None else str(self.splits_file),
            **self.settings,
            "found": len(found),
            "files_digest": files_digest(chain(*(one.files for one in found), splits_file)),
        }


Progress = Callable[[Outcome], None]


class Writer(Protocol):
    """What a stored form offers to the build."""

    def add(self, stored: Stored) -> None:
        """Append one subject."""

    def finish(self, splits: Mapping[str, Sequence[str]]) -> None:
        """Close the files and write what describes them."""


def stored_outcomes(
    found: Sequence[Found], strict: bool = False, progress: Progress = lambda outcome: None
) -> Iterator[Outcome]:
    """Read, check and convert subjects one at a time; records number on over the usable ones.

    Args:
        found: the subjects, in order.
        strict: stop at the first bad one.
        progress: called with each outcome, once it has been used.

    Raises:
        DataError: with `strict`, that of the first bad subject.
    """
    first, seen = 0, set[str]()
    for one in found:
        stage = "read"
        try:
            if one.subject_id in seen:
                raise DataError("subject is there twice", one.path, "keep one of them")
            study = one.read()
            stage = "check"
            stored = store(check_study(study, one.path), first)
            seen.add(one.subject_id)
            first += stored.subject.n_frames * stored.subject.n_slices
            outcome = Outcome(one, stored, None, "stored")
        except DataError as error:
            if strict:
                raise
            outcome = Outcome(one, None, error, stage)
        yield outcome
        progress(outcome)


def build_cohort(
    found: Sequence[Found],
    out: Path,
    request: Request,
    split_rule: SplitRule,
    strict: bool = False,
    progress: Progress = lambda outcome: None,
) -> dict[str, Any]:
    """Build a data set in `out` and return its summary; a finished one of the same request is left as it is.

    Everything is written into a folder beside `out` that takes its name at the very end, so that a build that
    was stopped is never taken for a whole one.

    Args:
        found: the subjects, in the order that the cohort will have.
        out: the data set's folder; it may not exist yet or must be empty or finished.
        request: name, form, task, settings and splits file.
        split_rule: makes the splits from the usable subjects' ids and groups.
        strict: stop at the first bad subject instead of putting it into quarantine.
        progress: called after each subject.

    Raises:
        DataError: with `strict`; or a subject is in two splits.
        NothingUsableError: no subject is usable.
        ConfigError: `out` holds something else or was built of files that have changed since, or no usable
            subject is left to train on.
    """
    identity = request.identity(found)
    done = finished_summary(out)
    if done is not None:
        changed = {key for key, value in identity.items() if done.get(key) != value}
        if not changed:
            return done
        if changed <= {"found", "files_digest"}:
            raise ConfigError("source files changed since the build", out, f"remove {out} to build again")
        raise ConfigError("the folder holds another data set", out, "choose another folder or remove it")
    if out.exists() and any(out.iterdir()):
        raise ConfigError("the folder is not empty", out, "choose another folder or empty it")
    partial = out.parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        summary = {**_write(found, partial, request, split_rule, strict, progress), **identity}
        _write_json(partial / "summary.json", summary)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if out.exists():
        out.rmdir()
    partial.rename(out)
    return summary


def finished_summary(out: Path) -> dict[str, Any] | None:
    """The summary of a finished data set, None where there is none."""
    path = out / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _write(
    found: Sequence[Found],
    folder: Path,
    request: Request,
    split_rule: SplitRule,
    strict: bool,
    progress: Progress,
) -> dict[str, Any]:
    subjects: list[Subject] = []
    quarantine: list[tuple[str, ...]] = []
    writer = _writer(request, folder)
    for outcome in stored_outcomes(found, strict, progress):
        if outcome.stored is not None:
            writer.add(outcome.stored)
            subjects.append(outcome.stored.subject)
        if outcome.error is not None:
            what = f"{outcome.error.what} ({outcome.error.where})"
            one = outcome.found
            quarantine.append((one.subject_id, str(one.path), outcome.stage, what, outcome.error.mend))
    if not subjects:
        _, path, _, reason, mend = quarantine[0] if quarantine else ("", "source", "", "", "name subjects")
        raise NothingUsableError(f"none of {len(found)} subjects is usable: {reason}", path, mend)
    ids = [s.subject_id for s in subjects]
    splits = checked_splits(present(split_rule(ids, [s.group for s in subjects]), ids), "splits")
    if not splits["train"]:
        raise ConfigError("no usable subject is in 'train'", "splits", "name subjects of this data set in it")
    writer.finish(splits)
    with (folder / "quarantine.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([QUARANTINE_COLUMNS, *quarantine])
    lines = [json.dumps(subject_to_json(s)) for s in subjects]
    (folder / "subjects.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_json(folder / "splits.json", splits)
    return {
        "subjects": len(subjects),
        "slices": sum(s.n_frames * s.n_slices for s in subjects),
        "frames": sum(s.n_frames for s in subjects),
        "quarantined": len(quarantine),
        "warnings": sum(len((s.extra or {}).get("warnings", ())) for s in subjects),
        "splits": {name: len(members) for name, members in splits.items()},
        "in_no_split": len(ids) - sum(map(len, splits.values())),
        "task": request.task.name,
    }


def _writer(request: Request, folder: Path) -> Writer:
    if request.form == "pack":
        return PackWriter(folder, request.dataset, request.task)
    from semiqc_jax.datasets.records import RecordWriter  # needs tfds, which the packed form does not

    return RecordWriter(folder, request.dataset, request.task)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
