"""The pool of a round, segmented: shown as evidence, judged, and chosen from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.downstream.curves import slice_extent_mm
from semiqc_jax.evaluation.overlap import mean_dice
from semiqc_jax.files import read_json, write_arrays, write_csv, write_json
from semiqc_jax.quality.groups import group_codes
from semiqc_jax.quality.score import Quality
from semiqc_jax.quality.slice_score import frame_scores
from semiqc_jax.rounds.calibrating import label_budget
from semiqc_jax.rounds.judge import Judge
from semiqc_jax.rounds.slice_judge import SliceJudge, slice_judge_for
from semiqc_jax.rounds.slices_file import by_subject, write_slices
from semiqc_jax.rounds.store import PseudoStore
from semiqc_jax.segmentation.assemble import assemble_evidence
from semiqc_jax.segmentation.evidence import Evidence
from semiqc_jax.selection import CHOSEN, UNITS, Selection, existing, mean_confidence, select
from semiqc_jax.settings import Settings

QUALITY_COLUMNS = ("subject_id", "score", "verdict", "calibration", "selected", "weight", "reasons")
ROUND_COLUMNS = (*QUALITY_COLUMNS, "confidence", "selector_score", "group", "share")
RANKED_IN_SIGHT = ("random", "confidence", "quality")  # `oracle` ranks by the truth, which stays out of the files
WEIGHTS = "weights.npz"
MOST = 0.5  # a subject of which at least this share of slices is chosen counts as selected


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


def pool_evidence(pool: Pool) -> Evidence:
    """What the stored segmentations show; nothing of it comes from a reference label."""
    infos = [pool.cohort.subjects[i] for i in pool.subjects]
    store = pool.store
    extents = [
        np.asarray(slice_extent_mm(np.asarray(s.slice_position_mm), s.spacing_mm[0]), np.float32) for s in infos
    ]
    times = [None if s.frame_time_s is None else np.asarray(s.frame_time_s) for s in infos]
    return assemble_evidence([store.statistics(s.subject_id) for s in infos], extents, times)


def true_dice(pool: Pool, unit: str = "subject") -> NDArray[np.float32]:
    """Mean Dice of the stored segmentations against the reference, on the native grid: the oracle's score.

    Of each subject [N], frame [N, T] or slice [N, T, Z], padded with NaN; NaN where nothing is drawn or found.
    """
    infos = [pool.cohort.subjects[i] for i in pool.subjects]
    longest = (max(s.n_frames for s in infos), max(s.n_slices for s in infos))
    n_frames, n_slices = (1 if unit == "subject" else longest[0], longest[1] if unit == "slice" else 1)
    scores = np.full((len(infos), n_frames, n_slices), np.nan, np.float32)
    for n, (i, info) in enumerate(zip(pool.subjects, infos, strict=True)):
        label, labelled = read_truth(pool.cohort, i)
        predicted = pool.store.label(info.subject_id, label.shape)
        for t, z in np.ndindex(min(n_frames, info.n_frames), min(n_slices, info.n_slices)):
            frames = slice(None) if unit == "subject" else slice(t, t + 1)
            slices = slice(z, z + 1) if unit == "slice" else slice(None)
            scores[n, t, z] = mean_dice(predicted[frames, slices], label[frames, slices], labelled[frames, slices])
    return scores.reshape(scores.shape[: 1 + UNITS.index(unit)])


class _Choice(NamedTuple):
    """What was found of a pool, and chosen from it."""

    quality: Quality
    selection: Selection
    evidence: Evidence
    slice_score: Float[Array, "N T Z"] | None  # by the judge of slices; None where subjects are chosen


def choose(
    pool: Pool,
    settings: Settings,
    stage: int,
    judge: Judge,
    checkpoint: Mapping[str, Any],
    halves: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Judge and choose, and write `quality.csv`, the weights and, last, `manifest.json`.

    Where frames or slices are chosen, `slices.csv` says which, and the manifest who judged them. All of the pool is
    ranked in one list, also where each half was segmented by another network.

    Args:
        checkpoint: {step, sha256} of the run's own network.
        halves: of a cross-fitted run, for the manifest: who is in each half and which network segmented it.
    """
    unit, evidence = settings.select_by, pool_evidence(pool)
    ids = [pool.cohort.subjects[i].subject_id for i in pool.subjects]
    quality = judge.assess(evidence, ids)
    of_slices = None if unit == "subject" else slice_judge_for(settings, pool.cohort.task.name)
    slice_score = of_slices.scores(evidence, ids) if of_slices else None
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(settings.seed), stage), 7)
    selection = select(
        settings.selector,
        settings.selection_policy,
        evidence,
        quality.score if slice_score is None else frame_scores(slice_score) if unit == "frame" else slice_score,
        jnp.asarray(true_dice(pool, unit)) if settings.selector == "oracle" else None,
        key,
        unit,
        _groups(pool) if settings.by_group else None,
    )
    choice = _Choice(quality, selection, evidence, slice_score)
    _write_choice(pool, settings, stage, judge, of_slices, checkpoint, halves, choice)


