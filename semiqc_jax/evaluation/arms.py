"""Arms of a comparison: what they are called, and which run is the baseline of which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from semiqc_jax.evaluation.runs import Run

BASELINE = "supervised"
SPOKEN = {"True": "on", "False": "off", "": "none"}
SELECTION = (
    *("select_by", "policy", "fraction", "threshold", "budget", "by_group", "pseudo_fraction", "cross_fit", "quality."),
)

FILES = ("quality.classifier", "quality.slice_regressor")


def label_arms(runs: Sequence[Run]) -> list[Run]:
    """Name each run's arm, so that runs of different recipes never share a name at one label budget.

    A name is the method; network and preset where any runs differ in them; augmentation where runs of that
    name differ in it; then, in brackets, every other setting in which runs of that name and of one label
    budget differ. Where two runs would still be the same (arm, labels, draw, seed), the names of their
    folders tell them apart.
    """
    said = [key for key in ("model", "preset") if len({getattr(run, key) for run in runs}) > 1]
    named = [
        replace(run, arm=", ".join([run.method, *(getattr(run, key) or "default" for key in said)]))
        for run in runs
    ]
    named = [_with_augmentation(run, [other for other in named if other.arm == run.arm]) for run in named]
    named = [_with_recipe(run, [other for other in named if other.arm == run.arm]) for run in named]
    keys = [(run.arm, run.labelled, run.draw, run.seed) for run in named]
    return [
        replace(run, arm=f"{run.arm} [{run.path}]") if keys.count(key) > 1 else run
        for run, key in zip(named, keys)
    ]


def is_baseline(run: Run) -> bool:
    """Whether a run learned from labels alone."""
    return run.method in (BASELINE, f"{BASELINE}+none")


def differ_in_selection(run: Run, other: Run) -> bool:
    """Whether two runs of one draw and seed differ in nothing but what was selected."""
    same = ("labelled", "draw", "seed", "augmentation", "model")
    return all(getattr(run, key) == getattr(other, key) for key in same) and all(
        key.startswith(SELECTION) for key in differing([run, other])
    )


def differing(runs: Sequence[Run]) -> list[str]:
    """Settings of the recipe in which runs differ; one that a run's file does not know says nothing."""
    keys = dict.fromkeys(key for run in runs for key in run.recipe)
    return [key for key in keys if len({run.recipe[key] for run in runs if key in run.recipe}) > 1]


def _with_augmentation(run: Run, namesakes: Sequence[Run]) -> Run:
    if len({other.augmentation for other in namesakes}) == 1:
        return run
    kind = "no" if run.augmentation == "none" else run.augmentation
    return replace(run, arm=f"{run.arm}, {kind} augmentation")


def _with_recipe(run: Run, namesakes: Sequence[Run]) -> Run:
    budgets = {other.labelled for other in namesakes}
    apart = {key for b in budgets for key in differing([r for r in namesakes if r.labelled == b])}
    words = [_words(key, value) for key, value in run.recipe.items() if key in apart]
    return replace(run, arm=f"{run.arm} ({', '.join(words)})") if words else run


def _words(key: str, value: str) -> str:
    """A setting for a label: `learned`, `use confidence off`, `grid size 96`."""
    if key in ("quality.name", "policy"):
        return value
    if key in FILES:
        value = Path(value).name
    words = key.removeprefix("quality.").replace(".", " ").replace("_", " ")
    return f"{words} {SPOKEN.get(value, value)}"
