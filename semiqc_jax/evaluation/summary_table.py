"""The comparison as a table on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from semiqc_jax.evaluation.compare import Comparison
from semiqc_jax.evaluation.compare_tables import summary_cells, summary_head

CAPTION = (
    "Clinical indices: mean absolute error. ±: sd over subjects / runs. [95 %]: bootstrap over label draws and "
    "patients (one draw: patients only). no HD95: structures whose prediction or reference is empty."
)
WIDTH = 200  # columns that the table needs: a narrow terminal folds lines, nothing is cut off


def print_summary(found: Comparison) -> None:
    """Print a line for each method and label budget on stdout."""
    console = Console(width=max(Console().width, WIDTH))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", caption=CAPTION)
    for number, title in enumerate(summary_head(found.task)):
        table.add_column(title, justify="left" if number == 0 else "right", no_wrap=number > 0)
    for record in found.summary:
        table.add_row(*(Text(cell) for cell in summary_cells(record, found.task)))
    console.print(table)
