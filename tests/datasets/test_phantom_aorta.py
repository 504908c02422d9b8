"""The synthetic aorta: exact areas, the wave and its delay, stiffness in age, and what the scan shows."""

from dataclasses import replace
from itertools import chain

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label as components
from scipy.stats import spearmanr

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.phantom import (
    AORTA_GROUPS,
    AortaSpec,
    parse_spec,
    phantom_splits,
    phantom_studies,
    phantom_subject,
)
from semiqc_jax.datasets.phantom.aorta.geometry import label_of, section
from semiqc_jax.datasets.phantom.aorta.physiology import (
    HEALTHY_AREAS,
    Wave,
    area_wave,
    areas_mm2,
    sample_physiology,
)
from semiqc_jax.datasets.phantom.aorta.plan import DEFECTS, plan_subject
from semiqc_jax.datasets.phantom.study import _render_chunk
from semiqc_jax.datasets.readers import find_subjects, split_rule
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.datasets.splits import Member
from semiqc_jax.errors import ConfigError
from semiqc_jax.study import check_study

SMALL = AortaSpec(n_subjects=10, size=48, n_frames=5, subsamples=1, bad_fraction=1.0, seed=3)


@pytest.fixture(scope="module")
def cohort():
    return list(phantom_studies(SMALL))


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(7)
    return [sample_physiology(rng, AORTA_GROUPS[i % 4]) for i in range(200)]


def mask_areas_mm2(study):
    pixel = study.spacing_mm[1] * study.spacing_mm[2]
    return np.stack([(study.label == c).sum((1, 2, 3)) * pixel for c in (1, 2)], axis=-1)


def test_studies_are_valid_and_complete(cohort):
    assert [s.subject_id for s in cohort] == [f"phantom{i:04d}" for i in range(10)]
    assert [s.group for s in cohort[:4]] == list(AORTA_GROUPS)
    for study in cohort:
        check_study(study)
        assert study.task == AORTA
        assert study.image.shape == (5, 1, 48, 48)
        assert study.labelled.shape == (5, 1, 2)
        assert study.labelled.all()
        assert study.image.min() >= 0
        assert study.pulse_pressure_mmhg >= 20
        assert None not in (study.sex, study.age_years, study.height_cm, study.weight_kg)
        assert study.frame_time_s[1] == pytest.approx(12.0 / study.heart_rate_bpm)
    assert len({s.spacing_mm for s in cohort}) == 10


def test_mask_areas_are_the_closed_form_ones_to_half_a_pixel_of_the_edge():
    errors = []
    for index in range(8):
        study, truth = phantom_subject(AortaSpec.clean(size=48, n_frames=5, subsamples=1), index)
        areas, edge = mask_areas_mm2(study), np.sqrt(4 * np.pi * truth.areas_mm2)
        np.testing.assert_array_less(abs(areas - truth.areas_mm2), 0.5 * study.spacing_mm[2] * edge)
        errors.append(areas / truth.areas_mm2 - 1)
    assert abs(np.mean(errors)) < 0.01


def test_mask_areas_converge_with_resolution():
    errors = {2.0: [], 0.4: []}
    for index in range(3):
        plan = plan_subject(AortaSpec.clean(n_frames=2), index)
        aorta = plan.scan.aorta
        now = [section(aorta, lumen, jnp.asarray(plan.scan.phase[1])) for lumen in aorta[:2]]
        for pixel, found in errors.items():
            axis = jnp.arange(-64.0, 96.0, pixel)
            label = np.asarray(label_of(aorta, *now, axis, axis[:, None]))
            areas = [(label == code).sum() * pixel**2 for code in (1, 2)]
            found.append(abs(areas / plan.truth.areas_mm2[1] - 1))
    assert np.mean(errors[2.0]) < 0.03
    assert np.max(errors[0.4]) < 4e-3


def test_each_lumen_is_one_piece_in_the_picture(cohort):
    for study in cohort:
        for frame in study.label[:, 0]:
            for code in (1, 2):
                assert components(frame == code)[1] == 1
                assert not (frame == code)[[0, -1]].any()
                assert not (frame == code)[:, [0, -1]].any()


