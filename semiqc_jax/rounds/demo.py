"""The demo: methods on a synthetic cohort of each task, trained, evaluated, compared and shown on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from semiqc_jax.anatomy import AORTA, SHORT_AXIS, Task
from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.command import ticking
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.readers import find_subjects, split_rule
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.evaluation.compare import compare_runs
from semiqc_jax.evaluation.overview import Part, write_overview
from semiqc_jax.evaluation.summary_table import print_summary
from semiqc_jax.progress import console
from semiqc_jax.rounds.evaluate import evaluate_run, metrics_line
from semiqc_jax.rounds.judging import judge_for
from semiqc_jax.rounds.loop import run
from semiqc_jax.settings import METHODS, Settings

Load = Callable[[str, str], Settings]  # file in configs/, "METHOD[,PRESET]" -> settings


@dataclass(frozen=True)
class Chapter:
    """One task of the demo."""

    task: Task
    title: str
    about: str
    config: str  # file in configs/
    preset: str
    methods: tuple[str, ...]  # `supervised` among them: the others take its stage 0 over
    plain: bool  # also `supervised` without augmentation
    source: str  # specification of the cohort


ABOUT_HEARTS = "Both ventricles of synthetic hearts, three labelled."
ABOUT_AORTAS = "Ascending and descending aorta of synthetic subjects, three labelled."
FEW = ("supervised", "self_training", "semiqcseg", "oracle")
FULL = (
    Chapter(
        SHORT_AXIS, "Short axis", ABOUT_HEARTS, "demo.py", "", tuple(METHODS), True,
        "subjects=60,frames=8,slices=7,size=72,labelled=ed_es,seed=1",
    ),
    Chapter(
        AORTA, "Aorta", ABOUT_AORTAS, "aorta.py", "cpu", FEW, False,
        "subjects=60,frames=16,size=72,labelled=ed_es,seed=1",
    ),
)  # fmt: skip
QUICK_SOURCES = (
    "subjects=20,frames=4,slices=5,size=72,labelled=ed_es,seed=1",
    "subjects=20,frames=6,size=72,labelled=ed_es,seed=1",
)
QUICK = tuple(replace(chapter, preset="quick", source=source) for chapter, source in zip(FULL, QUICK_SOURCES))


def run_demo(chapters: tuple[Chapter, ...], out: Path, load: Load) -> None:
    """Run the chapters in `out`, write `report.html` there and print a table each; a stopped demo goes on."""
    parts = [_compared(chapter, out / chapter.task.name, load) for chapter in chapters]
    write_overview(out / "report.html", "semiQCSeg on synthetic cohorts", parts)
    for part in parts:
        console.rule(part.title)
        print_summary(part.comparison)


def _compared(chapter: Chapter, out: Path, load: Load) -> Part:
    """Build the cohort; train, evaluate and compare the methods."""
    data = out / "data"
    found = find_subjects("phantom", chapter.source, ReaderOptions(chapter.task))
    with ticking(f"synthetic cohort: {chapter.title.lower()}", len(found)) as advance:
        rule = split_rule("phantom", chapter.source, None, task=chapter.task)
        request = Request("phantom", "pack", {"source": chapter.source}, chapter.task)
        build_cohort(found, data, request, rule, progress=advance)
    cohort = open_cohort(data)
    for name, settings in _arms(chapter, data, out, load).items():
        console.rule(f"{chapter.title}: {name}")
        folder = out / name
        run(settings, cohort, folder, lambda s=settings, f=folder: judge_for(s, cohort, f))
        console.print(metrics_line(evaluate_run(folder, "test")))
    comparison = compare_runs(out, out / "comparison")
    pages = [("the comparison", out / "comparison" / "report.html")]
    pages += [(f"the run {name}", out / name / "report.html") for name in chapter.methods]
    pictures = [out / "comparison" / "dice_by_method.png", out / "comparison" / "difference.png"]
    return Part(chapter.title, chapter.about, comparison, pictures, pages)


def _arms(chapter: Chapter, data: Path, out: Path, load: Load) -> Mapping[str, Settings]:
    """Name -> settings. All arms with augmentation share one stage 0."""
    found = {
        name: replace(load(chapter.config, f"{name},{chapter.preset}"), data_dir=str(data))
        for name in chapter.methods
    }
    first = found.pop("supervised")
    shared = {name: replace(settings, stage0_from=str(out / "supervised")) for name, settings in found.items()}
    plain = {"supervised_no_augmentation": replace(first, augmentation="none")} if chapter.plain else {}
    return {**plain, "supervised": first, **shared}
