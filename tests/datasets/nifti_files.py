"""Makes small NIfTI files for the readers' tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

AFFINE = np.diag([1.5, 1.25, 8.0, 1.0])


def save_nifti(path: Path, xyzt: NDArray, affine: NDArray | None = AFFINE, **header: Any) -> Path:
    """Write an array (x, y, z[, t]), with zooms of (1.5, 1.25, 8) mm unless `affine` states others.

    `affine` None: the header states zooms but no position. `header`: `step` and `unit` of time.
    """
    image = nib.Nifti1Image(xyzt, affine)
    if affine is None:
        image.header["pixdim"][1:4] = np.diag(AFFINE)[:3]
    if xyzt.ndim == 4:
        image.header["pixdim"][4] = header.get("step", 0.0)
    image.header.set_xyzt_units("mm", header.get("unit", "unknown"))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def heart(n_frames: int, lv: int = 1, myo: int = 2, rv: int = 3) -> NDArray[np.uint8]:
    """A label (x, y, z, t) of 20 x 24 x 5: LV shrinking over the frames, on slices 1 to 3; RV on 1 and 2."""
    label = np.zeros((20, 24, 5, n_frames), np.uint8)
    for t in range(n_frames):
        side = 6 - min(t, 4)
        label[4:14, 4:14, 1:4, t] = myo
        label[6 : 6 + side, 6 : 6 + side, 1:4, t] = lv
        label[15:19, 5:12, 1:3, t] = rv
    return label


def pixels(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.int16]:
    """Noise that stands for an image."""
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)
