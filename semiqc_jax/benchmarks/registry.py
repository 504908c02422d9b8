"""The registry of benchmarks, running them, and their table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from semiqc_jax.benchmarks.building import building
from semiqc_jax.benchmarks.contest import Contest, Outcome, Spread, hold
from semiqc_jax.benchmarks.inference import inference
from semiqc_jax.benchmarks.machine import machine, versions
from semiqc_jax.benchmarks.quality import quality_curves, quality_rules, quality_svm
from semiqc_jax.benchmarks.reading import reading, reading_192, reading_cines
from semiqc_jax.benchmarks.selecting import selecting
from semiqc_jax.benchmarks.training import train_step
from semiqc_jax.errors import ConfigError

Prepare = Callable[[Path], Contest]  # a scratch folder -> what is to be timed
BENCHMARKS: Mapping[str, Prepare] = {
    "train_step": train_step,
    "inference": inference,
    "reading": reading,
    "reading_192": reading_192,
    "reading_cines": reading_cines,
    "building": building,
    "selection": selecting,
    "quality_rules": quality_rules,
    "quality_svm": quality_svm,
    "quality_curves": quality_curves,
}


def run_benchmarks(
    names: Sequence[str], folder: Path, repeats: int, benchmarks: Mapping[str, Prepare] = BENCHMARKS
) -> Iterator[tuple[str, Outcome]]:
    """Run benchmarks one after the other, each in its own folder below `folder`; no names means all.

    Raises:
        ConfigError: a name that is not registered, before anything runs.
    """
    unknown = sorted(set(names) - set(benchmarks))
    if unknown:
        raise ConfigError(
            f"no such benchmark: {', '.join(unknown)}", "--only", f"choose of {', '.join(benchmarks)}"
        )
    for name in names or benchmarks:
        scratch = folder / name
        scratch.mkdir(parents=True)
        yield name, hold(name, benchmarks[name](scratch), repeats)


def report(outcomes: Mapping[str, Outcome]) -> dict[str, object]:
    """What the output file holds: the machine, the versions and every figure, in plain JSON types."""
    results = {name: asdict(outcome) for name, outcome in outcomes.items()}
    return {"machine": machine(), "versions": versions(), "results": results}


def table(outcomes: Mapping[str, Outcome]) -> Table:
    """One row a benchmark: the ratio and both medians, each with its interquartile range, and n."""
    columns = ("benchmark", "against", "ratio (IQR)", "ours ms (IQR)", "reference ms (IQR)", "n")
    shown = Table(*columns, caption="ratio = reference / ours, pair by pair: above 1, ours is faster")
    for name, o in outcomes.items():
        ms = (spread(o.ours_s, 1e3), spread(o.reference_s, 1e3))
        shown.add_row(name, o.reference_name, spread(o.ratio), *ms, str(o.ratio.n))
    return shown


def spread(values: Spread, scale: float = 1.0) -> str:
    """Median and interquartile range, to three and two digits."""
    return f"{scale * values.median:.3g} ({scale * values.iqr:.2g})"
