"""The HTML report of a run: one self-contained file made from the run's files alone, at any stage of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

import semiqc_jax
from semiqc_jax.evaluation.agreement import summary
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.plots import training_figure
from semiqc_jax.evaluation.quality_figures import reliability_figure
from semiqc_jax.evaluation.runs import flat, task_of
from semiqc_jax.evaluation.words import (
    CLASS_HEADS,
    CLASS_TITLES,
    INDEX,
    QUANTITIES,
    compared,
    phase_titles,
    undefined_note,
)
from semiqc_jax.files import number, read_csv, read_json, write_text

WORST_SHOWN, QUALITY_SHOWN = 8, 40
CURVES_SHOWN = ("loss", "lr", "dice_mean", *(f"dice_{name}" for name in CLASS_HEADS))
ROUND_TILES = {
    "n_selected": "accepted",
    "n_pool": "in the pool",
    "precision_accepted": "precision of the accepted",
    "prevalence": "share of the pool that is good",
    "mean_dice_accepted": "true Dice of the accepted",
    "mean_dice_pool": "true Dice of the pool",
    "spearman_score": "Spearman of score and Dice",
}
ROUND_FIGURES = {
    "choice.png": "scores against the truth",
    "accepted.png": "accepted subjects",
    "rejected.png": "rejected subjects",
}
EXTRA_COLUMNS = {"group": "group", "selector_score": "ranked by"}  # of quality.csv, where they are there


def render(template: str, **values: Any) -> str:
    """Fill a template of this package; everything put into it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semiqc_jax.evaluation"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=semiqc_jax.__version__, **values)


