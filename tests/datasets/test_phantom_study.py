"""The synthetic cohort: specification, reproducibility, streaming, splits, and the scan."""

import hashlib
from dataclasses import replace
from itertools import islice

import jax
import numpy as np
import pytest

from semiqc_jax.datasets.phantom import (
    PhantomSpec,
    parse_spec,
    phantom_splits,
    phantom_studies,
    phantom_subject,
)
from semiqc_jax.datasets.phantom.heart.plan import plan_subject
from semiqc_jax.datasets.phantom.heart.render import render
from semiqc_jax.datasets.phantom.study import _render_chunk
from semiqc_jax.errors import ConfigError
from semiqc_jax.study import check_study

SMALL = PhantomSpec(n_subjects=11, size=32, n_frames=6, n_slices=8, subsamples=1, bad_fraction=1.0, seed=3)


@pytest.fixture(scope="module")
def cohort():
    return list(phantom_studies(SMALL))


def test_studies_are_valid_and_complete(cohort):
    assert [s.subject_id for s in cohort] == [f"phantom{i:04d}" for i in range(11)]
    for study in cohort:
        check_study(study)
        assert study.image.dtype == np.float32
        assert study.label.dtype == np.uint8
        assert study.labelled.all()
        assert set(np.unique(study.label)) == {0, 1, 2, 3}
        assert study.image.shape[0] == 6
        assert study.image.shape[1] <= 8
        assert None not in (study.sex, study.age_years, study.height_cm, study.weight_kg)
        assert study.frame_time_s[1] == pytest.approx(10.0 / study.heart_rate_bpm)
    assert len({s.spacing_mm for s in cohort}) == 11


def test_a_subject_depends_on_nothing_but_seed_and_index(cohort):
    _render_chunk.cache_clear()
    for index in (9, 2):
        alone, _ = phantom_subject(replace(SMALL, n_subjects=40), index)
        np.testing.assert_array_equal(alone.image, cohort[index].image)
        np.testing.assert_array_equal(alone.label, cohort[index].label)
        np.testing.assert_array_equal(alone.slice_position_mm, cohort[index].slice_position_mm)
    other, _ = phantom_subject(replace(SMALL, seed=4), 2)
    assert other.image.shape != cohort[2].image.shape or not np.array_equal(other.image, cohort[2].image)


def test_hearts_are_those_of_all_earlier_versions(cohort):
    """Pinned: what is drawn, to 9 digits, and the labels; pixels follow up to the rounding of a version of JAX."""
    drawn, labels = hashlib.sha256(), hashlib.sha256()
    for index in range(20):
        for leaf in jax.tree.leaves(plan_subject(SMALL, index).scan):
            drawn.update(" ".join(f"{value:.9g}" for value in np.ravel(leaf)).encode())
    for study in cohort[:4]:
        labels.update(study.label.tobytes())
    assert drawn.hexdigest() == "f8747e0c8493bb377a3583ccec513483b567f23d632fd8de4d82ce1a9d74393d"
    assert labels.hexdigest() == "86cf818ff679f5116eb0ea9b23d1836c8b5004a986ffc4fce71677f083a0532f"
    mean = [70.87294, 147.36182, 296.72965, 113.03326]
    np.testing.assert_allclose([study.image.mean(dtype=np.float64) for study in cohort[:4]], mean, rtol=1e-4)


def test_a_large_cohort_streams():
    first = next(phantom_studies(replace(SMALL, n_subjects=10**9)))
    assert first.subject_id == "phantom0000"
    assert _render_chunk.cache_info().maxsize == 1


def test_missing_slices_leave_uneven_positions(cohort):
    plans = [plan_subject(SMALL, i) for i in range(len(cohort))]
    missing = ["missing_slices" in plan.truth.defects for plan in plans]
    assert any(missing)
    assert not all(missing)
    for study, gone in zip(cohort, missing):
        gaps = np.diff(study.slice_position_mm)
        assert gaps.min() == pytest.approx(study.spacing_mm[0])
        assert (np.ptp(gaps) > 1.0) == gone


def test_stacks_run_both_ways():
    ways = set()
    for plan in (plan_subject(SMALL, i) for i in range(20)):
        ways.add(bool(plan.kept[0] < plan.kept[-1]))
        assert np.all(np.diff(plan.position_mm) > 0)
    assert ways == {True, False}


def test_only_end_diastole_and_end_systole_are_labelled_if_so_asked(cohort):
    study, truth = phantom_subject(replace(SMALL, labelled_frames="ed_es"), 1)
    both = [truth.ed_frame, truth.es_frame]
    np.testing.assert_array_equal(study.labelled.any((1, 2)), np.isin(np.arange(6), both))
    np.testing.assert_array_equal(study.label[both], cohort[1].label[both])
    assert not np.delete(study.label, both, axis=0).any()
    np.testing.assert_array_equal(study.image, cohort[1].image)


