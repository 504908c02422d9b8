"""What a source holds, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from semiqc_jax.datasets.build import Outcome

COLUMNS = ("subject", "T, Z, Y, X", "spacing mm (z, y, x)", "drawn", "ED, ES", "group", "notes")


def found_table(outcomes: Iterable[Outcome]) -> tuple[Table, int]:
    """A row per found subject (shape, spacing, what is drawn, notes or error), and how many are usable."""
    table, usable = Table(*COLUMNS), 0
    for outcome in outcomes:
        table.add_row(*map(Text, _row(outcome)), style="red" if outcome.error else None)
        usable += outcome.error is None
    return table, usable


def _row(outcome: Outcome) -> tuple[str, ...]:
    if outcome.stored is None:
        return (outcome.found.subject_id, "", "", "", "", "", str(outcome.error))
    subject, labelled = outcome.stored.subject, outcome.stored.labelled
    return (
        subject.subject_id,
        ", ".join(map(str, subject.shape)),
        ", ".join(f"{v:.2f}" for v in subject.spacing_mm),
        f"{labelled.any((1, 2)).sum()} frames, {labelled.any((0, 1)).sum()} classes",
        "" if subject.ed_frame is None else f"{subject.ed_frame}, {subject.es_frame}",
        subject.group or "",
        "; ".join((subject.extra or {}).get("warnings", ())),
    )
