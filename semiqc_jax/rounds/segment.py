"""New scans -> segmentations, curves, indices and a verdict for each, with a page to look through them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np

from semiqc_jax.datasets.build import QUARANTINE_COLUMNS, Outcome, stored_outcomes
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.readers import nifti
from semiqc_jax.datasets.readers.found import Found, ReaderOptions
from semiqc_jax.datasets.readers.nifti_file import read_image
from semiqc_jax.downstream.indices import SHORT_AXIS_INDICES, short_axis_indices
from semiqc_jax.downstream.phases import phases
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.evaluation.overlays import GalleryItem
from semiqc_jax.evaluation.scans_page import SHOWN, write_scans_page
from semiqc_jax.files import write_csv
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Cine, Segmenter, segment_studies
from semiqc_jax.progress import console, progress
from semiqc_jax.quality.rules import CYCLE_RULES, RULES, assess_rules, configure_rules, reasons
from semiqc_jax.rounds.evaluate import open_model
from semiqc_jax.rounds.new_scans import Output, Scan
from semiqc_jax.rounds.pool import QUALITY_COLUMNS
from semiqc_jax.rounds.run_folder import locked
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.predict import Model

JUDGED_AT_ONCE = 256
Row = dict[str, Any]


def segment_scans(source: Path, folder: Path, run: Path) -> dict[str, int]:
    """Segment the NIfTI images at or below `source` with a trained run, into `folder`.

    Writes `NAME_seg.nii.gz` for each image, and for all `indices.csv` and `curves.csv` (at the predicted
    phases, on the native grid), `quality.csv`, `quarantine.csv` and `report.html`. Images that were already
    segmented by this checkpoint are not segmented again. Labels beside the images are not read.

    Returns:
        {scans, new, quarantined}: how many have a segmentation, were segmented now, were left out.

    Raises:
        NothingUsableError: there is no usable image.
        UserError: the run has no checkpoint, or another process works in `folder`.
    """
    found = list(_each_id_once(nifti.find(source, ReaderOptions(label_codes=None))))
    model, checkpoint = open_model(run)
    output = Output(folder, checkpoint["sha256"])
    with locked(folder):
        earlier = [(one, output.read(one)) for one in found]
        done = {scan.subject_id: scan for _, scan in earlier if scan is not None}
        new, failed = _segment([one for one, scan in earlier if scan is None], output, model)
        quarantine = [_quarantine_row(outcome) for outcome in failed]
        write_csv(folder / "quarantine.csv", QUARANTINE_COLUMNS, quarantine)
        known = {**done, **new}
        scans = [known[name] for name in dict.fromkeys(one.subject_id for one in found) if name in known]
        if not scans:
            reason, mend = quarantine[0]["reason"], quarantine[0]["mend"]
            raise NothingUsableError(f"none of {len(found)} images is usable: {reason}", source, mend)
        _write_results(scans, found, quarantine, output, model, {**checkpoint, "run": run.resolve().name})
    return {"scans": len(scans), "new": len(new), "quarantined": len(failed)}


def _each_id_once(found: Sequence[Found]) -> Iterator[Found]:
    """Of images that would have the same output only the first is read; the others say so."""
    seen: set[str] = set()
    for one in found:
        yield replace(one, read=partial(_there_twice, one)) if one.subject_id in seen else one
        seen.add(one.subject_id)


def _there_twice(one: Found) -> NoReturn:
    raise DataError("subject is there twice", one.path, "keep one of them")  # as `stored_outcomes` says


def _segment(todo: Sequence[Found], output: Output, model: Model) -> tuple[dict[str, Scan], list[Outcome]]:
    scans: dict[str, Scan] = {}
    failed: list[Outcome] = []
    waiting: deque[tuple[Found, Subject]] = deque()

    def cines() -> Iterator[Cine]:
        for outcome in stored_outcomes(todo):
            if outcome.stored is None:
                failed.append(outcome)
                console.print(f"left out: {outcome.error}", style="yellow", markup=False, soft_wrap=True)
                advance()
            else:
                subject = outcome.stored.subject
                waiting.append((outcome.found, subject))
                yield Cine(subject.subject_id, outcome.stored.image, subject.spacing_mm[1:])

    with progress("segmenting", len(todo), "scans") as advance:
        for segmented in segment_studies(Segmenter.of(model, Devices.of()), cines()):
            one, subject = waiting.popleft()
            scans[one.subject_id] = output.write(one, subject, segmented, model.task)
            advance()
    return scans, failed


def _quarantine_row(outcome: Outcome) -> Row:
    error, one = outcome.error, outcome.found
    what = {"reason": f"{error.what} ({error.where})", "mend": error.mend} if error else {}
    return {"subject_id": one.subject_id, "path": str(one.path), "stage": outcome.stage, **what}


def judge_scans(scans: Sequence[Scan]) -> list[Row]:
    """Rows of `quality.csv`, by rules. Nothing is calibrated here: no verdict is above `review`."""
    judged: dict[str, Row] = {}
    single = [scan for scan in scans if len(scan.curves) == 1]
    cines = [scan for scan in scans if len(scan.curves) > 1]
    for group, rules in ((single, configure_rules(off=CYCLE_RULES)), (cines, RULES)):
        for at in range(0, len(group), JUDGED_AT_ONCE):
            part = group[at : at + JUDGED_AT_ONCE]
            shapes = [s.statistics for s in part], [s.extent_mm for s in part], [s.time_s for s in part]
            quality = jax.device_get(assess_rules(assemble_evidence(*shapes), rules))
            for n, scan in enumerate(part):
                row = jax.tree.map(lambda x, n=n: x[n], quality)
                judged[scan.subject_id] = {
                    "subject_id": scan.subject_id,
                    "score": float(row.score),
                    "verdict": "review",
                    "calibration": "none",
                    "reasons": "; ".join(reasons(row, rules)),
                }
    return [judged[scan.subject_id] for scan in scans]


def scan_indices(scan: Scan) -> Row:
    """A row of `indices.csv`: the nine indices at the scan's own phases; NaN where undefined."""
    ed, es = phases(scan.curves[:, 0])
    values = short_axis_indices(scan.curves, ed, es)
    return {"subject_id": scan.subject_id, **{name: float(value) for name, value in values.items()}}


