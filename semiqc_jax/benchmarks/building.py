"""Building and streaming a cohort of whole cines in bounded memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from semiqc_jax.benchmarks.contest import Contest
from semiqc_jax.benchmarks.memory import largest_child_mb, resident_mb
from semiqc_jax.benchmarks.reading import Shape, smooth_found
from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.opening import open_cohort

WHOLE: Shape = (50, 10, 192, 192)  # frames, slices, rows, columns: as UK Biobank's short axis
STREAMED = 4  # cines of the timed contest


def building(folder: Path, n_subjects: int = 6, workers: int = 2, shape: Shape = WHOLE) -> Contest:
    """Build `n_subjects` cines and stream them once, noting time and memory; timed: streaming against slices.

    The notes say: seconds and MB of disk of the build, the largest that this process and any worker became, and
    the memory of this process at each tenth of the stream.
    """
    notes: dict[str, Any] = {"subjects": n_subjects, "shape": shape, "workers": workers}
    while_building = [resident_mb()]
    start = time.perf_counter()
    build_cohort(
        smooth_found(n_subjects, shape),
        folder / "data",
        Request("whole", "records"),
        lambda members: {"train": [m.subject_id for m in members]},
        progress=lambda refused: while_building.append(resident_mb()),
        workers=workers,
    )
    notes["build_s"] = time.perf_counter() - start
    notes["disk_mb"] = sum(path.stat().st_size for path in (folder / "data").iterdir()) / 2**20
    notes["build_parent_mb"] = {"before": while_building[0], "largest": max(while_building)}
    notes["build_worker_mb"] = largest_child_mb()
    cohort = open_cohort(folder / "data")
    start, while_streaming, total = time.perf_counter(), [resident_mb()], 0
    for n in range(n_subjects):
        total += int(cohort.image(n)[..., ::16, ::16].sum())
        while_streaming.append(resident_mb())
    notes["stream_s"] = time.perf_counter() - start
    notes["stream_slices_per_s"] = n_subjects * shape[0] * shape[1] / notes["stream_s"]
    notes["stream_mb"] = [while_streaming[round(n_subjects * tenth / 10)] for tenth in range(11)]
    few = min(STREAMED, n_subjects)

    def whole() -> int:
        return sum(int(cohort.image(n)[:, 0, ::16, ::16].sum()) for n in range(few))

    def one_by_one() -> int:
        slices = ((n, t, z) for n in range(few) for t in range(shape[0]) for z in range(shape[1]))
        images = ((cohort.slice_image(*place), place[2]) for place in slices)
        return sum(int(image[::16, ::16].sum()) for image, z in images if z == 0)

    return Contest(whole, one_by_one, "slice by slice", few * shape[0] * shape[1], "slices", notes=notes)
