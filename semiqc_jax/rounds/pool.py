"""The pool of a round: segmented into the store, shown as evidence, judged, and chosen from."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.evaluation.overlap import mean_dice
from semiqc_jax.files import read_json, write_bytes, write_csv, write_json
from semiqc_jax.pipeline import Segmenter, cohort_cines, segment_studies
from semiqc_jax.progress import progress
from semiqc_jax.quality.score import Quality
from semiqc_jax.rounds.judge import Judge
from semiqc_jax.rounds.store import SUBJECTS_PER_SHARD, PseudoStore
from semiqc_jax.segmentation.assemble import MEASURED, assemble_evidence
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.selection import CHOSEN, Selection, mean_confidence, select
from semiqc_jax.settings import Settings

QUALITY_COLUMNS = ("subject_id", "score", "verdict", "calibration", "selected", "weight", "reasons")
ROUND_COLUMNS = (*QUALITY_COLUMNS, "confidence", "selector_score", "group")
RANKED_IN_SIGHT = ("random", "confidence", "quality")  # `oracle` ranks by the truth, which stays out of the files
WEIGHTS = "weights.npz"


@dataclass(frozen=True)
class Pool:
    """The unlabelled subjects of a run and the folder of one round."""

    cohort: Cohort
    subjects: tuple[int, ...]
    folder: Path  # rounds/NNN

    @cached_property
    def store(self) -> PseudoStore:
        """The round's pseudo-labels."""
        return PseudoStore(self.folder / "pseudo")

    @property
    def manifest(self) -> Path:
        """The record of the round's selection; it is written last and removed first."""
        return self.folder / "manifest.json"

    @property
    def is_complete(self) -> bool:
        """Whether this round's selection was made."""
        return self.manifest.exists()

    @property
    def is_whole(self) -> bool:
        """Whether the selection was made and the pseudo-labels are still those it was made from."""
        return self.is_complete and self.store.digests() == read_json(self.manifest)["shards"]

    def weight(self) -> NDArray[np.float32]:
        """Weights [N, T, Z] of a complete round."""
        with np.load(self.folder / WEIGHTS, allow_pickle=False) as data:
            return data["weight"]


def segment_pool(
    pool: Pool, segmenter: Callable[[], Segmenter], provenance: Mapping[str, Any], stop_if_asked: Callable[[], None]
) -> None:
    """Segment every frame of the pool into the store, shard by shard; shards that are there are kept.

    A selection that was made from other pseudo-labels counts no more.
    """
    pool.manifest.unlink(missing_ok=True)
    provenance = {**provenance, "statistics": list(MEASURED)}  # those of an older version are made anew
    store, n = pool.store, len(pool.subjects)
    shards = [
        (i, pool.subjects[at : at + SUBJECTS_PER_SHARD]) for i, at in enumerate(range(0, n, SUBJECTS_PER_SHARD))
    ]
    todo = [(i, members) for i, members in shards if not store.is_written(i, provenance)]
    if not todo:
        return
    model = segmenter()
    with progress("segmenting the pool", n, "subjects", n - sum(len(m) for _, m in todo)) as advance:
        cines = cohort_cines(pool.cohort, [i for _, members in todo for i in members])
        segmented = segment_studies(model, cines)
        for i, members in todo:
            shard = []
            for _ in members:
                shard.append(next(segmented))
                advance()
            store.write(i, shard, provenance)
            stop_if_asked()


def pool_evidence(pool: Pool) -> Evidence:
    """What the stored segmentations show; nothing of it comes from a reference label."""
    infos = [pool.cohort.subjects[i] for i in pool.subjects]
    store = pool.store
    extents = [
        np.asarray(slice_extent_mm(np.asarray(s.slice_position_mm), s.spacing_mm[0]), np.float32) for s in infos
    ]
    times = [None if s.frame_time_s is None else np.asarray(s.frame_time_s) for s in infos]
    return assemble_evidence([store.statistics(s.subject_id) for s in infos], extents, times)


def true_dice(pool: Pool) -> NDArray[np.float32]:
    """Mean Dice [N] of the stored segmentations against the reference, on the native grid: the oracle's score."""
    scores = []
    for i in pool.subjects:
        label, labelled = read_truth(pool.cohort, i)
        predicted = pool.store.label(pool.cohort.subjects[i].subject_id, label.shape)
        scores.append(mean_dice(predicted, label, labelled))
    return np.asarray(scores, np.float32)


def choose(pool: Pool, settings: Settings, stage: int, judge: Judge, checkpoint: Mapping[str, Any]) -> None:
    """Judge and choose, and write `quality.csv`, the weights and, last, `manifest.json`."""
    evidence = pool_evidence(pool)
    quality = judge.assess(evidence)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(settings.seed), stage), 7)
    selection = select(
        settings.selector,
        settings.selection_policy,
        evidence,
        quality.score,
        jnp.asarray(true_dice(pool)) if settings.selector == "oracle" else None,
        key,
    )
    _write_choice(pool, settings, stage, judge, checkpoint, quality, selection, evidence)


def _write_choice(
    pool: Pool,
    settings: Settings,
    stage: int,
    judge: Judge,
    checkpoint: Mapping[str, Any],
    quality: Quality,
    selection: Selection,
    evidence: Evidence,
) -> None:
    weight = np.asarray(selection.weight, np.float32)
    subject_weight = weight.max((1, 2))
    chosen = subject_weight >= CHOSEN
    infos = [pool.cohort.subjects[i] for i in pool.subjects]
    in_sight = settings.selector in RANKED_IN_SIGHT
    confidence = np.asarray(mean_confidence(evidence))
    rows = [
        {
            "subject_id": info.subject_id,
            "score": float(quality.score[n]),
            "verdict": "review",  # never better without a calibration on labelled cases outside training
            "calibration": "none",
            "selected": int(chosen[n]),
            "weight": float(subject_weight[n]),
            "reasons": "; ".join(judge.reasons(jax.tree.map(lambda x, n=n: x[n], quality))),
            "confidence": float(confidence[n]),
            "selector_score": float(selection.score[n]) if in_sight else None,
            "group": info.group,
        }
        for n, info in enumerate(infos)
    ]
    write_csv(pool.folder / "quality.csv", ROUND_COLUMNS, rows)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, weight=weight)
    write_bytes(pool.folder / WEIGHTS, buffer.getvalue())
    write_json(
        pool.manifest,
        {
            "round": stage,
            "checkpoint": dict(checkpoint),
            "selector": settings.selector,
            "judge": judge.name,
            "learned_from": judge.learned_from,
            "policy": settings.policy,
            "fraction": settings.fraction,
            "threshold": settings.threshold,
            "seed": settings.seed,
            "n_pool": len(infos),
            "n_selected": int(chosen.sum()),
            "subjects": [info.subject_id for info, taken in zip(infos, chosen) if taken],
            "shards": pool.store.digests(),
        },
    )
