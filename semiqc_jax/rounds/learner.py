"""The networks of a run: its own, and, where the run is cross-fitted, one for each half of the pool."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from semiqc_jax.checkpoints import Checkpoints


@dataclass(frozen=True, eq=False)
class Learner:
    """A network on its way through the stages, and whose pseudo-labels it may learn from."""

    half: int | None  # of the pool, 1 or 2; None for the run's own network, which learns from all of it
    pool: tuple[int, ...]  # the subjects that it may learn from
    folder: Path  # of its checkpoints and metrics
    checkpoints: Checkpoints

    @property
    def done(self) -> int:
        """Updates that are done and saved, counted from the start of the run."""
        return self.checkpoints.latest() or 0


@contextmanager
def open_learners(
    folder: Path, pool: Sequence[int], halves: Sequence[Sequence[int]], keep: Collection[int]
) -> Iterator[tuple[Learner, ...]]:
    """The run's own network, then one for each half of its pool, in `halves/1` and `halves/2` of the run's folder.

    Args:
        folder: the run's.
        pool: the unlabelled subjects.
        halves: of the pool; none where the run is not cross-fitted.
        keep: steps whose checkpoints are kept beside the latest.
    """
    with ExitStack() as stack:

        def opened(half: int | None, members: Sequence[int], where: Path) -> Learner:
            return Learner(half, tuple(members), where, stack.enter_context(Checkpoints(where / "checkpoints", keep)))

        of_halves = (opened(n, half, folder / "halves" / str(n)) for n, half in enumerate(halves, start=1))
        yield opened(None, pool, folder), *of_halves
