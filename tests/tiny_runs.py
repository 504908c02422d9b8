"""A cohort of discs and the smallest settings that pass through every part of the loop, in this process."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
from absl import app, flags
from numpy.typing import NDArray

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.checkpoints import Checkpoints
from semiqc_jax.datasets.cohort import Cohort
from semiqc_jax.datasets.memory import MemoryCohort, StoredCohort
from semiqc_jax.datasets.stored import Stored
from semiqc_jax.files import read_json
from semiqc_jax.rounds.judging import judge_for
from semiqc_jax.rounds.loop import run
from semiqc_jax.settings import load_settings
from semiqc_jax.study import Study, check_study, uniform_positions

ROOT = Path(__file__).resolve().parents[1]
PIXELS, SLICES = 32, 4
PIXEL_MM, SLICE_MM = 2.5, 8.0
SPLITS = {"train": ["h0", "h1", "h2", "h3", "h4", "h5"], "val": [], "test": ["h6", "h7"]}
LABELLED, POOL = SPLITS["train"][:2], SPLITS["train"][2:]
UPDATES, ROUNDS, ROUND_UPDATES = 8, 2, 6
STAGE_ENDS = (8, 14, 20)

CONFIG: Mapping[str, Any] = {
    "dataset": "nifti",
    "labelled": len(LABELLED),
    "model": {"base": 2, "depth": 2},
    "grid": {"size": 24, "pixel_mm": 3.0},
    "batch_size": 4,
    "updates": UPDATES,
    "rounds": ROUNDS,
    "round_updates": ROUND_UPDATES,
    "flip_average": False,
    "inference_batch": 8,
    "devices": 1,
    "checkpoint_every": 3,
    "log_every": 2,
}


def heart(index: int) -> Study:
    """A subject whose size and contrast follow from its number; odd ones have a third, undrawn frame."""
    rng = np.random.default_rng(index)
    frames = 2 + index % 2
    y, x = np.mgrid[:PIXELS, :PIXELS]
    cy, cx = PIXELS / 2 + rng.uniform(-2, 2, 2)
    label = np.zeros((frames, SLICES, PIXELS, PIXELS), np.uint8)
    for t, z in np.ndindex(frames, SLICES):
        radius = rng.uniform(0.9, 1.1) * (4.5 - 1.2 * (t == 1) - 0.6 * z)
        label[t, z][np.hypot(y - cy, (x - cx - 1.9 * radius) / 1.2) < 0.9 * radius + 1] = 3
        label[t, z][np.hypot(y - cy, x - cx) < radius + 2.5] = 2
        label[t, z][np.hypot(y - cy, x - cx) < radius] = 1
    brightness = np.array([60.0, 180.0, 90.0, 170.0]) * rng.uniform(0.9, 1.1, 4)
    labelled = np.zeros((frames, SLICES, SHORT_AXIS.n_classes), bool)
    labelled[:2] = True
    study = Study(
        subject_id=f"h{index}",
        image=(brightness[label] + rng.normal(0, 15, label.shape)).astype(np.float32),
        spacing_mm=(SLICE_MM, PIXEL_MM, PIXEL_MM),
        slice_position_mm=uniform_positions(SLICES, SLICE_MM),
        affine=np.diag([PIXEL_MM, PIXEL_MM, SLICE_MM, 1.0]),
        label=label,
        labelled=labelled,
        ed_frame=0,
        es_frame=1,
        group=("NOR", "DCM")[index % 2],
    )
    return check_study(study)


def tiny_cohort() -> MemoryCohort:
    """Eight subjects: two labelled, four in the pool, two for the test."""
    return MemoryCohort("tiny", SHORT_AXIS, [heart(i) for i in range(8)], SPLITS)


def write_nifti(folder: Path) -> Path:
    """The same subjects as a folder of cines with their labels."""
    folder.mkdir(parents=True)
    for study in map(heart, range(8)):
        drawn = np.where(study.labelled.all(-1)[..., None, None], study.label, 0)
        for array, suffix in ((study.image.astype(np.int16), ""), (drawn, "_gt")):
            nib.save(nib.Nifti1Image(array.T, study.affine), folder / f"{study.subject_id}{suffix}.nii.gz")
    (folder / "splits.json").write_text(json.dumps(SPLITS))
    return folder


def with_labels(cohort: StoredCohort, change: Callable[[str, NDArray], NDArray]) -> StoredCohort:
    """The same cohort with `change(subject_id, label)` in place of each label."""
    stored = [
        Stored(one.subject, one.image, change(one.subject.subject_id, one.label), one.labelled)
        for one in cohort._stored
    ]
    return StoredCohort(cohort.name, cohort.task, stored, cohort.splits)


def tiny_config(selector: str = "quality", **changes: Any) -> dict[str, Any]:
    """`CONFIG` with a selector and changes; groups of settings are merged."""
    config = copy.deepcopy(dict(CONFIG)) | {"selector": selector}
    for name, value in changes.items():
        config[name] = config.get(name, {}) | value if isinstance(value, dict) else value
    return config


def config_flags(config: Mapping[str, Any], prefix: str = "config") -> list[str]:
    """A configuration as flags of launch/train.py."""
    found: list[str] = []
    for name, value in config.items():
        path = f"{prefix}.{name}"
        found += config_flags(value, path) if isinstance(value, Mapping) else [f"--{path}={value}"]
    return found


def train_arguments(
    data: Path,
    folder: Path,
    selector: str = "quality",
    config: str = f"{ROOT}/configs/acdc.py:semiqcseg,cpu",
    **changes: Any,
) -> list[str]:
    """Arguments of launch/train.py for the settings of `tiny_config`."""
    overrides = config_flags({"data_dir": str(data), **tiny_config(selector, **changes)})
    return [f"--config={config}", f"--workdir={folder}", *overrides]


class Done(NamedTuple):
    """How a launcher ended."""

    code: int
    out: str
    err: str


def launch(script: str, *arguments: object) -> Done:
    """Run a launcher to its exit in this process: what it does, without the seconds that a new one needs."""
    path, out, err = ROOT / "launch" / script, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, own_flags():
        patch.setattr("semiqc_jax.compilation.use_compilation_cache", lambda: None)
        patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        patch.syspath_prepend(path.parent)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as stop:
                return Done(stop.code, out.getvalue(), err.getvalue())
    raise AssertionError(f"{script} did not exit")


@contextlib.contextmanager
def own_flags() -> Iterator[None]:
    """Forget afterwards which flags were defined and given."""
    app.define_help_flags()
    before = {name: copy.copy(value) for name, value in vars(flags.FLAGS).items()}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the load_module", DeprecationWarning)  # of ml_collections
            yield
    finally:
        sys.modules.pop("common", None)
        vars(flags.FLAGS).update(before)


def train(config: Mapping[str, Any], cohort: Cohort, folder: Path) -> Path:
    """Run the loop as launch/train.py does; returns the run's folder."""
    settings = load_settings(config)
    run(settings, cohort, folder, lambda: judge_for(settings, cohort, folder))
    return folder


