"""The three forms of a cohort give the same answers; the packed one needs NumPy alone."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.cohort import Cohort, read_truth
from semiqc_jax.datasets.intensity import intensity_window, to_uint8
from semiqc_jax.datasets.memory import MemoryCohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.readers.found import Found
from semiqc_jax.datasets.records import SPLIT
from semiqc_jax.datasets.stored import subject_from_json, subject_to_json
from semiqc_jax.errors import DataError

SPLITS = {"train": ["s2", "s0"], "val": [], "test": ["s1", "s3"]}


@pytest.fixture
def studies(make_study):
    made = [make_study(i, labelled=i != 3) for i in range(4)]
    # Muscle is darker than blood, as the check of labels wants it.
    return [s if s.label is None else replace(s, image=s.image - 1000.0 * (s.label == 2)) for s in made]


def build(studies, out, form):
    found = [Found(s.subject_id, "memory", lambda s=s: s) for s in studies]
    build_cohort(found, out, Request("tiny", form), lambda members: SPLITS)
    return out


@pytest.fixture(params=["memory", "pack", "records"])
def cohort(request, studies, tmp_path) -> Cohort:
    if request.param == "memory":
        return MemoryCohort("tiny", SHORT_AXIS, studies, SPLITS)
    return open_cohort(build(studies, tmp_path / "data", request.param))


def test_every_form_holds_the_studies(cohort, studies):
    assert (cohort.name, cohort.task, cohort.splits) == ("tiny", SHORT_AXIS, SPLITS)
    first = 0
    for n, study in enumerate(studies):
        subject = cohort.subjects[n]
        assert cohort.index(study.subject_id) == n
        assert subject.subject_id == study.subject_id
        assert subject.shape == study.shape
        assert subject.spacing_mm == study.spacing_mm
        assert subject.slice_position_mm == tuple(study.slice_position_mm)
        np.testing.assert_array_equal(subject.affine, study.affine)
        assert subject.first_record == first
        assert subject.has_label == (study.label is not None)
        times = study.frame_time_s
        assert subject.frame_time_s == (None if times is None else tuple(times))
        assert (subject.ed_frame, subject.es_frame, subject.group) == (0, 1, study.group)
        assert subject.extra["height_cm"] == 180.0
        assert list(subject.extra.get("warnings", ())) == list(study.warnings)
        window = intensity_window(study.image)
        assert subject.intensity_window == window
        image = to_uint8(study.image, window)
        assert cohort.image(n).dtype == np.uint8
        np.testing.assert_array_equal(cohort.image(n), image)
        np.testing.assert_array_equal(cohort.slice_image(n, 1, 2), image[1, 2])
        first += study.shape[0] * study.shape[1]


def test_truth_is_read_through_one_door(cohort, studies):
    for n, study in enumerate(studies[:3]):
        label, labelled = read_truth(cohort, n)
        assert (label.dtype, labelled.dtype) == (np.uint8, np.bool_)
        np.testing.assert_array_equal(label, study.label)
        np.testing.assert_array_equal(labelled, study.labelled)
    with pytest.raises(DataError, match=r"no reference label \(s3\)"):
        read_truth(cohort, 3)


def test_record_reads_one_record_for_one_slice(studies, tmp_path):
    cohort = open_cohort(build(studies, tmp_path / "data", "records"))
    asked = []

    class Spy:
        def __getitem__(self, index):
            asked.append(index)
            return {"image": np.zeros((2, 2), np.uint8)}

    cohort._records = Spy()
    cohort.slice_image(1, 2, 3)
    assert asked == [cohort.subjects[1].first_record + 2 * studies[1].shape[1] + 3]


def test_tfds_opens_the_records(studies, tmp_path):
    folder = build(studies, tmp_path / "data", "records")
    source = tfds.builder_from_directory(str(folder)).as_data_source(split=SPLIT)
    order = [(r["subject_id"].decode(), r["frame"], r["slice"]) for r in source]
    expected = [
        (s.subject_id, t, z) for s in studies for t in range(s.shape[0]) for z in range(s.shape[1])
    ]
    assert order == expected
    assert set(source[0]) == {"image", "label", "labelled", "subject_id", "frame", "slice"}
    assert not source[len(order) - 1]["labelled"].any()


def test_subject_line_survives_json(studies, tmp_path):
    cohort = MemoryCohort("tiny", SHORT_AXIS, studies, SPLITS)
    for subject in cohort.subjects:
        again = subject_from_json(json.loads(json.dumps(subject_to_json(subject))))
        assert subject_to_json(again) == subject_to_json(subject)
        assert again.shape == subject.shape
        assert hash(again.affine) == hash(subject.affine)


def test_pack_opens_without_the_libraries_that_built_it(studies, tmp_path):
    folder = build(studies, tmp_path / "data", "pack")
    blocked = ["tensorflow_datasets", "grain", "array_record", "nibabel", "ml_collections", "absl", "jax"]
    code = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.cohort import read_truth
cohort = open_cohort({str(folder)!r})
print(len(cohort.subjects), int(cohort.image(1).sum()), int(read_truth(cohort, 1)[0].sum()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = to_uint8(studies[1].image, intensity_window(studies[1].image)).sum()
    assert done.stdout.split() == ["4", str(expected), str(studies[1].label.sum())]


def test_truncated_pack_is_refused(studies, tmp_path):
    path = build(studies, tmp_path / "data", "pack") / "cohort.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole packed cohort"):
        open_cohort(path)


@pytest.mark.parametrize("name", ["summary.json", "subjects.jsonl", "splits.json"])
def test_records_without_their_description_are_refused(studies, tmp_path, name):
    folder = build(studies, tmp_path / "data", "records")
    (folder / name).unlink()
    with pytest.raises(DataError, match="not a whole data set"):
        open_cohort(folder)


def test_records_that_lack_a_subject_line_are_refused(studies, tmp_path):
    folder = build(studies, tmp_path / "data", "records")
    lines = (folder / "subjects.jsonl").read_text().splitlines()
    (folder / "subjects.jsonl").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"records instead of"):
        open_cohort(folder)


def test_no_data_set_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"launch/build_data\.py"):
        open_cohort(tmp_path)