def render_one(scan):
    """Image and label [T, Z, Y, X]; in a chunk of the cohort's size, which is compiled already."""

    def repeat(leaf):
        leaf = np.stack([leaf] * 8)
        return leaf if leaf.dtype == np.uint32 else leaf.astype(np.float32)

    image, label = jax.device_get(render(jax.tree.map(repeat, scan), SMALL.size, SMALL.subsamples))
    return image[0], label[0]


def test_a_shift_moves_image_and_label_alike():
    scan = plan_subject(replace(SMALL, noise=0.0, bad_fraction=0.0, misalignment_mm=0.0), 0).scan
    flat = scan.scanner._replace(shading=(0.0,) * 5, ghost=0.0)
    still = scan._replace(scanner=flat)
    moved = still._replace(shift_mm=np.full_like(scan.shift_mm, 3 * scan.pixel_mm))
    (image, label), (image2, label2) = render_one(still), render_one(moved)
    inside = np.s_[..., 5:-2, 5:-2]
    # a point on the base plane may fall to either side of it
    same = np.isclose(np.roll(image, (3, 3), (-2, -1))[inside], image2[inside], rtol=1e-2, atol=1e-2)
    assert same.mean() > 0.999
    assert not np.isclose(image, image2, rtol=1e-2).all()
    changed = np.roll(label, (3, 3), (-2, -1))[inside] != label2[inside]
    assert changed.mean() < 1e-4
    assert (label != label2).mean() > 0.01


def test_a_late_slice_shows_another_phase():
    scan = plan_subject(replace(SMALL, bad_fraction=0.0), 0).scan
    phase = scan.phase.copy()
    phase[:, 4] += 1.0 / 6  # one frame of six
    _, label = render_one(scan)
    _, late = render_one(scan._replace(phase=phase))
    assert (np.roll(label[:, 4], -1, axis=0) != late[:, 4]).mean() < 1e-3
    np.testing.assert_array_equal(np.delete(label, 4, axis=1), np.delete(late, 4, axis=1))


def test_noise_changes_the_image_alone(cohort):
    quiet, _ = phantom_subject(replace(SMALL, noise=0.0), 0)
    np.testing.assert_array_equal(quiet.label, cohort[0].label)
    assert not np.allclose(quiet.image, cohort[0].image)
    assert cohort[0].image.min() >= 0


def test_a_quarter_of_the_subjects_is_bad():
    bad = np.mean([bool(plan_subject(PhantomSpec(), i).truth.defects) for i in range(200)])
    assert 0.15 < bad < 0.35
    assert not any(plan_subject(PhantomSpec.clean(), i).truth.defects for i in range(20))


def test_splits_part_the_cohort():
    spec = PhantomSpec(n_subjects=60)
    splits = phantom_splits(spec)
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 36, "val": 6, "test": 18}
    assert sorted(splits["train"] + splits["val"] + splits["test"]) == [f"phantom{i:04d}" for i in range(60)]
    assert splits["train"] != sorted(splits["train"])
    assert splits == phantom_splits(spec) != phantom_splits(replace(spec, seed=1))


def test_parse_spec_reads_every_key():
    spec = parse_spec("subjects=8, size=64,frames=4,slices=9,seed=2,labelled=ed_es,groups=NOR+DCM,noise=0.5,"
                      "bad=0,fov=220,misalignment=0,subsamples=1")  # fmt: skip
    assert spec == PhantomSpec(
        n_subjects=8, seed=2, size=64, fov_mm=220.0, n_frames=4, n_slices=9, subsamples=1,
        labelled_frames="ed_es", groups=("NOR", "DCM"), noise=0.5, misalignment_mm=0.0, bad_fraction=0.0,
    )  # fmt: skip
    assert parse_spec("") == PhantomSpec()
    assert [s.group for s in islice((plan_subject(spec, i).truth for i in range(4)), 4)] == ["NOR", "DCM"] * 2


def test_parse_spec_reports_everything_that_is_wrong():
    with pytest.raises(ConfigError) as caught:
        parse_spec("subject=3,size=big,frames,noise=nan")
    for part in ("subject=3", "big", "frames", "nan", "misalignment"):
        assert part in str(caught.value)
    with pytest.raises(ConfigError, match=r"size=3 .*n_frames=1 .*ABC"):
        parse_spec("size=3,frames=1,groups=ABC")
    with pytest.raises(ConfigError, match="twice"):
        parse_spec("seed=1,seed=2")