def data_uri(png: bytes) -> str:
    """A PNG as the address of an image that lies in the page itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def images(folder: Path, names: Mapping[str, str]) -> list[dict[str, str]]:
    """Title and data URI of those of the named PNG files (file name -> title) that are there."""
    found = ((folder / name, title) for name, title in names.items())
    return [{"title": title, "uri": data_uri(p.read_bytes())} for p, title in found if p.is_file()]


def show(value: Any, digits: int = 3) -> str:
    """A number for a table; an en dash where it is undefined."""
    if value is None or value == "" or value != value:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return str(value)
    try:
        return str(value) if isinstance(value, int) else f"{float(value):.{digits}f}"
    except ValueError:
        return str(value)


def write_report(run_dir: Path) -> Path:
    """Write `run_dir/report.html` from what lies in the run's folder; what is not there yet is left out.

    Returns:
        Path of the report.
    """
    config, status = _optional(run_dir / "config.json"), _optional(run_dir / "status.json")
    rounds = sorted(p for p in (run_dir / "rounds").glob("*") if p.is_dir())
    evaluations = sorted(p.parent for p in (run_dir / "evaluation").glob("*/metrics.json"))
    selection = _optional(run_dir / "evaluation" / "selection.json").get("rounds", [])
    truth = {f"{entry['round']:03d}": entry for entry in selection}
    facts = [
        (key.replace("_", " "), config[key]) for key in ("labelled", "labelled_draw", "seed") if key in config
    ]
    text = render(
        "report.html",
        title=f"{config.get('method', 'run')} · {run_dir.resolve().name}",
        facts=[*facts, *((key, status[key]) for key in ("round", "step") if key in status)],
        state=status.get("state", "not started"),
        evaluations=[_evaluation(folder) for folder in evaluations],
        training=_training(run_dir / "metrics.jsonl"),
        rounds=[_round(folder, truth.get(folder.name, {})) for folder in rounds],
        calibration=_calibration(_optional(run_dir / "quality" / "calibration.json")),
        settings=[
            ("Configuration", list(flat(config))),
            ("Versions", list(flat(_optional(run_dir / "versions.json")))),
        ],
    )
    path = run_dir / "report.html"
    write_text(path, text)
    return path


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _evaluation(folder: Path) -> dict[str, Any]:
    metrics = read_json(folder / "metrics.json")
    task = task_of(metrics, folder)
    phases = phase_titles(task)
    checkpoint = metrics.get("checkpoint") or {}
    unit = "voxel" if "hd95_voxel" in metrics else "mm"
    surfaces = ((f"hd95_{unit}", f"HD95 ({unit})"), (f"assd_{unit}", f"ASSD ({unit})"))
    tables = [_measure_table(metrics["dice"], "Dice", 3, phases)]
    tables += [_measure_table(metrics[key], title, 2, phases) for key, title in surfaces]
    for source in ("reference", "predicted"):
        tables.append(_index_table(metrics["indices"][source], f"Indices at the {source} {task.read_at}"))
    error = metrics["indices"]["reference"]
    tiles = [
        (show(metrics["dice"]["all"]["mean"]["mean"]), "mean Dice"),
        _surface_tile(metrics[f"hd95_{unit}"]["all"], f"HD95 ({unit})"),
        *((show(error[index.name]["mae"], index.digits), index.error_title) for index in compared(task)),
    ]
    figures = {
        "dice.png": "Dice by class, phase and group",
        "bland_altman.png": f"Agreement of the indices (Bland-Altman, reference {task.read_at})",
        "curves.png": f"{QUANTITIES[task.curve].capitalize()} curves, from the worst to the best Dice",
    }
    return {
        "name": folder.name,
        "n_subjects": metrics["n_subjects"],
        "protocol": metrics["protocol"],
        "step": checkpoint.get("step", "?"),
        "round": checkpoint.get("round"),
        "tiles": tiles,
        "tables": tables,
        "figures": images(folder, figures),
        "overlays": images(folder, {f"overlay_{name}.png": name for name in ("best", "median", "worst")}),
        "worst": _worst(folder / "per_case.csv", phases),
    }


def _surface_tile(by_class: Mapping[str, Any], title: str) -> tuple[str, str]:
    """Mean distance, and how many structures are not in it: a network must not gain by drawing nothing."""
    undefined = _undefined(by_class)
    return show(by_class["mean"]["mean"], 1), f"{title}, {undefined} undefined" if undefined else title


def _undefined(by_class: Mapping[str, Any]) -> int:
    return sum(cell["n_undefined"] for name, cell in by_class.items() if name != "mean")


def _measure_table(
    values: Mapping[str, Any], title: str, digits: int, phases: Mapping[str, str]
) -> dict[str, Any]:
    classes = list(values["all"])
    rows = [
        [
            phases[phase],
            *(f"{show(cell['mean'], digits)} ± {show(cell['sd'], digits)}" for cell in by_class.values()),
            by_class["mean"]["n"],
            _undefined(by_class),
        ]
        for phase, by_class in values.items()
    ]
    head = ["phase", *(CLASS_TITLES.get(name, name) for name in classes), "volumes", "undefined"]
    note = (
        "Mean ± standard deviation over volumes; a volume is one labelled frame of one subject. Undefined: structures "
        "that are left out because mask or reference is empty."
    )
    return {"title": title, "head": head, "rows": rows, "note": note}


def _index_table(values: Mapping[str, Any], title: str) -> dict[str, Any]:
    rows = [
        [INDEX[name].title, v["n"], show(v["bias"], digits),
         f"{show(v['loa_low'], digits)} to {show(v['loa_high'], digits)}", show(v["mae"], digits),
         show(v["pearson_r"], 2)]
        for name, v in values.items() for digits in [INDEX[name].digits]
    ]  # fmt: skip
    missing = undefined_note([name for name, v in values.items() if not v["n"]])
    head = ["index", "n", "bias", "95 % limits of agreement", "mean absolute error", "Pearson r"]
    return {"title": title, "head": head, "rows": rows, "note": f"Prediction - reference. {missing}"}


def _worst(path: Path, phases: Mapping[str, str]) -> list[dict[str, str]]:
    by_subject: dict[str, list[dict[str, str]]] = {}
    for row in read_csv(path) if path.is_file() else []:
        if row["dice"]:
            by_subject.setdefault(row["subject_id"], []).append(row)
    found: list[tuple[float, dict[str, str]]] = []
    for subject_id, rows in by_subject.items():
        weakest = min(rows, key=lambda row: number(row["dice"]))
        mean = summary([number(row["dice"]) for row in rows])["mean"]
        where = phases.get(weakest["phase"], f"frame {int(weakest['frame']) + 1}")
        title = f"{CLASS_TITLES[weakest['class']]}, {where}"
        found.append(
            (mean, {"subject_id": subject_id, "group": weakest["group"], "dice": show(mean), "weakest": title,
                    "weakest_dice": show(number(weakest["dice"]))})
        )  # fmt: skip
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])[:WORST_SHOWN]]


def _training(path: Path) -> str | None:
    """Curves of `metrics.jsonl` as a data URI; a line that a kill cut short is skipped."""
    records: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record:
            records.append(record)
    names = [name for name in CURVES_SHOWN if any(name in record for record in records)]
    return data_uri(figure_png(training_figure(records, names))) if names else None


def _calibration(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the run's labelled calibration cases say; None where there are none."""
    if not values:
        return None
    table, n_bins = values["reliability"], len(values["reliability"]["bins"])
    tiles = [(values["n"], f"labelled cases ({values['source']})"), (values["n_good"], "of them good")]
    tiles += [(show(table["ece"]), "expected calibration error"), (show(table["brier"]), "Brier score")]
    figure = data_uri(figure_png(reliability_figure(table))) if n_bins else None
    return {"reason": values["reason"], "reject": values["reject"], "tiles": tiles, "figure": figure}


