"""Found subjects -> what became of each: its stored form, or the error that it is left out for."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from semiqc_jax.datasets.label_checks import label_warnings
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.stored import Stored, store
from semiqc_jax.errors import DataError, UserError, printable
from semiqc_jax.study import Study, check_study

QUARANTINE_COLUMNS = ("subject_id", "path", "stage", "reason", "mend")


@dataclass(frozen=True)
class Outcome:
    """What became of one found subject: its stored form, or the error that it is quarantined for."""

    found: Found
    stored: Stored | None
    error: DataError | None
    stage: str  # the last stage reached: "read", "check" or "stored"


@dataclass(frozen=True)
class Refused:
    """A quarantined subject in plain values: what a process hands to another and a file keeps."""

    subject_id: str
    path: str
    stage: str
    what: str
    where: str
    mend: str

    @classmethod
    def of(cls, one: Found, stage: str, error: DataError) -> Refused:
        """The record of a subject that was left out at `stage` for `error`."""
        place = printable(one.subject_id), printable(str(one.path))
        return cls(*place, stage, error.what, error.where, error.mend)

    @property
    def error(self) -> DataError:
        """The error again."""
        return DataError(self.what, self.where, self.mend)

    def row(self) -> dict[str, str]:
        """Its row of `quarantine.csv`."""
        values = (self.subject_id, self.path, self.stage, f"{self.what} ({self.where})", self.mend)
        return dict(zip(QUARANTINE_COLUMNS, values))


def stored_outcomes(found: Sequence[Found]) -> Iterator[Outcome]:
    """Read, check and convert subjects one at a time, in order; of one id that is there twice only the first."""
    return map(outcome_of, each_id_once(found))


def outcome_of(one: Found) -> Outcome:
    """Read, check and convert one subject."""
    checked = checked_study(one)
    if isinstance(checked, Refused):
        return Outcome(one, None, checked.error, checked.stage)
    return Outcome(one, store(checked), None, "stored")


def checked_study(one: Found) -> Study | Refused:
    """Read and check one subject; its warnings hold those of its labels too.

    Whatever a file makes a library raise is an error of that file: only this subject is left out.
    """
    stage, study = "read", None
    try:
        study = one.read()
        stage = "check"
        check_study(study, one.path)
        return replace(study, warnings=(*study.warnings, *label_warnings(study)))
    except DataError as error:
        return Refused.of(one, stage, error)
    except UserError:
        raise
    except OSError as error:
        what, place = f"cannot be read: {error.strerror or error}", error.filename or one.path
        return Refused.of(one, stage, DataError(what, place, "check the disk, the file and its permissions"))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {error}"
        mend = "export the files again; report it if they open elsewhere"
        return Refused.of(one, stage, DataError(what, f"{one.subject_id}, {one.path}", mend))


def each_id_once(found: Iterable[Found]) -> Iterator[Found]:
    """Of subjects with the same id only the first is read; the others say so when they are."""
    seen: set[str] = set()
    for one in found:
        yield replace(one, read=partial(_there_twice, one.path)) if one.subject_id in seen else one
        seen.add(one.subject_id)


def _there_twice(path: Path | str) -> NoReturn:
    raise DataError("subject is there twice", path, "keep one of them")


Progress = Callable[[Refused | None], None]  # called once for each subject, with why it was left out