def test_lumina_never_meet():
    for index in range(200):
        organs, aorta = (plan_subject(AortaSpec(), index).scan[k] for k in (2, 0))
        reach = sum(np.sqrt(1.25 * lumen.max_area / np.pi) + np.hypot(*lumen.pull)
                    + aorta.descent * np.hypot(*lumen.tilt) for lumen in aorta[:2])  # fmt: skip
        distance = np.hypot(*(aorta.ascending.centre - aorta.descending.centre))
        assert distance > reach + 2 * organs.wall, index


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 0.3), st.floats(3, 5), st.floats(0.0, 0.2), st.floats(0.05, 0.15), st.floats(0.0, 0.3))
def test_area_wave_is_periodic_with_known_extremes(peak, decay, after, width, depth):
    wave = Wave(peak, decay, peak + after, width, depth)
    phase = np.linspace(0.0, 1.0, 401)
    share = area_wave(phase, wave)
    assert area_wave(np.array([0.0, peak, 1.0]), wave) == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)
    assert share.min() >= -1e-12
    assert share.max() <= 1 + 1e-12
    np.testing.assert_allclose(area_wave(phase + 3.0, wave), share, atol=1e-9)
    assert np.all(np.diff(share[phase <= peak]) > 0)


def test_area_wave_has_a_dicrotic_notch(people):
    phase = np.linspace(0.0, 1.0, 2001)
    for who in people[:40]:
        share = area_wave(phase, who.wave)
        rises = np.diff(share) > 0
        assert rises[(phase[1:] > who.wave.notch) & (phase[1:] < who.wave.notch + who.wave.notch_width)].any()
        assert not rises[phase[1:] > who.wave.notch + who.wave.notch_width].any()


def test_distensibility_follows_from_the_areas(people):
    for who in people[:40]:
        ends = np.array([who.foot, who.foot + who.wave.peak])
        ends = np.stack([ends, ends + who.lag])
        areas = np.stack([areas_mm2(who, ends[k])[:, k] for k in (0, 1)])  # [vessel, smallest and largest]
        found = 1e3 * (areas[:, 1] - areas[:, 0]) / (areas[:, 0] * who.pulse_pressure_mmhg)
        np.testing.assert_allclose(found, who.distensibility_1e3_per_mmhg, rtol=1e-6)
        np.testing.assert_allclose(areas, np.transpose([who.min_area_mm2, who.max_area_mm2]), rtol=1e-9)
        np.testing.assert_allclose(100 * (areas[:, 1] / areas[:, 0] - 1), who.strain_pct, rtol=1e-6)


def test_the_aorta_stiffens_in_age(people):
    age = [who.age_years for who in people]
    assert spearmanr(age, [who.distensibility_1e3_per_mmhg[0] for who in people]).statistic < -0.7
    assert spearmanr(age, [who.pulse_pressure_mmhg for who in people]).statistic > 0.5
    assert spearmanr(age, [who.pulse_wave_velocity_m_s for who in people]).statistic > 0.7
    lag_ms = [6e4 * who.lag / who.heart_rate_bpm for who in people]
    assert min(lag_ms) > 2
    assert max(lag_ms) < 60
    stiff = [who.lag * 60 / who.heart_rate_bpm / who.path_m for who in people]
    assert spearmanr(stiff, [np.prod(who.distensibility_1e3_per_mmhg) for who in people]).statistic > 0.999


def test_groups_have_their_physiology(people):
    of = {group: [who for who in people if who.group == group] for group in AORTA_GROUPS}
    for who in of["NOR"]:
        assert all(low <= area <= high for area, (low, high) in zip(who.min_area_mm2, HEALTHY_AREAS))
        assert all(1 <= d <= 3 for d in who.distensibility_1e3_per_mmhg)
    assert min(who.min_area_mm2[0] for who in of["ANE"]) > 1250
    assert min(who.distensibility_1e3_per_mmhg[0] for who in of["YNG"]) > 2.5
    mean = {group: np.mean([(w.pulse_pressure_mmhg, w.distensibility_1e3_per_mmhg[0]) for w in those], axis=0)
            for group, those in of.items()}  # fmt: skip
    assert mean["HTN"][0] > mean["NOR"][0] + 10
    assert mean["HTN"][1] < 0.7 * mean["NOR"][1]


