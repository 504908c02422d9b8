"""Building: quarantine, strict, what is written, and that a stopped build is never taken for a whole one."""

import csv
import dataclasses
import json
import os
import shutil
from itertools import chain

import numpy as np
import pytest

from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.outcomes import stored_outcomes
from semiqc_jax.datasets.phantom import parse_spec, phantom_splits
from semiqc_jax.datasets.readers import find_subjects, split_rule
from semiqc_jax.datasets.readers.found import Found, ReaderOptions
from semiqc_jax.datasets.splits import Member, seeded_splits
from semiqc_jax.errors import ConfigError, DataError, NothingUsableError


def broken():
    raise DataError("cannot be read", "b.nii", "export it again")


def sources(make_study, indices=range(3)):
    return [Found(f"s{i}", f"raw/s{i}", lambda i=i: make_study(i)) for i in indices]


@pytest.mark.parametrize("form", ["pack", "records"])
def test_bad_subjects_are_quarantined_and_the_rest_is_built(make_study, tmp_path, form):
    bad = make_study(9)
    bad = dataclasses.replace(bad, image=np.full_like(bad.image, np.nan))
    found = [
        *sources(make_study),
        Found("b", "raw/b", broken),
        Found("s9", "raw/s9", lambda: bad),
        Found("s1", "again/s1", lambda: make_study(1)),
        *sources(make_study, [5]),
    ]
    seen = []
    out = tmp_path / "data"
    summary = build_cohort(found, out, Request("tiny", form), seeded_splits, progress=seen.append)
    assert len(seen) == len(found)
    cohort = open_cohort(out)
    assert [s.subject_id for s in cohort.subjects] == ["s0", "s1", "s2", "s5"]
    assert np.array_equal(cohort.image(3)[1, 1], cohort.slice_image(3, 1, 1))
    assert summary["subjects"] == 4
    assert summary["quarantined"] == 3
    assert summary["frames"] == sum(s.n_frames for s in cohort.subjects)
    assert summary["slices"] == sum(s.n_frames * s.n_slices for s in cohort.subjects)
    with (out / "quarantine.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["subject_id", "path", "stage", "reason", "mend"]
    assert [(r["subject_id"], r["path"], r["stage"]) for r in rows] == [
        ("b", "raw/b", "read"),
        ("s9", "raw/s9", "check"),
        ("s1", "again/s1", "read"),
    ]
    assert rows[0]["reason"] == "cannot be read (b.nii)"
    assert rows[0]["mend"] == "export it again"
    assert json.loads((out / "summary.json").read_text()) == summary
    splits = json.loads((out / "splits.json").read_text())
    assert sorted(chain(*splits.values())) == ["s0", "s1", "s2", "s5"]
    lines = [json.loads(line) for line in (out / "subjects.jsonl").read_text().splitlines()]
    assert [line["subject_id"] for line in lines] == ["s0", "s1", "s2", "s5"]


@pytest.mark.parametrize("form", ["pack", "records"])
def test_patients_of_several_studies_are_known(make_study, tmp_path, form):
    patients = ("anna", "anna", None)
    found = [dataclasses.replace(one, patient_id=p) for one, p in zip(sources(make_study), patients)]
    build_cohort(found, tmp_path / "data", Request("tiny", form), lambda _: {"train": ["s0", "s1", "s2"]})
    assert [s.patient for s in open_cohort(tmp_path / "data").subjects] == ["anna", "anna", "s2"]


def test_strict_stops_at_the_first_bad_subject_and_leaves_nothing(make_study, tmp_path):
    found = [*sources(make_study), Found("b", "raw/b", broken)]
    with pytest.raises(DataError, match=r"b\.nii"):
        build_cohort(found, tmp_path / "data", Request("tiny", "pack"), seeded_splits, strict=True)
    assert not (tmp_path / "data").exists()


def test_nothing_usable(tmp_path):
    with pytest.raises(NothingUsableError, match="none of 1 subjects is usable"):
        build_cohort([Found("b", "raw/b", broken)], tmp_path / "d", Request("tiny", "pack"), seeded_splits)


def test_finished_data_set_is_not_read_again(make_study, tmp_path):
    out, request = tmp_path / "data", Request("tiny", "pack", {"source": "raw"})
    first = build_cohort(sources(make_study), out, request, seeded_splits)
    unread = [Found(f"s{i}", "raw", broken) for i in range(3)]
    assert build_cohort(unread, out, request, seeded_splits, strict=True) == first
    with pytest.raises(ConfigError, match="another data set"):
        build_cohort(unread, out, Request("tiny", "pack", {"source": "other"}), seeded_splits)


def test_changed_source_files_are_not_taken_for_the_built_ones(make_study, tmp_path):
    raw, splits_file, out = tmp_path / "s0.nii", tmp_path / "splits.json", tmp_path / "data"
    raw.write_text("image")
    splits_file.write_text("{}")

    def build():
        found = [Found("s0", raw, lambda: make_study(0), (raw,)), *sources(make_study, [1, 2])]
        request = Request("tiny", "pack", splits_file=splits_file)
        return build_cohort(found, out, request, seeded_splits)

    first = build()
    assert build() == first
    for path in (raw, splits_file):
        before = path.stat()
        path.write_text("mended")
        with pytest.raises(ConfigError, match=rf"source files changed since the build .*: remove {out} to build"):
            build()
        path.write_text("image" if path == raw else "{}")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
        with pytest.raises(ConfigError, match="source files changed"):  # the size of before, another time
            build()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert build() == first
    splits_file.write_text("changed")
    shutil.rmtree(out)
    assert build()["files_digest"] != first["files_digest"]


def test_readers_name_the_files_that_a_subject_is_read_from(acdc_source, tmp_path):
    found = find_subjects("acdc", str(acdc_source))
    names = ("Info.cfg", "frame01.nii.gz", "frame01_gt.nii.gz", "frame02.nii.gz", "frame02_gt.nii.gz")
    assert [path.name.removeprefix("patient001_") for path in found[0].files] == list(names)
    folder = acdc_source / "training" / "patient001"
    found = find_subjects("nifti", str(folder), ReaderOptions(label_codes="acdc"))
    names = ("frame01.nii.gz", "frame01_gt.nii.gz", "frame02.nii.gz", "frame02_gt.nii.gz")
    assert [sorted(one.files) for one in found] == [[folder / f"patient001_{name}" for name in names]]


def test_phantom_of_one_specification_is_built_once(tmp_path):
    """As the demo does, run after run."""
    source = "subjects=4,size=32,frames=2,slices=4,seed=1"
    found, rule = find_subjects("phantom", source), split_rule("phantom", source, None)
    first = build_cohort(found, tmp_path / "d", Request("phantom", "pack", {"source": source}), rule)
    unread = [Found(one.subject_id, source, broken) for one in found]
    assert build_cohort(unread, tmp_path / "d", Request("phantom", "pack", {"source": source}), rule) == first


@pytest.mark.parametrize("form", ["pack", "records"])
def test_stopped_build_leaves_no_data_set_and_can_be_repeated(make_study, tmp_path, form):
    def stop(refused):
        raise KeyboardInterrupt

    out, request = tmp_path / "data", Request("tiny", form)
    with pytest.raises(KeyboardInterrupt):
        build_cohort(sources(make_study), out, request, seeded_splits, progress=stop)
    assert not out.exists()
    (tmp_path / ".data.partial" / "summary.json").write_text("{}")  # a kill may leave anything behind
    assert build_cohort(sources(make_study), out, request, seeded_splits)["subjects"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_foreign_folder_is_left_alone(make_study, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        build_cohort(sources(make_study), tmp_path, Request("tiny", "pack"), seeded_splits)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_subject_in_two_splits_stops_the_build(make_study, tmp_path):
    rule = lambda members: {"train": ["s0", "s1"], "test": ["s1"]}  # noqa: E731
    with pytest.raises(DataError, match="subject s1 is in 'train' and again in 'test'"):
        build_cohort(sources(make_study), tmp_path / "data", Request("tiny", "pack"), rule)


def test_splits_of_other_subjects_stop_the_build(make_study, tmp_path):
    rule = lambda members: {"train": ["x"], "test": ["s1"]}  # noqa: E731
    with pytest.raises(ConfigError, match="no usable subject is in 'train'"):
        build_cohort(sources(make_study), tmp_path / "data", Request("tiny", "pack"), rule)


def test_studies_are_read_one_at_a_time(make_study):
    read = []
    found = [Found(f"s{i}", "raw", lambda i=i: read.append(i) or make_study(i)) for i in range(3)]
    outcomes = stored_outcomes(found)
    next(outcomes)
    assert read == [0]


def test_acdc_splits_are_published_or_seeded():
    ids = [f"patient{i:03d}" for i in range(1, 101)]
    rule = split_rule("acdc", "raw", None)
    assert rule([Member(i) for i in ids])["train"][0] == "patient099"
    others = [Member(f"patient{i}") for i in range(101, 151)]
    assert rule(others) == seeded_splits(others)


def test_phantom_is_a_reader_with_its_own_splits():
    source = "subjects=12,size=32,frames=2"
    ids = [one.subject_id for one in find_subjects("phantom", source)]
    splits = split_rule("phantom", source, None)([Member(i) for i in ids])
    assert sorted(chain(*splits.values())) == sorted(ids)
    assert splits == phantom_splits(parse_spec(source))
