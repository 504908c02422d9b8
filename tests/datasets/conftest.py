"""Small studies, and small ACDC patients in the official layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nifti_files import heart, pixels, save_nifti

from semiqc_jax.study import Study, check_study, uniform_positions


@pytest.fixture
def acdc_source(tmp_path: Path) -> Path:
    """Three ACDC patients: 1 (training) and 101 (testing) with ED and ES frames, 2 with its whole cine."""
    source = tmp_path / "raw"
    for part, number, n_frames in (("training", 1, 2), ("training", 2, 6), ("testing", 101, 2)):
        name = f"patient{number:03d}"
        folder = source / part / name
        ed, es = 1, n_frames
        cine, label = pixels((20, 24, 5, n_frames), number), heart(n_frames, lv=3, myo=2, rv=1)
        for frame in (ed, es):
            save_nifti(folder / f"{name}_frame{frame:02d}.nii.gz", cine[..., frame - 1])
            save_nifti(folder / f"{name}_frame{frame:02d}_gt.nii.gz", label[..., frame - 1])
        text = f"ED: {ed}\nES: {es}\nGroup: DCM\n"
        if n_frames > 2:
            save_nifti(folder / f"{name}_4d.nii.gz", cine, step=0.15, unit="sec")
            text += f"Height: 184.0\nNbFrame: {n_frames}\nWeight: 95.0\n"
        (folder / "Info.cfg").write_text(text)
    return source


@pytest.fixture
def make_study() -> Callable[..., Study]:
    """Returns `make(index, ...)`: a valid study whose shape and content depend on the index."""

    def make(index: int, labelled: bool = True) -> Study:
        n_frames = 2 + index % 2
        label = np.ascontiguousarray(heart(n_frames)[..., : 4 + index % 2, :].T)
        rng = np.random.default_rng(index)
        drawn = rng.random((*label.shape[:2], 3)) < 0.7
        drawn[0] = True
        study = Study(
            subject_id=f"s{index}",
            image=rng.normal(100, 30, label.shape).astype(np.float32),
            spacing_mm=(8.0, 1.25, 1.5 + 0.1 * index),
            slice_position_mm=uniform_positions(label.shape[1], 8.0) + (np.arange(label.shape[1]) > 2),
            affine=np.diag([1.5 + 0.1 * index, 1.25, 8.0, 1.0]),
            frame_time_s=np.arange(n_frames) * 0.1 if index % 2 else None,
            label=label if labelled else None,
            labelled=drawn if labelled else None,
            ed_frame=0,
            es_frame=1,
            group="NOR" if index % 2 else None,
            height_cm=180.0,
            warnings=("a warning",) if index % 2 else (),
        )
        return check_study(study)

    return make
