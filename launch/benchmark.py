"""Time ours and a reference in turn: python launch/benchmark.py --output=OUT.json [--only=NAME,...]."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

from absl import flags
from common import run_main
from rich.console import Console

from semiqc_jax.benchmarks.building import building
from semiqc_jax.benchmarks.registry import BENCHMARKS, Prepare, report, run_benchmarks, table

OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
ONLY = flags.DEFINE_list("only", [], f"Which of {', '.join(BENCHMARKS)}; all unless given.")
SUBJECTS = flags.DEFINE_integer("subjects", 6, "Whole cines that `building` builds and streams.", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 15, "Pairs of timed calls of each benchmark.", lower_bound=3)


def main() -> None:
    """Run, write the file after each benchmark, print the table."""
    console, outcomes = Console(stderr=True), {}
    output = Path(OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    benchmarks: dict[str, Prepare] = {**BENCHMARKS, "building": partial(building, n_subjects=SUBJECTS.value)}
    with tempfile.TemporaryDirectory() as scratch, console.status("benchmarks") as status:
        for name, outcome in run_benchmarks(ONLY.value, Path(scratch), REPEATS.value, benchmarks):
            outcomes[name] = outcome
            unfinished = output.with_name(output.name + ".partial")
            unfinished.write_text(json.dumps(report(outcomes), indent=1) + "\n", encoding="utf-8")
            unfinished.replace(output)
            status.update(f"benchmarks: {name} done")
    Console().print(table(outcomes))


if __name__ == "__main__":
    run_main(main)