def _curve_rows(scan: Scan, names: Sequence[str]) -> Iterator[Row]:
    for frame, volumes in enumerate(scan.curves):
        time = None if scan.time_s is None else float(scan.time_s[frame])
        values = dict(zip(names, map(float, volumes)))
        yield {"subject_id": scan.subject_id, "frame": frame, "time_s": time, **values}


def _write_results(
    scans: Sequence[Scan],
    found: Sequence[Found],
    quarantine: Sequence[Row],
    output: Output,
    model: Model,
    provenance: Mapping[str, Any],
) -> None:
    quality, indices = judge_scans(scans), [scan_indices(scan) for scan in scans]
    names = model.task.curve_names
    rows = (row for scan in scans for row in _curve_rows(scan, names))
    write_csv(output.folder / "curves.csv", ("subject_id", "frame", "time_s", *names), rows)
    write_csv(output.folder / "indices.csv", ("subject_id", *SHORT_AXIS_INDICES), indices)
    write_csv(output.folder / "quality.csv", QUALITY_COLUMNS, quality)
    worst = np.argsort([row["score"] for row in quality], kind="stable")[:SHOWN]
    by_id = {one.subject_id: one for one in reversed(found)}
    gallery = [_item(by_id[scans[n].subject_id], scans[n], quality[n], output) for n in worst]
    curves = {scans[n].subject_id: scans[n].curves for n in worst}
    table = [{**values, **judged} for values, judged in zip(indices, quality)]
    page = output.folder / "report.html"
    write_scans_page(page, table, quarantine, gallery, curves, provenance, model.task)


def _item(one: Found, scan: Scan, quality: Row, output: Output) -> GalleryItem:
    """The end-diastolic frame of a scan, read again from its files."""
    image = read_image(Path(one.path))
    label = read_image(output.label_path(one.subject_id)).data.astype(np.uint8)
    ed = int(phases(scan.curves[:, 0])[0])
    first = quality["reasons"].split("; ")[0]
    caption = f"score {quality['score']:.2f}\n{first}"
    aspect = image.spacing_mm[1] / image.spacing_mm[2]
    return GalleryItem(one.subject_id, image.data[ed], label[ed], caption, aspect)