def test_a_subject_depends_on_nothing_but_seed_and_index(cohort):
    _render_chunk.cache_clear()
    for index in (9, 2):
        alone, _ = phantom_subject(replace(SMALL, n_subjects=40), index)
        np.testing.assert_array_equal(alone.image, cohort[index].image)
        np.testing.assert_array_equal(alone.label, cohort[index].label)
    other, _ = phantom_subject(replace(SMALL, seed=4), 2)
    assert not np.array_equal(other.image, cohort[2].image)


def test_two_frames_are_labelled_on_request(cohort):
    study, truth = phantom_subject(replace(SMALL, labelled_frames="ed_es"), 1)
    extremes = [truth.areas_mm2[:, 0].argmin(), truth.areas_mm2[:, 0].argmax()]
    assert [study.ed_frame, study.es_frame] == extremes
    assert sorted(np.flatnonzero(study.labelled.all((1, 2)))) == sorted(extremes)
    assert study.labelled.any((1, 2)).sum() == 2
    for frame in range(5):
        expected = cohort[1].label[frame] if frame in extremes else 0
        np.testing.assert_array_equal(study.label[frame], expected)


def test_noise_and_defects_leave_label_and_truth(cohort):
    quiet, truth = phantom_subject(replace(SMALL, noise=0.0), 0)
    np.testing.assert_array_equal(quiet.label, cohort[0].label)
    assert not np.allclose(quiet.image, cohort[0].image)
    assert truth.defects
    assert set(truth.defects) <= set(DEFECTS)
    bad = [plan_subject(AortaSpec(), i).truth.defects for i in range(200)]
    assert 0.15 < np.mean([bool(those) for those in bad]) < 0.35
    assert set().union(*bad) == set(DEFECTS)


def test_mistriggered_frames_show_other_phases():
    spec = AortaSpec(bad_fraction=1.0)
    plans = [plan_subject(spec, i) for i in range(40)]
    for plan in plans:
        steps = np.diff(plan.scan.phase)
        assert np.allclose(steps, 1 / spec.n_frames) == ("mistriggered" not in plan.truth.defects)


def test_end_diastole_is_not_always_the_first_frame():
    frames = {plan_subject(AortaSpec(), i).truth.ed_frame for i in range(40)}
    assert len(frames) > 5


def test_splits_and_reader_follow_the_task():
    source, options = "subjects=20,size=48,frames=5,subsamples=1,groups=HTN+YNG", ReaderOptions(task=AORTA)
    found = find_subjects("phantom", source, options)
    study = found[3].read()
    assert (study.task, study.group, study.subject_id) == (AORTA, "YNG", found[3].subject_id)
    splits = split_rule("phantom", source, None, task=AORTA)([Member(one.subject_id) for one in found])
    assert splits == phantom_splits(parse_spec(source, AORTA))
    assert sorted(chain(*splits.values())) == [one.subject_id for one in found]


def test_parse_spec_names_the_keys_of_the_task():
    spec = parse_spec("subjects=8,size=64,frames=4,seed=2,labelled=ed_es,groups=ANE,noise=0.5,bad=0,fov=220", AORTA)
    assert spec == AortaSpec(
        n_subjects=8, seed=2, size=64, n_frames=4, labelled_frames="ed_es", groups=("ANE",), noise=0.5,
        bad_fraction=0.0, fov_mm=220.0,
    )  # fmt: skip
    assert parse_spec("", AORTA) == AortaSpec()
    with pytest.raises(ConfigError, match=r"'slices=9'.*'aorta'.*keys are subjects, .*noise, bad$") as caught:
        parse_spec("slices=9", AORTA)
    assert "misalignment" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"DCM.*HTN"):
        parse_spec("groups=DCM", AORTA)
    with pytest.raises(ConfigError, match=r"HTN.*DCM"):
        parse_spec("groups=HTN", SHORT_AXIS)
