"""Splits by patient and the choice of labelled subjects."""

import json
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semiqc_jax.datasets.readers import split_rule
from semiqc_jax.datasets.splits import (
    FRACTIONS,
    NAMES,
    STRATA,
    Member,
    checked_splits,
    labelled_and_pool,
    present,
    published_acdc_splits,
    read_splits,
    seeded_splits,
    stated_splits,
    whole_patients,
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


def members(n, **fields):
    """Subjects s0, s1, ...; each field is a function of the number."""
    return [Member(f"s{i}", **{name: of(i) for name, of in fields.items()}) for i in range(n)]


@given(
    n=st.integers(1, 60),
    seed=st.integers(0, 3),
    studies=st.integers(1, 4),
    n_groups=st.integers(1, 5),
    stratify=st.sampled_from(STRATA),
)
def test_seeded_splits_partition_the_patients(n, seed, studies, n_groups, stratify):
    cohort = members(n, patient_id=lambda i: f"p{i // studies}", group=lambda i: f"g{i % n_groups}")
    splits = seeded_splits(cohort, stratify, seed)
    assert sorted(chain(*splits.values())) == sorted(m.subject_id for m in cohort)
    assert splits == seeded_splits(cohort[::-1], stratify, seed)
    assert whole_patients(splits, cohort) == splits
    patients = {name: {int(i[1:]) // studies for i in ids} for name, ids in splits.items()}
    total = len(set().union(*patients.values()))
    for name, share in zip(NAMES, FRACTIONS, strict=True):
        assert abs(len(patients[name]) - share * total) <= 1


@pytest.mark.parametrize("field", ["group", "site", "sex"])
def test_seeded_splits_are_stratified_on_request(field):
    cohort = members(100, **{field: lambda i: f"g{i % 5}"})
    splits = seeded_splits(cohort, field)
    for name, expected in (("train", 14), ("val", 2), ("test", 4)):
        assert [sum(int(s[1:]) % 5 == g for s in splits[name]) for g in range(5)] == [expected] * 5
    assert splits != seeded_splits(cohort, field, seed=1)
    assert seeded_splits(cohort, "none") == seeded_splits(members(100), "group")


@given(stated=st.lists(st.sampled_from([None, *NAMES]), min_size=1, max_size=20))
def test_layouts_split_is_kept_where_it_has_train_and_test(stated):
    cohort = [Member(f"s{i}", stated=split) for i, split in enumerate(stated)]
    splits = stated_splits(cohort)
    if not {"train", "test"} <= set(stated):
        assert splits is None
    else:
        expected = {name: [m.subject_id for m in cohort if (m.stated or "train") == name] for name in NAMES}
        assert {name: sorted(ids) for name, ids in splits.items()} == {n: sorted(i) for n, i in expected.items()}
        assert splits == stated_splits(cohort[::-1])


def test_file_wins_over_the_layout_and_the_layout_over_the_seed(tmp_path):
    cohort = members(10, stated=lambda i: "test" if i < 5 else "train")
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"train": ["s0"], "test": ["s9"]}))
    assert split_rule("mnms", "raw", path)(cohort) == {"train": ["s0"], "val": [], "test": ["s9"]}
    assert sorted(split_rule("mnms", "raw", None)(cohort)["test"]) == ["s0", "s1", "s2", "s3", "s4"]
    unstated = members(10, sex=lambda i: "MF"[i % 2])
    assert split_rule("mnms", "raw", None, "sex", 3)(unstated) == seeded_splits(unstated, "sex", 3)


def test_file_that_tears_a_patient_is_refused(tmp_path):
    cohort = [Member("1234567_2_0", "1234567"), Member("1234567_3_0", "1234567"), Member("7654321_2_0", "7654321")]
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"train": ["1234567_2_0", "7654321_2_0"], "test": ["1234567_3_0"]}))
    with pytest.raises(DataError, match="1234567_2_0 is in 'train' and 1234567_3_0 in 'test'"):
        split_rule("ukbb_nifti", "raw", path)(cohort)
    path.write_text(json.dumps({"train": ["1234567_2_0"], "test": ["7654321_2_0"]}))  # one study in no split
    assert split_rule("ukbb_nifti", "raw", path)(cohort)["test"] == ["7654321_2_0"]


def test_subject_in_two_splits_is_named():
    with pytest.raises(DataError, match="subject v is in 'train' and again in 'val'"):
        checked_splits({"train": ["t", "v"], "val": ["v"]}, "file")


@pytest.mark.parametrize("text", ["", "[]", '{"val": ["a"]}', '{"train": "abc"}', '{"train": [1, 2]}', '{"train": []}'])
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
