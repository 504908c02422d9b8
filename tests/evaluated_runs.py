"""Evaluated runs made of files alone, for the comparison of runs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

HEADER = {"dataset": "boxes", "split": "test", "checkpoint": {"step": 40, "round": 1, "sha256": "0f"}}
# columns by which each subject's boxes are shifted in an evaluation
SHIFTS = {"bad": (2, 3, 1), "fair": (1, 2, 1), "good": (1, 0, 0)}


def add_run(
    root: Path, evaluations: Path, method: str, measured: str, state: str = "complete", **config: Any
) -> Path:
    known = {"method": method, "labelled": 3, "labelled_draw": "published", "seed": 1}
    known |= {"augmentation": "strong", "model": {"name": "unet"}, "preset": "cpu", **config}
    run = root / f"{method}_{len(list(root.iterdir()))}{measured}"
    (run / "evaluation" / "test").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(known))
    (run / "splits.json").write_text(json.dumps({"test": ["p0", "p1", "p2", "unlabelled"]}))
    (run / "status.json").write_text(json.dumps({"state": state, "round": 1, "step": 40}))
    for file in ("metrics.json", "per_case.csv"):
        (run / "evaluation" / "test" / file).write_bytes((evaluations / measured / file).read_bytes())
    if method != "supervised":
        record = {
            "rounds": [{"round": 1, "precision_accepted": 0.5}, {"round": 2, "precision_accepted": 0.75}]
        }
        (run / "evaluation" / "selection.json").write_text(json.dumps(record))
    return run


def dice_of(evaluations: Path, quality: str) -> dict[str, float]:
    """Mean Dice by subject, from the table itself."""
    with (evaluations / quality / "per_case.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    ids = sorted({row["subject_id"] for row in rows})
    values = {i: [float(row["dice"]) for row in rows if row["subject_id"] == i] for i in ids}
    return {i: sum(v) / len(v) for i, v in values.items()}