def _round(folder: Path, truth: Mapping[str, Any]) -> dict[str, Any]:
    """One round's section: its manifest, how right the choice was where the truth is known, its subjects."""
    known = {**_optional(folder / "manifest.json"), **truth}
    tiles = [(show(known[key]), label) for key, label in ROUND_TILES.items() if known.get(key) is not None]
    path = folder / "quality.csv"
    rows = read_csv(path) if path.is_file() else []
    choices = (("Accepted", True), ("Rejected", False)) if rows else ()
    return {
        "name": folder.name,
        "tiles": tiles,
        "facts": {key: known.get(key) for key in ("selector", "judge", "target_dice")},
        "cross_fitted": any(half["learned_from"] for half in known.get("halves", ())),
        "uncalibrated": any(row.get("calibration") == "none" for row in rows),
        "groups": known.get("accepted_by_group") or {},
        "page": f"rounds/{folder.name}/quality.html" if (folder / "quality.html").is_file() else "",
        "figures": images(folder, ROUND_FIGURES),
        "tables": [_quality_table(rows, title, accepted) for title, accepted in choices],
    }


def _quality_table(rows: Sequence[Mapping[str, str]], title: str, accepted: bool) -> dict[str, Any]:
    """The accepted or the rejected of a round, best first by what the selector went by where that is known."""
    chosen = [row for row in rows if (row.get("selected", "").lower() in ("1", "true", "yes")) == accepted]
    chosen.sort(key=lambda row: number(row.get("selector_score") or row.get("score")), reverse=True)
    extra = [name for name in EXTRA_COLUMNS if any(row.get(name) for row in rows)]
    shown = [
        {**{key: row.get(key, "") for key in ("subject_id", "verdict", "reasons")},
         "extra": [show(row.get(name)) for name in extra],
         "score": show(row.get("score")), "weight": show(row.get("weight"), 2)}
        for row in chosen[:QUALITY_SHOWN]
    ]  # fmt: skip
    heads = [EXTRA_COLUMNS[name] for name in extra]
    return {"title": title, "total": len(chosen), "extra": heads, "rows": shown}
