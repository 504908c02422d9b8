"""The synthetic heart: exact volumes, the beat, and the physiology of its groups."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from semiqc_jax.datasets.phantom import GROUPS, PhantomSpec, phantom_subject
from semiqc_jax.datasets.phantom.cycle import Timing, contraction
from semiqc_jax.datasets.phantom.heart.geometry import beat, surfaces
from semiqc_jax.datasets.phantom.heart.physiology import HEALTHY, sample_physiology
from semiqc_jax.datasets.phantom.heart.plan import plan_subject

FINE = PhantomSpec.clean(size=128, fov_mm=200.0, n_frames=4, n_slices=44, subsamples=1)


@pytest.fixture(scope="module")
def normal():
    return phantom_subject(FINE, 0)


def mask_volumes_ml(study):
    voxel = np.prod(study.spacing_mm) / 1e3
    return np.stack([(study.label == c).sum((1, 2, 3)) * voxel for c in (1, 2, 3)], axis=-1)


@pytest.mark.parametrize("index", range(len(GROUPS)))
def test_masks_hold_the_closed_form_volumes(normal, index):
    study, truth = phantom_subject(FINE, index) if index else normal
    assert truth.group == study.group == GROUPS[index]
    volumes = mask_volumes_ml(study)
    np.testing.assert_allclose(volumes, truth.curves_ml, rtol=0.01)
    np.testing.assert_allclose(volumes[:, 1], volumes[:, 1].mean(), rtol=0.01)
    assert (volumes[:, 0].argmax(), volumes[:, 0].argmin()) == (truth.ed_frame, truth.es_frame)
    assert (study.ed_frame, study.es_frame) == (truth.ed_frame, truth.es_frame)
    ed, es = volumes[truth.ed_frame], volumes[truth.es_frame]
    assert 100 * (1 - es[0] / ed[0]) == pytest.approx(truth.lvef_pct, abs=0.5)
    assert 100 * (1 - es[2] / ed[2]) == pytest.approx(truth.rvef_pct, abs=0.5)


def test_papillary_muscles_are_dark_and_count_as_cavity(normal):
    study, truth = normal
    mid = study.label.shape[1] // 2
    image, label = study.image[truth.ed_frame, mid], study.label[truth.ed_frame, mid]
    deep = binary_erosion(label == 1, iterations=3)
    muscle, blood = np.median(image[label == 2]), np.median(image[deep])
    dark = deep & (image < 0.5 * (muscle + blood))
    assert 4 <= dark.sum() <= 0.3 * deep.sum()


def test_base_slices_come_and_go_with_the_beat(normal):
    study, truth = normal
    has_lv = (study.label == 1).any((2, 3))
    assert has_lv[truth.ed_frame].sum() - has_lv[truth.es_frame].sum() >= 2


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0.25, 0.45),
    st.floats(0.01, 0.1),
    st.floats(0.1, 0.26),
    st.floats(0.82, 0.95),
    st.floats(0.3, 0.9),
)
def test_contraction_is_periodic_with_known_extremes(systole, relaxation, filling, kick, early):
    timing = Timing(systole, systole + relaxation, systole + relaxation + filling, kick, early, 0.0)
    phase = np.linspace(0.0, 1.0, 401)
    s = contraction(phase, timing)
    assert contraction(np.array([0.0, systole, 1.0]), timing) == pytest.approx([0.0, 1.0, 0.0], abs=1e-12)
    assert s.min() >= -1e-12
    assert s.max() <= 1 + 1e-12
    np.testing.assert_allclose(contraction(phase + 3.0, timing), s, atol=1e-9)
    assert np.all(np.diff(s[phase <= systole]) >= 0)
    assert np.all(np.diff(s[phase >= systole]) <= 1e-12)


def test_an_infarct_stands_still_where_it_is():
    hearts = (plan_subject(FINE, index).scan.heart for index in range(3, 100, 5))
    heart = next(heart for heart in hearts if heart.akinesia > 0.6)
    z = heart.akinesia_height * heart.base
    zero = (0.0, 0.0)
    straight = heart._replace(tilt=zero, oblique=zero, centre=zero, drift=zero, angle=0.0)
    moved = []
    for angle in (heart.akinesia_angle, heart.akinesia_angle + np.pi):
        x, y = 20.0 * np.cos(angle), 20.0 * np.sin(angle)
        radius = [
            float(jnp.sqrt(surfaces(straight, beat(straight, jnp.float32(phase)), x, y, z).endo2))
            for phase in (0.0, heart.timing.systole)
        ]
        moved.append(radius[0] - radius[1])
    assert moved[0] < 0.5 * moved[1]


@pytest.mark.parametrize("group", GROUPS)
def test_groups_have_their_physiology(group):
    rng = np.random.default_rng(5)
    for _ in range(60):
        who = sample_physiology(rng, group)
        table = HEALTHY[who.sex]
        bsa_m2 = np.sqrt(who.height_cm * who.weight_kg / 3600.0)
        assert 0 < who.lvesv_ml < who.lvedv_ml
        assert 0 < who.rvesv_ml < who.rvedv_ml
        if group in ("NOR", "RV"):
            for name, value in (("lvedv", who.lvedv_ml), ("lvesv", who.lvesv_ml), ("lvef", who.lvef_pct),
                                ("lvm", who.lvm_g)):  # fmt: skip
                assert table[name][2] - 1e-6 <= value <= table[name][3] + 1e-6, name
        if group == "DCM":
            assert who.lvedv_ml / bsa_m2 > 100
            assert who.lvef_pct < 40
        if group == "HCM":
            assert who.lvm_g / bsa_m2 >= 100
            assert who.lvef_pct > 55
        if group == "MINF":
            assert who.lvef_pct <= 40
        if group == "RV":
            assert who.rvedv_ml / bsa_m2 > 110
        elif group != "NOR":
            lvsv, rvsv = who.lvedv_ml - who.lvesv_ml, who.rvedv_ml - who.rvesv_ml
            assert rvsv == pytest.approx(lvsv, rel=0.2)


def test_end_diastole_is_not_always_the_first_frame():
    spec = PhantomSpec(n_frames=20)
    frames = {plan_subject(spec, i).truth.ed_frame for i in range(60)}
    assert 0 in frames
    assert len(frames) > 5
