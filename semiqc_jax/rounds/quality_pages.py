"""What a round's quality control saw, as a page: every subject's curves against the cohort's and where it failed."""

from __future__ import annotations

import numpy as np

from semiqc_jax.downstream.curves import curves_from_areas, task_extent_mm
from semiqc_jax.evaluation.quality_page import JudgedSubject, write_quality_page
from semiqc_jax.files import read_csv
from semiqc_jax.quality.location import worst_places
from semiqc_jax.quality.rules import assess_rules
from semiqc_jax.quality.tasks import checks_of
from semiqc_jax.rounds.pool import Pool, pool_evidence
from semiqc_jax.segmentation.assemble import MEASURED


def write_round_page(pool: Pool) -> None:
    """Write `quality.html` of a complete round, unless it is there and newer than it; its truth is not looked at.

    Places are those of the task's rules, also where a learned judge made the score.
    """
    path = pool.folder / "quality.html"
    if path.is_file() and path.stat().st_mtime_ns > pool.manifest.stat().st_mtime_ns:
        return
    ids = [pool.cohort.subjects[i].subject_id for i in pool.subjects]
    if not all({*MEASURED} <= pool.store.statistics(name).keys() for name in ids[:1]):
        return  # pseudo-labels of an older version lack what the checks look at
    checks, evidence, task = checks_of(pool.cohort.task.name), pool_evidence(pool), pool.cohort.task
    places = np.asarray(worst_places(evidence, assess_rules(evidence, checks), checks)).tolist()
    rows = {row["subject_id"]: row for row in read_csv(pool.folder / "quality.csv")}
    subjects = []
    for n, i in enumerate(pool.subjects):
        subject = pool.cohort.subjects[i]
        extent = task_extent_mm(np.asarray(subject.slice_position_mm), subject.spacing_mm[0], task)
        curve = curves_from_areas(pool.store.statistics(subject.subject_id)["area_mm2"], extent)
        subjects.append(JudgedSubject(rows[subject.subject_id], np.asarray(curve), *places[n]))
    write_quality_page(path, f"Quality control of round {int(pool.folder.name)}", subjects, task)
