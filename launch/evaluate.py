"""Evaluate a run: python launch/evaluate.py --run=RUN --split=test [--checkpoint=last|STEP] [--data=DATA]."""

from __future__ import annotations

from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.errors import ConfigError
from semiqc_jax.rounds.evaluate import evaluate_run, metrics_line

RUN = flags.DEFINE_string("run", None, "Folder of a run.", required=True)
SPLIT = flags.DEFINE_string("split", "test", "train, val, test, labelled, pool, or all.")
CHECKPOINT = flags.DEFINE_string("checkpoint", "last", "last, or the step of a saved checkpoint.")
DATA = flags.DEFINE_string("data", "", "A data set; the run's own where absent.")
PROTOCOL = flags.DEFINE_enum("protocol", "native", ["native", "ssl4mis"], "How numbers are measured.")


def main() -> None:
    """Segment the split, measure it on the native grid and write tables, plots and the report."""
    if CHECKPOINT.value != "last" and not CHECKPOINT.value.isdigit():
        raise ConfigError(f"checkpoint '{CHECKPOINT.value}'", "--checkpoint", "use last or a step")
    step = None if CHECKPOINT.value == "last" else int(CHECKPOINT.value)
    use_compilation_cache()
    metrics = evaluate_run(Path(RUN.value), SPLIT.value, step, DATA.value, PROTOCOL.value)
    print(metrics_line(metrics))


if __name__ == "__main__":
    run_main(main)
