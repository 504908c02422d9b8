"""Segmenting the pool of a round into its store: which network segments whom, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from semiqc_jax.pipeline import Segmenter, cohort_cines, segment_studies
from semiqc_jax.progress import progress
from semiqc_jax.rounds.pool import Pool
from semiqc_jax.rounds.store import SUBJECTS_PER_SHARD
from semiqc_jax.segmentation.assemble import MEASURED


class Part(NamedTuple):
    """Subjects of the pool that one network segments."""

    subjects: tuple[int, ...]
    provenance: Mapping[str, Any]  # of its shards: {step, sha256} of the network, the round, ...
    segmenter: Callable[[], Segmenter]  # called where something is left to segment


def segment_pool(pool: Pool, parts: Sequence[Part], stop_if_asked: Callable[[], None]) -> None:
    """Segment every frame of the pool into the store, shard by shard; shards that are there are kept.

    A selection that was made from other pseudo-labels counts no more.

    Args:
        parts: every subject of the pool in one of them; no shard holds subjects of two.
    """
    pool.manifest.unlink(missing_ok=True)
    shards = [
        (part, part.subjects[at : at + SUBJECTS_PER_SHARD])
        for part in parts
        for at in range(0, len(part.subjects), SUBJECTS_PER_SHARD)
    ]
    todo = [(i, *one) for i, one in enumerate(shards) if not pool.store.is_written(i, _provenance(one[0]))]
    if not todo:
        return
    n = len(pool.subjects)
    with progress("segmenting the pool", n, "subjects", n - sum(len(members) for *_, members in todo)) as advance:
        for part in parts:
            missing = [(i, members) for i, of, members in todo if of is part]
            if missing:
                _segment_shards(pool, part, missing, advance, stop_if_asked)


def _provenance(part: Part) -> dict[str, Any]:
    return {**part.provenance, "statistics": list(MEASURED)}  # those of an older version are made anew


def _segment_shards(
    pool: Pool,
    part: Part,
    shards: Sequence[tuple[int, tuple[int, ...]]],
    advance: Callable[[], None],
    stop_if_asked: Callable[[], None],
) -> None:
    cines = cohort_cines(pool.cohort, [i for _, members in shards for i in members])
    segmented = segment_studies(part.segmenter(), cines)
    for index, members in shards:
        shard = []
        for _ in members:
            shard.append(next(segmented))
            advance()
        pool.store.write(index, shard, _provenance(part))
        stop_if_asked()
