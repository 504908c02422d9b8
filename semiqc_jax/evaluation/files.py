"""Figures as PNG files, drawn without matplotlib's global state."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from semiqc_jax.files import write_bytes


def figure_png(figure: Figure, dpi: int = 110) -> bytes:
    """Draw a figure as a PNG."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def write_figure(path: Path, figure: Figure) -> None:
    """Draw a figure into a PNG file in one piece."""
    write_bytes(path, figure_png(figure))
