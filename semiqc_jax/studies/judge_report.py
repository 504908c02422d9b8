"""The study of segmentations as JSON, a Markdown table and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from semiqc_jax.evaluation.files import write_figure
from semiqc_jax.files import write_json, write_text
from semiqc_jax.studies.group_shares import DICE, ORACLE

COLUMNS = {
    "spearman": "Spearman with Dice",
    "auc_good": "AUC Dice < 0.85",
    "auc_bad": "AUC Dice < 0.70",
    "auc_bad_pooled": "the same, pooled",
    "precision_half": "Dice >= 0.85: precision of the better half",
    "kept_at_090": "Dice >= 0.85: kept at precision 0.90",
    "kept_at_090_pooled": "the same, pooled",
    "precision_half_fair": "Dice >= 0.75: precision of the better half",
    "kept_at_090_fair": "Dice >= 0.75: kept at precision 0.90",
}
DRAWN = ("confidence", "flip agreement", "rules + confidence", "svm + confidence", "network + confidence", "oracle")


def write_report(found: Mapping[str, Any], output: Path) -> None:
    """Write `output` and, beside it, the same name with .md and .png."""
    write_json(output, found)
    write_text(output.with_suffix(".md"), markdown(found))
    write_figure(output.with_suffix(".png"), figure(found))


def markdown(found: Mapping[str, Any]) -> str:
    """A table for all networks and one for those of many labels, and the gap to the oracle by disease group."""
    lines = [
        f"{found['patients']} patients, {len(found['networks'])} networks, {found['rows']} segmentations of patients "
        "that the network did not learn from. Each figure is taken within a network, then averaged, unless it is "
        "said to be pooled [95 %, bootstrap over patients].",
    ]
    for name, part in found["parts"].items():
        lines += [
            "",
            f"**{name}**: {part['patients']} patients, {part['networks']} networks, {part['rows']} segmentations; "
            f"share with Dice >= 0.85: {_interval(part['prevalence'], '.2f')}, "
            f"with Dice >= 0.75: {_interval(part['prevalence_fair'], '.2f')}.",
            "",
            f"| judge | n | {' | '.join(COLUMNS.values())} |",
            f"| --- | --- {'| --- ' * len(COLUMNS)}|",
        ]
        for judge, x in part["methods"].items():
            lines.append(f"| {judge} | {x['n']} | {' | '.join(_interval(x[key]) for key in COLUMNS)} |")
        for judge, x in part["gain_over_confidence"].items():
            gains = ", ".join(f"{COLUMNS[key]} {_interval(x[key], '+.3f')}" for key in list(COLUMNS)[:3])
            lines += ["", f"{judge}, less confidence alone: {gains}."]
    groups = list(found["groups"]["oracle"])
    lines += [
        "",
        "Share of each disease group in the accepted half, less the oracle's share (networks of many labels); the mean "
        "Dice of the accepted.",
        "",
        f"| judge | {' | '.join(groups)} |",
        f"| --- {'| --- ' * len(groups)}|",
    ]
    for judge, x in found["groups"].items():
        name = "oracle, its own share" if judge == ORACLE else judge
        cells = [_interval(x[g], ".2f" if judge == ORACLE else "+.2f") for g in groups if g != DICE]
        lines.append(f"| {name} | {' | '.join([*cells, _interval(x[DICE])])} |")
    return "\n".join(lines) + "\n"


def _interval(values: list[float], style: str = ".3f") -> str:
    value, low, high = (format(x, style) for x in values)
    return f"{value} [{low}, {high}]"


def figure(found: Mapping[str, Any]) -> Figure:
    """Risk against coverage, of all networks and of those of many labels, and reliability."""
    parts = found["parts"]
    drawn = Figure(figsize=(4.3 * (len(parts) + 1), 3.8), layout="constrained")
    panels = drawn.subplots(1, len(parts) + 1)
    for axes, (name, part) in zip(panels, parts.items()):
        for judge in (j for j in DRAWN if j in part["risk"]):
            style = "k--" if judge == "oracle" else "o-"
            axes.plot(part["coverage"], part["risk"][judge], style, ms=3, label=judge)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("coverage: share of the segmentations accepted")
        axes.set_ylabel("risk: share of them with Dice < 0.85")
        axes.set_ylim(0, 1)
        axes.legend(fontsize=7, frameon=False)
    axes = panels[-1]
    axes.plot([0, 1], [0, 1], color="0.7", lw=0.8)
    for judge in (j for j in DRAWN if j in found["reliability"]):
        bins = found["reliability"][judge]["bins"]
        axes.plot([b[0] for b in bins], [b[1] for b in bins], "o-", ms=3, label=judge)
    axes.set_xlabel("predicted probability of Dice >= 0.85")
    axes.set_ylabel("observed share")
    axes.legend(fontsize=7, frameon=False)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return drawn
