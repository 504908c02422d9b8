"""A `Contest` between two implementations of the same thing, and how it is timed fairly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from semiqc_jax.benchmarks.memory import resident_mb
from semiqc_jax.errors import UserError

Clock = Callable[[], float]


@dataclass(frozen=True)
class Contest:
    """Two functions without arguments that do the same work and return its result, which is compared."""

    ours: Callable[[], Any]
    reference: Callable[[], Any]
    reference_name: str  # what ours is set against, for the table
    items: int  # how many things one call works through
    unit: str  # what those things are: "slices", "subjects"
    rtol: float = 0.0  # by how much the two results may differ, relative
    notes: Mapping[str, Any] = field(default_factory=dict)  # what was measured while it was prepared


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of n measurements."""

    median: float
    q1: float
    q3: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of `values`, quartiles by linear interpolation."""
        q1, median, q3 = np.percentile(values, (25, 50, 75)).tolist()
        return cls(median, q1, q3, len(values))

    @property
    def iqr(self) -> float:
        """Interquartile range."""
        return self.q3 - self.q1


@dataclass(frozen=True)
class Outcome:
    """What a contest measured."""

    ours_s: Spread  # seconds a call
    reference_s: Spread
    ratio: Spread  # reference / ours, pair by pair: above 1, ours is faster
    ours_per_s: float  # items a second at the median
    reference_per_s: float
    reference_name: str
    unit: str
    memory_mb: tuple[float, float]  # resident in this process before and after the timed calls
    notes: Mapping[str, Any]


def alternate(
    contest: Contest, repeats: int, clock: Clock = time.perf_counter
) -> tuple[list[float], list[float]]:
    """Seconds of each call of (ours, reference), called in turn: A B A B ...

    Taking turns spreads what the machine does meanwhile over both. Each is called once before, untimed, to
    compile and to fill caches; a call ends when its arrays are computed.
    """
    for function in (contest.ours, contest.reference):
        jax.block_until_ready(function())
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for function, taken in zip((contest.ours, contest.reference), seconds):
            start = clock()
            jax.block_until_ready(function())
            taken.append(clock() - start)
    return seconds


def hold(name: str, contest: Contest, repeats: int, clock: Clock = time.perf_counter) -> Outcome:
    """Check that both give the same, then time them `repeats` times in turn.

    Raises:
        UserError: the results differ by more than the contest allows, so their times mean nothing.
    """
    if not same(contest.ours(), contest.reference(), contest.rtol):
        where = f"benchmark {name}, reference {contest.reference_name}"
        raise UserError(
            "the two implementations give different results", where, "mend that before timing them"
        )
    before = resident_mb()
    ours, reference = alternate(contest, repeats, clock)
    ours_s, reference_s = Spread.of(ours), Spread.of(reference)
    return Outcome(
        ours_s=ours_s,
        reference_s=reference_s,
        ratio=Spread.of([r / o for o, r in zip(ours, reference)]),
        ours_per_s=contest.items / ours_s.median,
        reference_per_s=contest.items / reference_s.median,
        reference_name=contest.reference_name,
        unit=contest.unit,
        memory_mb=(before, resident_mb()),
        notes=contest.notes,
    )


def same(a: Any, b: Any, rtol: float) -> bool:
    """Whether two trees of arrays agree in structure, shapes and values."""
    structures = {jax.tree.structure(tree) for tree in (a, b)}
    return len(structures) == 1 and all(
        np.shape(x) == np.shape(y) and np.allclose(x, y, rtol=rtol, atol=0, equal_nan=True)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b))
    )
