"""Progress bars with rate and time left; silent lines where nobody watches a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

console = Console(stderr=True)


class _Rate(ProgressColumn):
    def __init__(self, unit: str):
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} {self.unit}/s" if speed else "", style="cyan")


@contextmanager
def progress(what: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[..., None]]:
    """A bar over `total` units; yields advance(n=1, note=""). Without a terminal one line when it ends.

    Args:
        done: units already finished by an earlier run.
    """
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        task = bar.add_task(what, total=total, completed=done, note="")

        def advance(n: int = 1, note: str | None = None) -> None:
            if note is None:
                bar.update(task, advance=n)
            else:
                bar.update(task, advance=n, note=note)

        yield advance