def models(folder: Path) -> dict[int, str]:
    """Step -> SHA-256 of each model that a run kept."""
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        return {step: checkpoints.info(step)["sha256"] for step in checkpoints.steps()}


def last_model(folder: Path) -> str:
    """SHA-256 of a run's last model."""
    return max(models(folder).items())[1]


def outcome(folder: Path) -> dict[str, Any]:
    """All of a run that has to be the same for the same settings; metrics go without their timing."""
    logs = [folder / "metrics.jsonl", *sorted(folder.glob("halves/*/metrics.jsonl"))]
    lines = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    return {
        "status": read_json(folder / "status.json"),
        "models": models(folder),
        "manifests": [read_json(path) for path in sorted(folder.glob("rounds/*/manifest.json"))],
        "quality": [path.read_text() for path in sorted(folder.glob("rounds/*/quality.csv"))],
        "metrics": [{k: v for k, v in line.items() if k != "updates_per_s"} for line in lines],
    }


@dataclass
class FinishedRuns:
    """Runs on `tiny_cohort` that are trained once and then only read."""

    folder: Path
    cohort: Cohort = field(default_factory=tiny_cohort)
    _known: dict[str, Path] = field(default_factory=dict)

    def __call__(self, selector: str = "quality", **changes: Any) -> Path:
        """The folder of the finished run of `tiny_config(selector, **changes)`."""
        config = tiny_config(selector, **changes)
        key = json.dumps(config, sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = train(config, self.cohort, self.folder / f"run{len(self._known)}")
        return self._known[key]
