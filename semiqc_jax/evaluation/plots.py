"""Plots of measurements: Dice by class, phase and group; Bland-Altman; training curves; methods compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from semiqc_jax.anatomy import Task
from semiqc_jax.evaluation.agreement import agreement
from semiqc_jax.evaluation.cases import CaseRow
from semiqc_jax.evaluation.words import INDEX, curve_title

PHASE_COLOURS = {"ed": "#3b6ea5", "es": "#d9822b"}


def dice_figure(rows: Sequence[CaseRow], task: Task) -> Figure:
    """Dice of each subject by class (panels), group (columns) and phase (colour); a bar is the median."""
    groups = sorted({row.group for row in rows}) or [""]
    figure = Figure(figsize=(min(3.6 * task.n_classes + 0.6 * len(groups), 16), 3.6), layout="constrained")
    panels = figure.subplots(1, task.n_classes, sharey=True, squeeze=False)[0]
    rng = np.random.default_rng(0)
    for axes, name, title in zip(panels, task.classes, task.titles):
        for position, group in enumerate(groups):
            for shift, phase in ((-0.18, "ed"), (0.18, "es")):
                values = [
                    r.dice for r in rows
                    if (r.class_name, r.group, r.phase) == (name, group, phase) and not np.isnan(r.dice)
                ]  # fmt: skip
                if values:
                    x = position + shift + rng.uniform(-0.09, 0.09, len(values))
                    axes.scatter(x, values, s=12, color=PHASE_COLOURS[phase], alpha=0.65, linewidths=0)
                    left, right = position + shift - 0.14, position + shift + 0.14
                    axes.hlines(np.median(values), left, right, color="0.15")
        axes.set_xticks(range(len(groups)), [g or "all" for g in groups], fontsize=8, parse_math=False)
        axes.set_xlim(-0.6, len(groups) - 0.4)
        axes.set_title(title, fontsize=10)
        quiet(axes)
    panels[0].set_ylabel("Dice")
    panels[0].set_ylim(top=1.0)
    for phase, text in zip(PHASE_COLOURS, task.phase_titles):
        panels[-1].scatter([], [], s=16, color=PHASE_COLOURS[phase], label=text)
    legend(figure, panels[-1], 2)
    return figure


def bland_altman_figure(
    pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]], groups: Sequence[str]
) -> Figure:
    """Difference against mean for each index, with bias and 95 % limits of agreement; colour is the group.

    Args:
        pairs: index -> (predicted, reference), a value a subject.
        groups: a subject's group, or "".
    """
    columns = 3 if len(pairs) % 3 == 0 else 4
    lines = -(-len(pairs) // columns)
    figure = Figure(figsize=(3.5 * columns, 3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    kinds = sorted(set(groups))
    for axes, (name, pair) in zip(panels, pairs.items()):
        p, r = np.asarray(pair[0], float), np.asarray(pair[1], float)
        for kind in kinds:
            of_kind = np.array([g == kind for g in groups], bool)
            x, y = (p + r)[of_kind] / 2, (p - r)[of_kind]
            axes.scatter(x, y, s=14, alpha=0.75, linewidths=0, label=_plain(kind or "all"))
        found = agreement(p, r)
        for key, style in (("bias", "-"), ("loa_low", "--"), ("loa_high", "--")):
            if np.isfinite(found[key]):
                axes.axhline(found[key], color="0.25", lw=1, ls=style)
        axes.axhline(0, color="0.75", lw=0.7, zorder=0)
        low, bias, high = (f"{found[key]:.{INDEX[name].digits}f}" for key in ("loa_low", "bias", "loa_high"))
        limits = f"bias {bias} [{low}, {high}]" if found["n"] else "no values"
        axes.set_title(f"{INDEX[name].title}\n{limits}", fontsize=9)
        quiet(axes)
    for axes in panels[len(pairs) :]:
        axes.axis("off")
    for axes in panels[max(0, len(pairs) - columns) : len(pairs)]:
        axes.set_xlabel("mean of prediction and reference", fontsize=9)
    figure.supylabel("prediction - reference", fontsize=9)
    if len(kinds) > 1:
        legend(figure, panels[0], len(kinds))
    return figure


def training_figure(records: Sequence[Mapping[str, object]], names: Sequence[str]) -> Figure:
    """One panel for each measurement of `metrics.jsonl` against the step; rounds differ in colour."""
    figure = Figure(figsize=(4.0 * len(names), 2.9), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    rounds = sorted({int(r["round"]) for r in records if isinstance(r.get("round"), int | float)})  # type: ignore[call-overload]
    for axes, name in zip(panels, names):
        for number in rounds or [None]:
            points = [
                (r["step"], r[name]) for r in records
                if name in r and "step" in r and (number is None or r.get("round") == number)
            ]  # fmt: skip
            points = points[:: max(1, len(points) // 1000)]
            if points:
                label = None if number is None else f"round {number}"
                axes.plot(*np.asarray(points, float).T, lw=1.1, label=label)
        axes.set_title(name, fontsize=10, parse_math=False)
        axes.set_xlabel("step", fontsize=9)
        quiet(axes)
    if len(rounds) > 1:
        legend(figure, panels[0], min(len(rounds), 8))
    return figure


def curves_figure(
    curves: Mapping[str, Float[np.ndarray, "T C"]],
    task: Task,
    reference: Mapping[str, Float[np.ndarray, "T C"]] = MappingProxyType({}),
    columns: int = 4,
) -> Figure:
    """Curves of each class over the frames of the cycle, a panel a subject; circles are the reference."""
    lines = -(-len(curves) // columns)
    figure = Figure(figsize=(2.6 * columns, 1.9 * lines + 0.5), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, (subject_id, curve) in zip(panels, curves.items()):
        for values, colour, title in zip(np.asarray(curve).T, task.colours, task.titles):
            axes.plot(values, color=colour, lw=1.3, marker=".", ms=3, label=title)
        for values, colour in zip(np.asarray(reference.get(subject_id, curve[:, :0])).T, task.colours):
            axes.plot(values, color=colour, ls="none", marker="o", mfc="none", ms=4.5, mew=0.8)
        axes.set_title(subject_id, fontsize=8, parse_math=False)
        if task.curve == "ml":  # areas pulsate by a tenth: from 0 on they would look flat
            axes.set_ylim(bottom=0)
        axes.set_xlabel("frame", fontsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        quiet(axes)
    for axes in panels[len(curves) :]:
        axes.axis("off")
    figure.supylabel(curve_title(task), fontsize=9)
    if reference:
        panels[0].plot([], [], color="0.35", ls="none", marker="o", mfc="none", label="reference")
    legend(figure, panels[0], task.n_classes + 1)
    return figure


@dataclass(frozen=True)
class Dot:
    """One line of a dot plot: a method's mean, its interval, and the runs it is made of."""

    label: str
    mean: float
    low: float
    high: float
    runs: tuple[float, ...]


