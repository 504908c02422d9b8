"""The demo: every method on one synthetic cohort, evaluated and compared; `bash launch/demo.sh` installs first."""

from __future__ import annotations

import runpy
import time
from dataclasses import replace
from pathlib import Path

from absl import flags
from common import run_main

from semiqc_jax.compilation import use_compilation_cache
from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.readers import find_subjects, split_rule
from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.summary_table import print_summary
from semiqc_jax.progress import console, progress
from semiqc_jax.rounds.evaluate import evaluate_run, metrics_line
from semiqc_jax.rounds.judging import judge_for
from semiqc_jax.rounds.loop import run
from semiqc_jax.settings import METHODS, Settings, load_settings

QUICK = flags.DEFINE_bool("quick", False, "Fewer subjects and updates: shows that every part works, not how well.")
OUT = flags.DEFINE_string("out", "runs/demo", "Folder of the demo.")
FULL, SMALL = "subjects=60,frames=8,slices=7", "subjects=20,frames=4,slices=5"
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "demo.py"


def arms(quick: bool, data: Path, out: Path) -> dict[str, Settings]:
    """Name -> settings. All arms but the one without augmentation share one stage 0."""
    get_config = runpy.run_path(str(CONFIG))["get_config"]
    preset = ",quick" if quick else ""
    found = {
        name: replace(load_settings(get_config(name + preset).to_dict()), data_dir=str(data))
        for name in METHODS
    }
    plain = replace(found["supervised"], augmentation="none")
    first = found.pop("supervised")
    shared = {name: replace(s, stage0_from=str(out / "supervised")) for name, s in found.items()}
    return {"supervised_no_augmentation": plain, "supervised": first, **shared}


def main() -> None:
    """Build, train, evaluate, compare. Run again after a stop, it goes on where it was."""
    use_compilation_cache()
    began, out = time.monotonic(), Path(OUT.value) / ("quick" if QUICK.value else "full")
    source, data = f"{SMALL if QUICK.value else FULL},size=72,labelled=ed_es,seed=1", out / "data"
    found = find_subjects("phantom", source)
    with progress("synthetic cohort", len(found), "subjects") as advance:
        request = Request("phantom", "pack", {"source": source})
        build_cohort(found, data, request, split_rule("phantom", source, None), False, lambda _: advance())
    cohort = open_cohort(data)
    for name, settings in arms(QUICK.value, data, out).items():
        console.rule(name)
        folder = out / name
        run(settings, cohort, folder, lambda s=settings, f=folder: judge_for(s, cohort, f))
        console.print(metrics_line(evaluate_run(folder, "test")))
    print_summary(compare_runs(out, out / "comparison"))
    minutes = (time.monotonic() - began) / 60
    print(f"{minutes:.1f} min. Pictures: {out}/comparison/report.html and {out}/semiqcseg/report.html")


if __name__ == "__main__":
    run_main(main)
