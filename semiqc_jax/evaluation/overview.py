"""One page over several comparisons: what the demo shows of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from semiqc_jax.evaluation.compare import Comparison
from semiqc_jax.evaluation.compare_tables import note, summary_cells, summary_head
from semiqc_jax.evaluation.report import data_uri, render
from semiqc_jax.files import write_text


@dataclass(frozen=True)
class Part:
    """One comparison on the page."""

    title: str
    about: str  # what was compared, one sentence
    comparison: Comparison
    pictures: Sequence[Path]  # PNG files, shown in this order
    pages: Sequence[tuple[str, Path]]  # title and file of the pages that say more


def write_overview(path: Path, title: str, parts: Sequence[Part]) -> None:
    """Write the page; `path` and the pages that it links to lie in one folder or below it."""
    shown = [
        {
            "title": part.title,
            "about": part.about,
            "head": summary_head(part.comparison.task),
            "lines": [summary_cells(record, part.comparison.task) for record in part.comparison.summary],
            "note": note(part.comparison.task),
            "pictures": [
                {"title": picture.stem.replace("_", " "), "uri": data_uri(picture.read_bytes())}
                for picture in part.pictures
            ],
            "pages": [(name, page.relative_to(path.parent).as_posix()) for name, page in part.pages],
        }
        for part in parts
    ]
    write_text(path, render("overview.html", title=title, parts=shown))
