"""The verdict on new scans: rows of `quality.csv`, by the rules of the model's task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from semiqc_jax.anatomy import Task
from semiqc_jax.quality.rules import assess_rules, configure_rules, reasons
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.new_scans import Scan
from semiqc_jax.segmentation.assemble import assemble_evidence

JUDGED_AT_ONCE = 256


def judge_scans(scans: Sequence[Scan], task: Task) -> list[dict[str, Any]]:
    """Rows of `quality.csv`, in the order of the scans. Nothing is calibrated here: no verdict is above `review`.

    A scan of one frame is not judged by the rules on the cardiac cycle.
    """
    every = checks_of(task.name)
    judged: dict[str, dict[str, Any]] = {}
    single = [scan for scan in scans if len(scan.curves) == 1]
    cines = [scan for scan in scans if len(scan.curves) > 1]
    for group, checks in ((single, configure_rules(every, off=every.cycle_rules)), (cines, every)):
        for at in range(0, len(group), JUDGED_AT_ONCE):
            part = group[at : at + JUDGED_AT_ONCE]
            shapes = [s.statistics for s in part], [s.extent_mm for s in part], [s.time_s for s in part]
            quality = jax.device_get(assess_rules(assemble_evidence(*shapes), checks))
            for n, scan in enumerate(part):
                row = jax.tree.map(lambda x, n=n: x[n], quality)
                judged[scan.subject_id] = {
                    "subject_id": scan.subject_id,
                    "score": float(row.score),
                    "verdict": "review",
                    "calibration": "none",
                    "reasons": "; ".join(reasons(row, checks)),
                }
    return [judged[scan.subject_id] for scan in scans]
