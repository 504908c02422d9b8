"""Splits by patient and the choice of labelled subjects."""

import json
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.datasets.splits import (
    checked_splits,
    labelled_and_pool,
    present,
    published_acdc_splits,
    read_splits,
    seeded_splits,
)
from semiqc_jax.errors import ConfigError, DataError

SPLITS = {"train": [f"t{i}" for i in range(10)], "val": ["v"], "test": ["x", "y"]}


def test_published_acdc_split():
    splits = published_acdc_splits()
    assert [len(splits[name]) for name in ("train", "val", "test")] == [70, 10, 20]
    assert sorted(chain(*splits.values())) == [f"patient{i:03d}" for i in range(1, 101)]
    assert splits["train"][:3] == ["patient099", "patient038", "patient050"]


def test_published_acdc_split_equals_the_benchmarks_file(data_dir):
    path = data_dir / "acdc" / "ssl4mis_split.json"
    assert read_splits(path) == published_acdc_splits()


@given(n=st.integers(1, 60), seed=st.integers(0, 3), n_groups=st.integers(1, 5))
def test_seeded_splits_partition_the_subjects(n, seed, n_groups):
    ids = [f"s{i}" for i in range(n)]
    groups = [f"g{i % n_groups}" for i in range(n)]
    splits = seeded_splits(ids, groups, seed)
    assert sorted(chain(*splits.values())) == sorted(ids)
    assert splits == seeded_splits(ids[::-1], groups[::-1], seed)
    assert len(splits["train"]) >= 1


def test_seeded_splits_are_stratified():
    ids = [f"s{i}" for i in range(100)]
    splits = seeded_splits(ids, [f"g{i % 5}" for i in range(100)])
    for name, expected in (("train", 14), ("val", 2), ("test", 4)):
        members = splits[name]
        assert [sum(int(s[1:]) % 5 == g for s in members) for g in range(5)] == [expected] * 5
    assert splits != seeded_splits(ids, [f"g{i % 5}" for i in range(100)], seed=1)


def test_subject_in_two_splits_is_named():
    with pytest.raises(DataError, match="subject v is in 'train' and again in 'val'"):
        checked_splits({"train": ["t", "v"], "val": ["v"]}, "file")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"val": ["a"]}', '{"train": "abc"}', '{"train": [1, 2]}', '{"train": []}']
)
def test_wrong_splits_file_is_a_usage_error(tmp_path, text):
    path = tmp_path / "splits.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"splits\.json"):
        read_splits(path)


def test_splits_file_keeps_order_and_ignores_notes(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({**SPLITS, "note": "x"}))
    assert read_splits(path) == SPLITS


def test_present_drops_what_the_cohort_lacks():
    assert present(SPLITS, {"t3", "t1", "y"}) == {"train": ["t1", "t3"], "val": [], "test": ["y"]}


def test_published_draw_is_the_first_of_train():
    assert labelled_and_pool(SPLITS, 3, "published") == (["t0", "t1", "t2"], SPLITS["train"][3:])


def test_draws_of_one_seed_are_nested_and_differ_between_seeds():
    three, seven = (labelled_and_pool(SPLITS, n, 5)[0] for n in (3, 7))
    assert seven[:3] == three
    assert len({tuple(labelled_and_pool(SPLITS, 3, seed)[0]) for seed in range(6)}) > 3


@given(n=st.integers(1, 10), draw=st.one_of(st.just("published"), st.integers(0, 50)))
def test_labelled_and_pool_partition_train(n, draw):
    labelled, pool = labelled_and_pool(SPLITS, n, draw)
    assert len(labelled) == n
    assert sorted(labelled + pool) == sorted(SPLITS["train"])
    assert (labelled, pool) == labelled_and_pool(SPLITS, n, str(draw))


def test_subjects_without_reference_are_pool_only():
    labelled, pool = labelled_and_pool(SPLITS, 2, "published", candidates={"t4", "t6"})
    assert labelled == ["t4", "t6"]
    assert len(pool) == 8


@pytest.mark.parametrize(("n", "draw"), [(0, "published"), (11, "published"), (3, "first"), (3, -1)])
def test_wrong_choice_of_labels_is_a_usage_error(n, draw):
    with pytest.raises(ConfigError, match=r"config\.labelled"):
        labelled_and_pool(SPLITS, n, draw)
