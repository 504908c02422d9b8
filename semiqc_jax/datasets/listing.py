"""What a source holds, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from semiqc_jax.datasets.integrity.facts import Facts

COLUMNS = ("subject", "T, Z, Y, X", "spacing mm (z, y, x)", "drawn", "ED, ES", "group", "notes")


def found_table(facts: Iterable[Facts]) -> Table:
    """A row per found subject: shape, spacing, what is drawn, notes or error."""
    table = Table(*COLUMNS)
    for one in facts:
        table.add_row(*map(Text, _row(one)), style="red" if one.refused else None)
    return table


def _row(one: Facts) -> tuple[str, ...]:
    if one.refused is not None or one.row is None:
        return (one.subject_id, "", "", "", "", "", str(one.refused.error if one.refused else ""))
    row = one.row
    drawn = [str(v) for k, v in row.items() if k.endswith("_frames_drawn")]
    return (
        one.subject_id,
        ", ".join(str(row[name]) for name in ("frames", "slices", "height", "width")),
        ", ".join(f"{row[name]:.2f}" for name in ("dz_mm", "dy_mm", "dx_mm")),
        f"{'/'.join(drawn)} frames" if drawn else "nothing",
        "" if row["ed_frame"] is None else f"{row['ed_frame']}, {row['es_frame']}",
        row["group"] or "",
        "; ".join(one.warnings),
    )
