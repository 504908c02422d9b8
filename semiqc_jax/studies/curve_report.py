"""The study of curves as JSON, a Markdown table and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from semiqc_jax.evaluation.files import write_figure
from semiqc_jax.files import write_json, write_text

KINDS = {"all": "all bad", "EF": "EF", "EDV": "EDV", "own": "own errors", "shared": "shared errors"}


def write_report(found: Mapping[str, Any], output: Path) -> None:
    """Write results.json, table.md and figure.png."""
    write_json(output / "results.json", found)
    write_text(output / "table.md", markdown(found))
    write_figure(output / "figure.png", figure(found))


def markdown(found: Mapping[str, Any]) -> str:
    """The table with what it rests on."""
    share = found["prevalence"]
    shared = share["shared"] / max(share["all"], 1e-9)
    lines = [
        f"{found['patients']} patients x {found['networks']} networks, {found['protocol']}; bad: EF off by more than "
        f"10 points or EDV by more than 20 % ({share['all']:.1%} of the curves; EF {share['EF']:.1%}, EDV "
        f"{share['EDV']:.1%}). AUC and sensitivity within a network, then averaged [95 %, bootstrap over patients]. On "
        f"{shared:.0%} of the bad curves the other networks agree within a quarter of the limits (shared errors): a "
        f"judge that found all others and guessed on these would have {found['ceiling']:.3f}.",
        "",
        "| one network's curve | AUC | sensitivity at 90 % specificity | AUC EF | AUC EDV | AUC own errors "
        "| AUC shared errors | AUC pooled |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(name, x, _interval(found["pooled_auc"][name])) for name, x in found["one_network"].items()]
    lines += [_row(f"*{name}*", x, "") for name, x in found["several_networks"].items()]
    gain = _interval(found["gain_over_boosted_trees"], "+.3f")
    learning = ", ".join(f"{float(k):.0%}: {_interval(v)}" for k, v in _by_share(found))
    lines += ["", f"SVM + network minus boosted trees: {gain}.", f"SVM by share of the training patients: {learning}."]
    return "\n".join(lines) + "\n"


def _by_share(found: Mapping[str, Any]) -> list[tuple[str, list[float]]]:
    return sorted(found["learning_curve"].items(), key=lambda pair: float(pair[0]))


def _row(name: str, kinds: Mapping[str, Any], pooled: str) -> str:
    cells = [_interval(kinds["all"]["auc"]), _interval(kinds["all"]["sensitivity"], ".2f")]
    cells += [_interval(kinds[kind]["auc"]) for kind in ("EF", "EDV", "own", "shared")]
    return f"| {name} | {' | '.join(cells)} | {pooled} |"


def _interval(values: list[float], style: str = ".3f") -> str:
    value, low, high = (format(x, style) for x in values)
    return f"{value} [{low}, {high}]"


def figure(found: Mapping[str, Any]) -> Figure:
    """AUC by kind of error, the learning curve, and risk against coverage."""
    drawn = Figure(figsize=(13, 3.8), layout="constrained")
    bars, learning, risk = drawn.subplots(1, 3)
    names = list(found["one_network"])
    for i, kind in enumerate(KINDS):
        for j, name in enumerate(names):
            value, low, high = found["one_network"][name][kind]["auc"]
            x, colour = i + 0.09 * (j - len(names) / 2), f"C{j}"
            bars.plot([x, x], [low, high], color=colour, lw=1)
            bars.plot(x, value, "o", ms=3.5, color=colour, label=name if i == 0 else None)
    bars.axhline(0.5, color="0.7", lw=0.8)
    bars.set_xticks(range(len(KINDS)), list(KINDS.values()), fontsize=8)
    bars.set_ylabel("AUC within a network")
    bars.legend(fontsize=7, frameon=False)
    points = _by_share(found)
    shares, (value, low, high) = [float(k) for k, _ in points], zip(*(v for _, v in points))
    learning.fill_between(shares, low, high, alpha=0.2, lw=0)
    learning.plot(shares, value, "o-")
    learning.set_xlabel("share of the training patients")
    learning.set_ylabel("AUC of the SVM")
    for name, values in found["risk"].items():
        risk.plot(found["coverage"], values, "o-", ms=3, label=name)
    risk.set_xlabel("coverage: share of the curves accepted")
    risk.set_ylabel("risk: share of them that is bad")
    risk.set_ylim(bottom=0)
    risk.legend(fontsize=8, frameon=False)
    for axes in (bars, learning, risk):
        axes.spines[["top", "right"]].set_visible(False)
    return drawn
