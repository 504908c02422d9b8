"""What networks of varying quality make of patients that they did not learn from: one table a checkpoint.

`NAME.npz` (NAME = RUN_stepNNNNN) holds N patients, in the order of the data set, of T frames, Z slices and C classes:

- every field of `Evidence`, under its own name, of segmentations that are averaged over mirrored slices;
- `subject_id`, `group` [N] texts; `dice` [N], mean over frames and classes, native grid; `frame_dice` [N, T, C];
  `class_dice` [N, C], mean over frames; `slice_dice` [N, T, Z, C], NaN where a class is neither drawn nor found;
  `drawn` [N, T, Z, C]: there is a reference;
- `mask` uint8 [N, T, Z, S, S], the label on the network's grid; `pixel_mm` of that;
- of the network: `run`, `labelled` (how many), `labelled_ids`, `draw`, `step`, `sha256`, `task`, `classes`.

`cohort.npz` holds the same patients and the labelled ones for judges that look at images: `subject_id` [M], `image`
and `label` uint8 [M, T, Z, S, S] on that grid, `n_slices` [M].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.errors import NothingUsableError
from semiqc_jax.evaluation.overlap import dice, mean_dice
from semiqc_jax.files import read_json, write_arrays
from semiqc_jax.inputs.grid import Geometry, Grid, label_on_grid, network_to_native, sample_linear
from semiqc_jax.parallel import Devices
from semiqc_jax.pipeline import Segmentation, Segmenter, cohort_cines, segment_studies
from semiqc_jax.progress import progress
from semiqc_jax.rounds.evaluate import open_model
from semiqc_jax.segmentation.assemble import assemble_evidence

BATCH = 32
COHORT = "cohort.npz"


def study_networks(runs: Path, data: Path, output: Path) -> list[Path]:
    """Make the tables of all checkpoints of the finished runs in a folder; those that are there are kept.

    Args:
        runs: a folder of runs.
        data: a built data set; the patients of its `train` and `val` splits that a run did not label are judged.

    Raises:
        NothingUsableError: no run is finished, or no patient is left.
    """
    cohort = open_cohort(str(data))
    allowed = [i for name in ("train", "val") for i in cohort.splits.get(name, ())]
    subjects = sorted(i for i in map(cohort.index, allowed) if cohort.subjects[i].has_label)
    finished = [path.parent for path in sorted(runs.glob("*/status.json")) if read_json(path)["state"] == "complete"]
    if not finished or not subjects:
        raise NothingUsableError("no finished run or no labelled patient", runs, "train some, launch/train.py")
    made = []
    for run in finished:
        with Checkpoints(run / "checkpoints", read_only=True) as checkpoints:
            digests = {step: checkpoints.info(step)["sha256"] for step in checkpoints.steps()}
        segmenter: Segmenter | None = None
        for step, sha256 in digests.items():
            path = output / f"{run.name}_step{step:05d}.npz"
            if not _is_made(path, sha256):
                model = replace(open_model(run, step)[0], flip_average=True)
                fresh = Segmenter.of(model, Devices.of(), BATCH) if segmenter is None else segmenter
                segmenter = fresh.with_variables(model.variables)
                network = {"step": np.array(step), "sha256": np.array(sha256)}
                write_arrays(path, {**_table(run, f"{run.name}, step {step}", segmenter, cohort, subjects), **network})
            made.append(path)
    if not (output / COHORT).exists():
        grid = open_model(finished[0])[0].grid
        write_arrays(output / COHORT, grid_cohort(cohort, subjects, grid))
    return made


def _is_made(path: Path, sha256: str) -> bool:
    if not path.exists():
        return False
    with np.load(path, allow_pickle=False) as data:
        return str(data["sha256"]) == sha256


def _table(run: Path, name: str, segmenter: Segmenter, cohort: Cohort, subjects: Sequence[int]) -> dict[str, Any]:
    config, labelled = read_json(run / "config.json"), read_json(run / "splits.json")["labelled"]
    judged = [i for i in subjects if cohort.subjects[i].subject_id not in labelled]
    with progress(name, len(judged), "patients") as advance:
        found = _measure(cohort, judged, segmenter, advance)
    model = segmenter.model
    return {
        **found,
        "group": np.array([cohort.subjects[i].group or "" for i in judged]),
        "pixel_mm": np.array(model.grid.pixel_mm),
        "task": np.array(model.task.name),
        "classes": np.array(model.task.classes),
        "run": np.array(run.name),
        "labelled": np.array(len(labelled)),
        "labelled_ids": np.array(labelled),
        "draw": np.array(str(config["labelled_draw"])),
    }


def _measure(
    cohort: Cohort, judged: Sequence[int], segmenter: Segmenter, advance: Callable[..., None]
) -> dict[str, NDArray]:
    statistics, rows = [], []
    segmented = segment_studies(segmenter, cohort_cines(cohort, judged))
    for i, one in zip(judged, segmented, strict=True):
        statistics.append(one.statistics)
        mask = label_on_grid(one.label, cohort.subjects[i].spacing_mm[1:], segmenter.model.grid)
        rows.append({"subject_id": one.subject_id, "mask": mask, **_against_truth(cohort, i, one)})
        advance()
    infos = [cohort.subjects[i] for i in judged]
    extents = [slice_extent_mm(np.asarray(s.slice_position_mm), s.spacing_mm[0]) for s in infos]
    times = [None if s.frame_time_s is None else np.asarray(s.frame_time_s) for s in infos]
    evidence = assemble_evidence(statistics, [np.asarray(x, np.float32) for x in extents], times)
    return {
        **{name: np.asarray(x) for name, x in evidence._asdict().items()},
        **{name: padded([row[name] for row in rows]) for name in rows[0]},
    }


def _against_truth(cohort: Cohort, subject: int, found: Segmentation) -> dict[str, NDArray]:
    label, drawn = read_truth(cohort, subject)
    by_frame = np.full((len(label), drawn.shape[2]), np.nan)
    by_slice = np.full(drawn.shape, np.nan)
    for t, z, c in zip(*np.nonzero(drawn), strict=True):
        by_slice[t, z, c] = dice(found.label[t, z] == c + 1, label[t, z] == c + 1)
    for t, c in zip(*np.nonzero(drawn.any(1)), strict=True):
        rows = drawn[t, :, c]
        by_frame[t, c] = dice(found.label[t, rows] == c + 1, label[t, rows] == c + 1)
    there = ~np.isnan(by_frame)
    by_class = np.where(there, by_frame, 0).sum(0) / np.maximum(there.sum(0), 1)
    return {
        "dice": np.array(mean_dice(found.label, label, drawn)),
        "class_dice": np.where(there.any(0), by_class, np.nan),
        "frame_dice": by_frame,
        "slice_dice": by_slice,
        "drawn": drawn,
    }


def padded(arrays: Sequence[Any]) -> NDArray:
    """Arrays of one rank stacked, padded at their ends with NaN, or 0 where they have none."""
    arrays = [np.asarray(x) for x in arrays]
    if not arrays[0].ndim:
        return np.array(arrays)
    shape = np.max([x.shape for x in arrays], axis=0)
    fill = np.nan if np.issubdtype(arrays[0].dtype, np.floating) else 0
    stacked = np.full((len(arrays), *shape), fill, arrays[0].dtype)
    for row, x in zip(stacked, arrays, strict=True):
        row[tuple(slice(n) for n in x.shape)] = x
    return stacked


def grid_cohort(cohort: Cohort, subjects: Sequence[int], grid: Grid) -> dict[str, NDArray]:
    """Images and reference labels of some patients on a network's grid: the arrays of `cohort.npz`."""
    images, labels = [], []
    for i in subjects:
        subject = cohort.subjects[i]
        extent = jnp.asarray(subject.shape[2:], jnp.float32)
        geometry = Geometry(extent, jnp.asarray(subject.spacing_mm[1:], jnp.float32))
        at = network_to_native(grid, geometry, jnp.eye(2), jnp.zeros(2))
        image, label = cohort.image(i), read_truth(cohort, i)[0]
        flat = jnp.asarray(image.reshape(-1, *image.shape[2:], 1), jnp.float32)
        sampled = np.round([sample_linear(one, at, extent)[..., 0] for one in flat]).astype(np.uint8)
        images.append(sampled.reshape(*image.shape[:2], grid.size, grid.size))
        labels.append(label_on_grid(label, subject.spacing_mm[1:], grid))
    return {
        "subject_id": np.array([cohort.subjects[i].subject_id for i in subjects]),
        "n_slices": np.array([cohort.subjects[i].n_slices for i in subjects]),
        "image": padded(images),
        "label": padded(labels),
    }
