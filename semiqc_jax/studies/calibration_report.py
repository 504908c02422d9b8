"""The study of calibration as JSON, a Markdown table and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from semiqc_jax.evaluation.files import write_figure
from semiqc_jax.files import write_json, write_text

DRAWN_TARGET, DRAWN_PRECISION = 0.75, 0.9
COLUMNS = ("judge", "promise", "promised", "broken on the test half", "precision there", "share accepted")


def write_report(found: Mapping[str, Any], output: Path) -> None:
    """Write `output` and, beside it, the same name with .md and .png."""
    write_json(output, found)
    write_text(output.with_suffix(".md"), markdown(found))
    write_figure(output.with_suffix(".png"), figure(found))


def markdown(found: Mapping[str, Any]) -> str:
    """What is promised and kept, for each target and side, and the reliability of the scores."""
    low, high = found["labelled_cases"]
    targets = [float(t) for t in found["prevalence"]]
    cases = list(found["promises"][0]["accept"]["redrawn"])
    heads = [*COLUMNS, *(f"{n} cases: promised / broken" for n in cases)]
    lines = [
        f"{found['patients']} patients, {found['networks']} networks of {found['runs']} runs, {found['draws']} draws "
        f"each: half of the patients that a network did not learn from are labelled ({low} to {high}), the rest test. "
        "Every promise is made with 95 % confidence: it may be broken in 5 % of all draws. How often: shares of all "
        "draws [95 %, bootstrap over runs]; precision and share accepted: on the test half, where a promise is made "
        "[95 %, bootstrap over patients]. On a test half chance breaks promises that hold. The last columns are exact: "
        "labelled cases drawn with replacement from all patients of the network, which are also the test.",
    ]
    for target in targets:
        for side, words in (("accept", f"Dice >= {target:.2f}"), ("reject", f"Dice < {target:.2f}")):
            rows = [x for x in found["promises"] if x["target"] == target]
            share = found["prevalence"][f"{target}"]
            lines += [
                "",
                f"**{side}: {words}** ({share if side == 'accept' else 1 - share:.0%} of the segmentations)",
                "",
                f"| {' | '.join(heads)} |",
                f"|{' --- |' * len(heads)}",
                *(_row(x, side) for x in rows),
            ]
    lines += [
        "",
        "How far the scores are probabilities, pooled over networks [95 %, bootstrap over patients]: expected "
        "calibration error (5 bins) and Brier score, raw and after Platt scaling by the labelled half.",
        "",
        "| judge | target | ECE raw | ECE scaled | Brier raw | Brier scaled |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for x in found["reliability"]:
        cells = [_interval(x[form][key], ".3f") for key in ("ece", "brier") for form in ("raw", "scaled")]
        lines.append(f"| {x['judge']} | {x['target']:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _row(entry: Mapping[str, Any], side: str) -> str:
    x = entry[side]
    promised = _interval(x["promised"], ".2f")
    if x["too_few"] == 1:
        promised = "too few labelled cases"
    elif x["too_few"]:
        promised += f", too few cases in {x['too_few']:.0%}"
    kept = [_interval(x[key], ".3f") if x["promised"][0] else "" for key in ("broken", "precision", "share")]
    again = [f"{y['promised'][0]:.2f} / {_interval(y['broken'], '.3f')}" for y in x["redrawn"].values()]
    return f"| {entry['judge']} | {entry['precision']:.0%} | {' | '.join([promised, *kept, *again])} |"


def _interval(values: list[float], style: str) -> str:
    value, low, high = (format(x, style) for x in values)
    return f"{value} [{low}, {high}]"


def figure(found: Mapping[str, Any]) -> Figure:
    """Reliability raw and scaled, and how often something is promised by the number of labelled cases."""
    drawn = Figure(figsize=(12.9, 3.8), layout="constrained")
    raw, scaled, promises = drawn.subplots(1, 3)
    for axes, form in ((raw, "raw"), (scaled, "scaled")):
        axes.plot([0, 1], [0, 1], color="0.7", lw=0.8)
        for x in (x for x in found["reliability"] if x["target"] == DRAWN_TARGET):
            bins = x[form]["bins"]
            points = [[b[k] / b[2] for b in bins] for k in (0, 1)]
            axes.plot(*points, "o-", ms=3, label=x["judge"])
        axes.set_title("as it is" if form == "raw" else "scaled by the labelled half", fontsize=9)
        axes.set_xlabel(f"score, P(Dice >= {DRAWN_TARGET})")
        axes.set_ylabel("observed share")
    for x in found["promises"]:
        if (x["target"], x["precision"]) == (DRAWN_TARGET, DRAWN_PRECISION):
            again = x["accept"]["redrawn"]
            shares = [100 * y["promised"][0] for y in again.values()]
            promises.plot([int(n) for n in again], shares, "o-", ms=3, label=x["judge"])
    promises.set_title(f"{DRAWN_PRECISION:.0%} of the accepted have Dice >= {DRAWN_TARGET}", fontsize=9)
    promises.set_xlabel("labelled cases")
    promises.set_ylabel("promised in % of draws")
    for axes in (raw, scaled, promises):
        axes.legend(fontsize=7, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return drawn
