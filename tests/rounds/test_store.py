"""The pseudo-label store: what is written is read back; what is not whole, or not of this checkpoint, is not taken."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from semiqc_jax.errors import DataError
from semiqc_jax.pipeline import Segmentation
from semiqc_jax.rounds.store import PseudoStore

PROVENANCE = {"step": 10, "sha256": "ab" * 32, "round": 1}
SHAPE = (2, 3, 16, 20)


def segmentation(name, seed=0):
    rng = np.random.default_rng(seed)
    statistics = {
        "area_mm2": rng.random((*SHAPE[:2], 3), np.float32),
        "entropy": rng.random(SHAPE[:2], np.float32),
    }
    return Segmentation(name, rng.integers(0, 4, SHAPE, np.uint8), statistics)


SUBJECTS = {name: segmentation(name, i) for i, name in enumerate(["p3", "p1", "p2"])}


@pytest.fixture
def store(tmp_path):
    store = PseudoStore(tmp_path / "pseudo")
    store.write(0, [SUBJECTS["p3"], SUBJECTS["p1"]], PROVENANCE)
    store.write(1, [SUBJECTS["p2"]], PROVENANCE)
    return store


def test_what_is_written_is_read_back(store):
    for name, one in SUBJECTS.items():
        np.testing.assert_array_equal(store.label(name, SHAPE), one.label)
        np.testing.assert_array_equal(store.label_slice(name, 1, 2), one.label[1, 2])
        statistics = store.statistics(name)
        assert set(statistics) == {"area_mm2", "entropy"}
        for key, value in one.statistics.items():
            np.testing.assert_array_equal(statistics[key], value)


def test_a_shard_belongs_to_its_checkpoint(store):
    assert store.is_written(0, PROVENANCE)
    assert store.is_written(1, dict(reversed(PROVENANCE.items())))
    assert not store.is_written(2, PROVENANCE)
    for change in ({"step": 11}, {"sha256": "00"}, {"round": 2}):
        assert not store.is_written(0, {**PROVENANCE, **change})
    later = {**PROVENANCE, "step": 20}
    store.write(0, [segmentation("p3", seed=9)], later)
    assert store.is_written(0, later)
    again = PseudoStore(store.folder)
    np.testing.assert_array_equal(again.label("p3", SHAPE), segmentation("p3", seed=9).label)
    with pytest.raises(DataError, match="p1"):
        again.label("p1", SHAPE)


@pytest.mark.parametrize("kept", [0, 3, 0.5, -1])
def test_half_a_shard_is_never_taken(store, kept):
    """Whatever is left of the file: nothing, a few bytes, half of it, all but the last byte."""
    path = store.shard_path(0)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    assert not store.is_written(0, PROVENANCE)


def test_a_flipped_bit_is_noticed(store):
    """Before the shard is taken, and when it is read: the middle of the shard is a label of `p2`."""
    path = store.shard_path(1)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert not store.is_written(1, PROVENANCE)
    with pytest.raises(DataError, match=r"pseudo-labels are damaged.*p2"):
        store.label("p2", SHAPE)


def test_a_foreign_file_is_not_taken(store):
    store.shard_path(0).write_text("no archive")
    assert not store.is_written(0, PROVENANCE)
    np.savez(store.shard_path(1), x=np.arange(3))
    assert not store.is_written(1, PROVENANCE)


def test_a_write_that_dies_leaves_the_old_shard(store, monkeypatch):
    before = store.digests()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.write(0, [segmentation("p9")], {})
    assert store.digests() == before
    assert sorted(p.name for p in store.folder.iterdir()) == ["00000.npz", "00001.npz"]


def test_a_temporary_file_is_no_shard(store):
    before = store.digests()
    (store.folder / ".00002.npz.k3j2").write_bytes(store.shard_path(1).read_bytes())
    assert store.digests() == before
    np.testing.assert_array_equal(PseudoStore(store.folder).label("p2", SHAPE), SUBJECTS["p2"].label)


def test_a_store_that_was_read_reads_what_is_written_later(store):
    np.testing.assert_array_equal(store.label("p3", SHAPE), SUBJECTS["p3"].label)
    later = [segmentation("p3", seed=9), segmentation("p4", seed=4)]
    store.write(0, later, PROVENANCE)
    for one in later:
        np.testing.assert_array_equal(store.label(one.subject_id, SHAPE), one.label)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="lists its open files on Linux only")
def test_a_few_shards_are_open_at_a_time(store, monkeypatch):
    def still_open():
        files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd.isdecimal()
                 and os.path.exists(f"/proc/self/fd/{fd}")]  # fmt: skip
        return sorted(Path(file).name for file in files if Path(file).parent == store.folder)

    monkeypatch.setattr("semiqc_jax.rounds.store.OPEN_SHARDS", 1)
    for name, shard in (("p3", 0), ("p2", 1), ("p1", 0), ("p3", 0)):
        np.testing.assert_array_equal(store.label(name, SHAPE), SUBJECTS[name].label)
        assert still_open() == [f"{shard:05d}.npz"]


def test_the_same_content_has_the_same_bytes(store, tmp_path):
    """Digests can be compared between runs: no time or order of writing is in them."""
    other = PseudoStore(tmp_path / "other" / "pseudo")
    other.write(1, [SUBJECTS["p2"]], PROVENANCE)
    other.write(0, [SUBJECTS["p3"], SUBJECTS["p1"]], PROVENANCE)
    assert other.digests() == store.digests()
    assert [d["path"] for d in store.digests()] == ["pseudo/00000.npz", "pseudo/00001.npz"]
    assert len({d["sha256"] for d in store.digests()}) == 2


def test_threads_read_what_was_written(store):
    """grain reads slices from several threads at once."""
    gate = threading.Barrier(4)

    def read(start):
        gate.wait()
        for i in range(start, start + 60):
            name = list(SUBJECTS)[i % 3]
            t, z = i % 2, i % 3
            if not np.array_equal(store.label_slice(name, t, z), SUBJECTS[name].label[t, z]):
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))


def test_an_unknown_subject_is_an_error(store):
    with pytest.raises(DataError, match="nobody"):
        store.label_slice("nobody", 0, 0)
    with pytest.raises(DataError, match="nobody"):
        store.statistics("nobody")