def _groups(pool: Pool) -> Int[Array, " N"]:
    """The disease group of each subject, as a number."""
    return jnp.asarray(group_codes([pool.cohort.subjects[i].group for i in pool.subjects]))


def _judges_labels(cohort: Cohort, *judges: Judge | SliceJudge | None) -> int:
    """How many of the cohort's subjects taught the judges by their labels."""
    taught_by = frozenset[str]().union(*(judge.taught_by for judge in judges if judge))
    return sum(subject.subject_id in taught_by for subject in cohort.subjects)


def _write_choice(
    pool: Pool,
    settings: Settings,
    stage: int,
    judge: Judge,
    of_slices: SliceJudge | None,
    checkpoint: Mapping[str, Any],
    halves: Sequence[Mapping[str, Any]],
    choice: _Choice,
) -> None:
    quality, selection, evidence, _ = choice
    weight = np.asarray(selection.weight, np.float32)
    subject_weight, exists = weight.max((1, 2)), np.asarray(existing(evidence))
    share = (weight >= CHOSEN).sum((1, 2)) / np.maximum(exists.sum((1, 2)), 1)
    chosen = share >= MOST
    infos = [pool.cohort.subjects[i] for i in pool.subjects]
    in_sight = settings.selector in RANKED_IN_SIGHT
    ranked_by = by_subject(np.asarray(selection.score), evidence, settings.select_by)
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
            "selector_score": float(ranked_by[n]) if in_sight else None,
            "group": info.group,
            "share": float(share[n]),
        }
        for n, info in enumerate(infos)
    ]
    write_csv(pool.folder / "quality.csv", ROUND_COLUMNS, rows)
    if of_slices:
        ids = [info.subject_id for info in infos]
        ranks = np.asarray(selection.score) if in_sight else None
        write_slices(pool.folder / "slices.csv", ids, exists, weight, np.asarray(choice.slice_score), ranks)
    write_arrays(pool.folder / WEIGHTS, {"weight": weight})
    write_json(
        pool.manifest,
        {
            "round": stage,
            "checkpoint": dict(checkpoint),
            "halves": list(halves),
            "selector": settings.selector,
            "judge": judge.name,
            "learned_from": judge.learned_from,
            "select_by": settings.select_by,
            "slice_judge": of_slices.name if of_slices else None,
            "slices_learned_from": of_slices.learned_from if of_slices else None,
            "policy": settings.policy,
            "by_group": settings.by_group,
            "fraction": settings.fraction,
            "threshold": settings.threshold,
            "seed": settings.seed,
            "labels": {**label_budget(settings, pool.cohort), "judge": _judges_labels(pool.cohort, judge, of_slices)},
            "n_pool": len(infos),
            "n_selected": int(chosen.sum()),
            "n_slices": int(exists.sum()),
            "n_slices_selected": int((weight >= CHOSEN).sum()),
            "subjects": [info.subject_id for info, taken in zip(infos, chosen) if taken],
            "shards": pool.store.digests(),
        },
    )
