"""Plots of quality control against the truth: risk and coverage, precision and recall, groups, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from semiqc_jax.evaluation.plots import legend, quiet

OURS, IDEAL, CHANCE = "#3b6ea5", "#1f7a4d", "0.55"


def risk_at_coverage(score: Float[NDArray, " N"], good: Bool[NDArray, " N"]) -> Float[NDArray, " N"]:
    """Share of bad subjects among the 1, 2, ... N best by score; ties in subject order, NaN last."""
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
    return np.cumsum(~good[order]) / np.arange(1, len(good) + 1)


def choice_figure(
    score: Float[NDArray, " N"],
    good: Bool[NDArray, " N"],
    accepted: Bool[NDArray, " N"],
    groups: Sequence[str | None],
) -> Figure:
    """Risk against coverage, precision against recall, and shares accepted and good in each disease group."""
    named = sorted({group for group in groups if group})
    figure = Figure(figsize=(8.4 + 4.2 * bool(named), 3.3), layout="constrained")
    panels = figure.subplots(1, 2 + bool(named), squeeze=False)[0]
    n = len(good)
    coverage = np.arange(1, n + 1) / n
    orders = {"by score": (score, OURS), "by true Dice": (good.astype(float), IDEAL)}
    for label, (values, colour) in orders.items():
        risk = risk_at_coverage(values, good)
        panels[0].plot(coverage, risk, color=colour, label=label)
        panels[1].plot((1 - risk) * np.arange(1, n + 1) / max(good.sum(), 1), 1 - risk, color=colour)
    panels[0].axhline(1 - good.mean(), color=CHANCE, ls="--", lw=1, label="any choice at random")
    panels[1].axhline(good.mean(), color=CHANCE, ls="--", lw=1)
    _label(panels[0], "Risk and coverage", "share kept", "share of the kept that is bad")
    _label(panels[1], "Precision and recall", "recall of the good", "precision")
    if named:
        _groups(panels[2], named, np.array(groups, object), accepted, good)
    legend(figure, panels[0], 3)
    return figure


def _groups(
    axes: Axes, named: list[str], groups: NDArray, accepted: Bool[NDArray, " N"], good: Bool[NDArray, " N"]
) -> None:
    for shift, values, colour, label in ((-0.18, accepted, OURS, "accepted"), (0.18, good, IDEAL, "good")):
        shares = [float(values[groups == group].mean()) for group in named]
        axes.bar(np.arange(len(named)) + shift, shares, 0.34, color=colour, alpha=0.8, label=label)
    axes.set_xticks(range(len(named)), [f"{g}\n{np.sum(groups == g)}" for g in named], parse_math=False)
    _label(axes, "By disease group", "", "share")
    axes.legend(fontsize=8, frameon=False)


def reliability_figure(reliability: Mapping[str, Any]) -> Figure:
    """Observed share of good subjects against the predicted, with Wilson intervals and numbers of subjects."""
    figure = Figure(figsize=(3.8, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=CHANCE, ls="--", lw=1)
    for one in reliability["bins"]:
        axes.vlines(one["predicted"], one["observed_low"], one["observed_high"], color=OURS, alpha=0.5, lw=2)
        axes.plot(one["predicted"], one["observed"], "o", color=OURS)
        axes.annotate(f" {one['n']}", (one["predicted"], one["observed"]), fontsize=8)
    _label(axes, "Reliability", "predicted P(good)", "observed share")
    axes.set_xlim(0, 1)
    return figure


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.set_ylim(-0.02, 1.02)
    quiet(axes)