def dot_figure(panels: Mapping[str, Sequence[Dot]], xlabel: str, zero: bool = False) -> Figure:
    """Methods down, a measurement across: mean with its interval, runs as rings; a panel a label budget.

    `zero` draws a line at 0, for differences.
    """
    lines = max((len(dots) for dots in panels.values()), default=1)
    figure = Figure(figsize=(3.2 + 3.4 * max(len(panels), 1), 0.42 * lines + 1.5), layout="constrained")
    grid = figure.subplots(1, max(len(panels), 1), sharex=True, squeeze=False)[0]
    for axes, (title, dots) in zip(grid, panels.items()):
        if zero:
            axes.axvline(0, color="0.35", lw=0.9)
        for y, dot in enumerate(dots):
            if np.isfinite(dot.low) and np.isfinite(dot.high):
                axes.hlines(y, dot.low, dot.high, color="#3b6ea5", lw=2, alpha=0.55)
            rows = [y] * len(dot.runs)
            axes.scatter(dot.runs, rows, s=22, facecolors="none", edgecolors="0.5", linewidths=0.8)
            axes.scatter([dot.mean], [y], s=34, color="#3b6ea5", zorder=3)
        axes.set_yticks(range(len(dots)), [dot.label for dot in dots], fontsize=9, parse_math=False)
        axes.set_ylim(len(dots) - 0.5, -0.5)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(xlabel, fontsize=9)
        quiet(axes)
    return figure


def _plain(text: str) -> str:
    """Text for a legend, with dollar signs kept from starting a formula."""
    return text.replace("$", r"\$")


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend below all panels, from what one panel holds."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)


def quiet(axes: Axes) -> None:
    """Few lines, small ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, lw=0.4, alpha=0.5)
    axes.tick_params(labelsize=8)
