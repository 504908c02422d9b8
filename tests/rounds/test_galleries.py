"""Galleries of a round: who is shown, what is said of them, and when they are drawn again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.memory import MemoryCohort
from semiqc_jax.evaluation.overlays import GalleryItem
from semiqc_jax.files import write_csv
from semiqc_jax.pipeline import Segmentation
from semiqc_jax.rounds import galleries
from semiqc_jax.rounds.pool import QUALITY_COLUMNS, Pool
from semiqc_jax.study import Study, uniform_positions

SHAPE = (3, 4, 16, 20)  # frames, slices, rows, columns
ED = 1


def study(subject_id: str) -> Study:
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    geometry: dict[str, Any] = {"spacing_mm": (8.0, 2.0, 1.0), "slice_position_mm": uniform_positions(4, 8.0)}
    return Study(subject_id, image, affine=np.eye(4), ed_frame=0, **geometry)


def round_of(folder: Path, selected: Sequence[bool]) -> Pool:
    """A complete round: the score of subject n is n / 10, its prediction is largest in frame `ED`."""
    ids = [f"s{n}" for n in range(len(selected))]
    cohort = MemoryCohort("toy", SHORT_AXIS, [study(i) for i in ids], {})
    label = np.zeros(SHAPE, np.uint8)
    label[ED, 1:3, 4:9, 6:12] = 1
    area = np.zeros((*SHAPE[:2], 3), np.float32)
    area[ED, 1:3, 0] = 60.0
    pool = Pool(cohort, tuple(range(len(ids))), folder)
    pool.store.write(0, [Segmentation(i, label, {"area_mm2": area}) for i in ids], {"round": 1})
    rows = [
        {"subject_id": i, "score": n / 10, "selected": int(chosen), "reasons": f"First of {i}; second"}
        for n, (i, chosen) in enumerate(zip(ids, selected))
    ]
    write_csv(folder / "quality.csv", QUALITY_COLUMNS, rows)
    (folder / "manifest.json").write_text("{}")
    return pool


def test_best_and_worst_by_score() -> None:
    rows = [{"score": str(score)} for score in (0.1, 0.9, 0.5, 0.7, 0.3)]
    assert [row["score"] for row in galleries.best_and_worst(rows, 1)] == ["0.9", "0.1"]
    assert [row["score"] for row in galleries.best_and_worst(rows, 2)] == ["0.9", "0.7", "0.3", "0.1"]
    assert [row["score"] for row in galleries.best_and_worst(rows, 3)] == ["0.9", "0.7", "0.5", "0.3", "0.1"]


def test_best_and_worst_by_what_was_ranked_by() -> None:
    rows = [{"score": "0.9", "selector_score": "0.1"}, {"score": "0.1", "selector_score": "0.8"},
            {"score": "0.5", "selector_score": ""}]  # fmt: skip
    assert [row["score"] for row in galleries.best_and_worst(rows, 2)] == ["0.1", "0.9", "0.5"]


def test_items_show_the_predicted_end_diastole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Sequence[GalleryItem]] = {}

    def record(items: Sequence[GalleryItem], task: object, title: str) -> None:
        drawn[title.split()[0]] = items

    monkeypatch.setattr(galleries, "gallery_figure", record)
    monkeypatch.setattr(galleries, "write_figure", lambda path, figure: None)
    pool = round_of(tmp_path, [False, True, True])
    galleries.write_galleries(pool)
    assert {title: [item.id for item in items] for title, items in drawn.items()} == {
        "Accepted": ["s2", "s1"],
        "Rejected": ["s0"],
    }
    item = drawn["Accepted"][0]
    assert item.caption == "score 0.20\nFirst of s2"
    assert item.aspect == 2.0
    np.testing.assert_array_equal(item.label, pool.store.label("s2", SHAPE)[ED])
    np.testing.assert_array_equal(item.image, pool.cohort.image(2)[ED])


def test_drawn_once_and_again_after_a_new_choice(tmp_path: Path) -> None:
    pool = round_of(tmp_path, [True, True])
    galleries.write_galleries(pool)
    accepted = tmp_path / "accepted.png"
    assert accepted.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "rejected.png").exists()
    accepted.write_bytes(b"kept")
    galleries.write_galleries(pool)
    assert accepted.read_bytes() == b"kept"
    later = accepted.stat().st_mtime_ns + 10**9
    os.utime(tmp_path / "manifest.json", ns=(later, later))
    galleries.write_galleries(pool)
    assert accepted.read_bytes().startswith(b"\x89PNG")
