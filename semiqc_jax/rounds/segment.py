"""New scans -> segmentations, curves, indices and a verdict for each, with a page to look through them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.cohort import Subject
from semiqc_jax.datasets.outcomes import QUARANTINE_COLUMNS, Refused, each_id_once, stored_outcomes
from semiqc_jax.datasets.readers import find_subjects
from semiqc_jax.datasets.readers.found import Found, ReaderOptions
from semiqc_jax.datasets.readers.nifti_file import read_image
from semiqc_jax.downstream.indices import clinical_indices
from semiqc_jax.downstream.phases import phases
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.evaluation.overlays import GalleryItem, gallery_views
from semiqc_jax.evaluation.scans_page import NO_PROMISE, SHOWN, write_scans_page
from semiqc_jax.files import write_csv
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Cine, Segmenter, segment_studies
from semiqc_jax.progress import console, progress
from semiqc_jax.quality.calibration import Calibration
from semiqc_jax.quality.curve_chance import CurveJudge
from semiqc_jax.quality.learned import Classifier
from semiqc_jax.rounds.calibrating import quality_settings, stored_calibration
from semiqc_jax.rounds.curve_file import kept_curve_judge
from semiqc_jax.rounds.evaluate import open_model
from semiqc_jax.rounds.new_scans import Output, Scan
from semiqc_jax.rounds.pool import QUALITY_COLUMNS
from semiqc_jax.rounds.run_folder import locked
from semiqc_jax.rounds.scan_quality import judge_scans, run_classifier
from semiqc_jax.segmentation.predict import Model
from semiqc_jax.settings import QualitySettings

Row = dict[str, Any]
SCAN_COLUMNS = (*QUALITY_COLUMNS, "probability")


class Verdicts(NamedTuple):
    """How a run judges, and what it may promise."""

    quality: QualitySettings
    calibration: Calibration | None
    classifier: Classifier | None
    curves: CurveJudge | None

    @classmethod
    def of(cls, run: Path, sha256: str, task: Task) -> Verdicts:
        """Those of a run's model of this digest."""
        quality = quality_settings(run)
        classifier, curves = run_classifier(run, quality, task), kept_curve_judge(quality, run)
        return cls(quality, stored_calibration(run, sha256), classifier, curves)


def segment_scans(source: str | Path, folder: Path, run: Path, dataset: str = "nifti") -> dict[str, int]:
    """Segment the scans at or below `source` with a trained run, into `folder`.

    Writes `NAME_seg.nii.gz` for each scan, and for all `indices.csv` and `curves.csv` (of the run's task, read at
    the prediction's own frames, on the native grid), `quality.csv`, `quarantine.csv` and `report.html`. Scans
    that were already segmented by this checkpoint are not segmented again. Labels beside the images are not read.

    Args:
        dataset: the reader, a key of `READERS`.

    Returns:
        {scans, new, quarantined}: how many have a segmentation, were segmented now, were left out.

    Raises:
        NothingUsableError: there is no usable scan.
        UserError: the run has no checkpoint, or another process works in `folder`.
    """
    model, checkpoint = open_model(run)
    judged_by = Verdicts.of(run, checkpoint["sha256"], model.task)
    options = ReaderOptions(task=model.task, label_codes=None)
    found = list(each_id_once(find_subjects(dataset, str(source), options)))
    output = Output(folder, checkpoint["sha256"])
    with locked(folder):
        earlier = [(one, output.read(one)) for one in found]
        done = {scan.subject_id: scan for _, scan in earlier if scan is not None}
        new, failed = _segment([one for one, scan in earlier if scan is None], output, model)
        quarantine = [refused.row() for refused in failed]
        write_csv(folder / "quarantine.csv", QUARANTINE_COLUMNS, quarantine)
        known = {**done, **new}
        scans = [known[name] for name in dict.fromkeys(one.subject_id for one in found) if name in known]
        if not scans:
            reason, mend = quarantine[0]["reason"], quarantine[0]["mend"]
            raise NothingUsableError(f"none of {len(found)} scans is usable: {reason}", source, mend)
        _write_results(scans, found, quarantine, output, model, {**checkpoint, "run": run.resolve().name}, judged_by)
    return {"scans": len(scans), "new": len(new), "quarantined": len(failed)}


def _segment(todo: Sequence[Found], output: Output, model: Model) -> tuple[dict[str, Scan], list[Refused]]:
    scans: dict[str, Scan] = {}
    failed: list[Refused] = []
    waiting: deque[tuple[Found, Subject]] = deque()

    def cines() -> Iterator[Cine]:
        for outcome in stored_outcomes(todo):
            if outcome.error is not None:
                failed.append(Refused.of(outcome.found, outcome.stage, outcome.error))
                console.print(f"left out: {outcome.error}", style="yellow", markup=False, soft_wrap=True)
                advance()
            elif outcome.stored is not None:
                subject = outcome.stored.subject
                waiting.append((outcome.found, subject))
                yield Cine(subject.subject_id, outcome.stored.image, subject.spacing_mm[1:])

    with progress("segmenting", len(todo), "scans") as advance:
        for segmented in segment_studies(Segmenter.of(model, Devices.of()), cines()):
            one, subject = waiting.popleft()
            scans[one.subject_id] = output.write(one, subject, segmented, model.task)
            advance()
    return scans, failed


def scan_indices(scan: Scan, task: Task) -> Row:
    """A row of `indices.csv`: the task's indices from the scan's own curves; NaN where undefined."""
    values = clinical_indices(task, scan.curves, scan.pulse_pressure_mmhg)
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
    judged_by: Verdicts,
) -> None:
    quality = judge_scans(scans, model.task, *judged_by)
    indices = [scan_indices(scan, model.task) for scan in scans]
    names = model.task.curve_names
    rows = (row for scan in scans for row in _curve_rows(scan, names))
    write_csv(output.folder / "curves.csv", ("subject_id", "frame", "time_s", *names), rows)
    write_csv(output.folder / "indices.csv", ("subject_id", *model.task.indices), indices)
    write_csv(output.folder / "quality.csv", SCAN_COLUMNS, quality)
    worst = np.argsort([row["score"] for row in quality], kind="stable")[:SHOWN]
    by_id = {one.subject_id: one for one in reversed(found)}
    gallery = [_item(by_id[scans[n].subject_id], scans[n], quality[n], output, model.task) for n in worst]
    curves = {scans[n].subject_id: scans[n].curves for n in worst}
    table = [{**values, **judged} for values, judged in zip(indices, quality)]
    page = output.folder / "report.html"
    promise = f"{judged_by.calibration.reason}." if judged_by.calibration else NO_PROMISE
    write_scans_page(page, table, quarantine, gallery, curves, provenance, model.task, promise)


def _item(one: Found, scan: Scan, quality: Row, output: Output, task: Task) -> GalleryItem:
    """The end-diastolic frame of a scan, or a plane over the cycle, read again from its files."""
    study = one.read()
    label = read_image(output.label_path(one.subject_id)).data.astype(np.uint8)
    views = tuple(np.transpose(gallery_views(task, *study.shape[:2], int(phases(scan.curves, task)[0]))))
    first = quality["reasons"].split("; ")[0]
    caption = f"score {quality['score']:.2f}\n{first}"
    aspect = study.spacing_mm[1] / study.spacing_mm[2]
    return GalleryItem(one.subject_id, study.image[views], label[views], caption, aspect)
