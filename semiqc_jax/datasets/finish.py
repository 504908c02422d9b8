"""Finishing a build: converted shards -> one data set with its lines, splits, quarantine and summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import semiqc_jax
from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.outcomes import QUARANTINE_COLUMNS, Refused
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.shards import Shard, form_module, read_sidecar, sha256
from semiqc_jax.datasets.splits import Member, SplitRule, checked_splits, present
from semiqc_jax.datasets.stored import subject_to_json
from semiqc_jax.errors import ConfigError, NothingUsableError, UserError
from semiqc_jax.files import write_csv, write_json, write_text


def finish(
    folder: Path, shards: Sequence[Shard], dataset: str, task: Task, split_rule: SplitRule, identity: Mapping[str, Any]
) -> None:
    """Write everything but the shards: records are numbered on over the usable subjects of all of them.

    Raises:
        NothingUsableError: no subject is usable.
        DataError: a subject is in two splits.
        ConfigError: no usable subject is left to train on.
    """
    subjects: list[Subject] = []
    members: list[Member] = []
    refused: list[Refused] = []
    files, checksums = [], {}
    first = 0
    for shard in shards:
        converted = read_sidecar(shard)
        if converted is None:
            raise UserError("a shard vanished while the data set was built", shard.path, "run the same command again")
        files.append(converted.file)
        checksums[shard.path] = converted.sha256  # of when it was written: damage since then shows
        for one, outcome in zip(shard.found, converted.outcomes, strict=True):
            if isinstance(outcome, Refused):
                refused.append(outcome)
                continue
            subjects.append(replace(outcome, first_record=first, patient_id=one.patient_id))
            members.append(member(one, outcome))
            first += outcome.n_frames * outcome.n_slices
    if not subjects:
        bad = refused[0].row() if refused else {"reason": "there is none", "path": "source", "mend": "name subjects"}
        what = f"none of {len(refused)} subjects is usable: {bad['reason']}"
        raise NothingUsableError(what, bad["path"], bad["mend"])
    ids = [s.subject_id for s in subjects]
    splits = checked_splits(present(split_rule(members), ids), "splits")
    if not splits["train"]:
        raise ConfigError("no usable subject is in 'train'", "splits", "name subjects of this data set in it")
    written = form_module(shards[0].form).finish(folder, dataset, task, subjects, files, splits)
    write_csv(folder / "quarantine.csv", QUARANTINE_COLUMNS, [one.row() for one in refused])
    write_text(folder / "subjects.jsonl", "".join(f"{json.dumps(subject_to_json(s))}\n" for s in subjects))
    write_json(folder / "splits.json", splits)
    described = [folder / name for name in ("subjects.jsonl", "splits.json", "quarantine.csv")]
    summary = {
        "version": semiqc_jax.__version__,
        "subjects": len(subjects),
        "slices": first,
        "frames": sum(s.n_frames for s in subjects),
        "quarantined": len(refused),
        "warnings": sum(len((s.extra or {}).get("warnings", ())) for s in subjects),
        "splits": {name: len(members) for name, members in splits.items()},
        "in_no_split": len(ids) - sum(map(len, splits.values())),
        "task": task.name,
        **identity,
        "files": [
            {"path": path.name, "bytes": path.stat().st_size, "sha256": checksums.get(path) or sha256(path)}
            for path in [*written, *described]
        ],
    }
    write_json(folder / "summary.json", summary)


def member(one: Found, subject: Subject) -> Member:
    """What the splits may know of a usable subject."""
    extra = subject.extra or {}
    known = {"group": subject.group, "site": extra.get("site"), "sex": extra.get("sex")}
    return Member(subject.subject_id, one.patient_id, one.split, **known)
