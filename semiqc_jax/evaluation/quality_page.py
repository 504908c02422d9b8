"""The page of a round's quality control: every subject's score, verdict, reasons, and curves against the cohort's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from numpy.typing import NDArray

from semiqc_jax.anatomy import Task
from semiqc_jax.evaluation.curve_svg import cohort_band, curve_svg
from semiqc_jax.evaluation.report import render, show
from semiqc_jax.evaluation.words import CLASS_HEADS, curve_title
from semiqc_jax.files import number, write_text

LISTED = 500


@dataclass(frozen=True, eq=False)
class JudgedSubject:
    """A row of `quality.csv`, the curves that it is about, and where the segmentation failed."""

    row: Mapping[str, str]
    curve: Float[NDArray, "T C"]
    frame: int  # from 0; -1 where no place is to blame
    slice_: int

    @property
    def place(self) -> str:
        """`frame 3, slice 5`, counted from 1; empty where no place is to blame."""
        return f"frame {self.frame + 1}, slice {self.slice_ + 1}" if self.frame >= 0 else ""


def write_quality_page(path: Path, title: str, subjects: Sequence[JudgedSubject], task: Task) -> None:
    """Write the page, lowest scores first, whole in one file; without subjects nothing is written.

    The cohort's curves are those of all subjects, also of those that are not listed.
    """
    if not subjects:
        return
    band = cohort_band([subject.curve for subject in subjects])
    ordered = sorted(subjects, key=lambda subject: number(subject.row["score"]))[:LISTED]
    text = render(
        "quality.html",
        title=title,
        n_subjects=len(subjects),
        quantity=curve_title(task),
        subjects=[
            {
                **{key: subject.row.get(key, "") for key in ("subject_id", "verdict", "group")},
                "score": show(subject.row["score"]),
                "selected": subject.row.get("selected") == "1",
                "reasons": [reason for reason in subject.row["reasons"].split("; ") if reason],
                "place": subject.place,
                "curves": curve_svg(subject.curve, band, task.colours, [CLASS_HEADS[name] for name in task.classes]),
            }
            for subject in ordered
        ],
    )
    write_text(path, text)
