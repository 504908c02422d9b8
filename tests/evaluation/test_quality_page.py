"""Curves against a cohort, the page that shows them, and figures against the truth."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.evaluation.curve_svg import SAMPLES, WIDTH, cohort_band, curve_svg, in_phase
from semiqc_jax.evaluation.files import figure_png
from semiqc_jax.evaluation.quality_figures import choice_figure, reliability_figure, risk_at_coverage
from semiqc_jax.evaluation.quality_page import JudgedSubject, write_quality_page


def curve(n: int, size: float = 100.0, turn: int = 0) -> np.ndarray:
    wave = size * (1 + 0.4 * np.cos(2 * np.pi * np.arange(n) / n))
    return np.roll(np.stack([wave, np.full(n, size), 1.2 * wave], -1), turn, 0)


def test_phase_does_not_depend_on_the_first_frame_or_the_number_of_frames():
    np.testing.assert_allclose(in_phase(curve(24, turn=7)), in_phase(curve(24)))
    np.testing.assert_allclose(in_phase(curve(48)), in_phase(curve(24)), rtol=0.01)
    assert in_phase(curve(1)).shape == (SAMPLES, 3)
    assert in_phase(curve(2))[SAMPLES // 2, 0] == pytest.approx(60)  # the other of two frames is half a cycle on


def test_band_by_hand():
    band = cohort_band([curve(24, size) for size in range(100, 201)])
    np.testing.assert_allclose([band.low[0, 1], band.median[0, 1], band.high[0, 1]], [105, 150, 195])
    with pytest.raises(ValueError, match="no curves"):
        cohort_band([])


def test_drawing_is_whole_and_nan_is_left_out():
    broken = curve(24)
    broken[3, 0] = np.nan
    broken[:, 1] = np.nan
    band = cohort_band([curve(24), broken])
    svg = ElementTree.fromstring(curve_svg(broken, band, SHORT_AXIS.colours, ["a", "b", "c"]))
    lines = [one.get("points") for one in svg if one.tag.endswith("polyline")]
    assert "nan" not in " ".join(lines)
    assert [len(line.split()) for line in lines[1::2]] == [SAMPLES - 1, 0, SAMPLES]
    assert max(float(point.split(",")[0]) for point in lines[5].split()) > 2 * WIDTH


def test_page_shows_every_subject_worst_first_and_escapes(tmp_path: Path):
    rows = [
        {"subject_id": f"<{n}>", "score": str(score), "verdict": "review", "reasons": reasons, "selected": "0"}
        for n, (score, reasons) in enumerate([(0.9, ""), (0.2, "LV EDV is 14 ml; The network is unsure")])
    ]
    subjects = [JudgedSubject(rows[0], curve(24), -1, -1), JudgedSubject(rows[1], curve(2), 0, 4)]
    write_quality_page(tmp_path / "quality.html", "Round", subjects, SHORT_AXIS)
    page = (tmp_path / "quality.html").read_text()
    assert page.index("&lt;1&gt;") < page.index("&lt;0&gt;")
    assert "<1>" not in page
    assert re.findall(r"frame \d+, slice \d+", page) == ["frame 1, slice 5"]
    assert page.count("<svg") == 2
    assert "LV EDV is 14 ml<br>" in page
    write_quality_page(tmp_path / "nobody.html", "Round", [], SHORT_AXIS)
    assert not (tmp_path / "nobody.html").exists()


def test_risk_by_hand():
    risk = risk_at_coverage(np.array([0.9, np.nan, 0.5, 0.7]), np.array([True, False, False, True]))
    np.testing.assert_allclose(risk, [0, 0, 1 / 3, 1 / 2])


@pytest.mark.parametrize("groups", [[None] * 4, ["NOR", "DCM", "NOR", None]])
@pytest.mark.parametrize("good", [[0, 0, 0, 0], [1, 0, 1, 1]])
def test_figures_are_drawn_whatever_is_known(groups, good):
    score, chosen = np.array([0.1, 0.7, 0.4, np.nan]), np.array([0, 1, 1, 0], bool)
    figure = choice_figure(score, np.array(good, bool), chosen, groups)
    assert len(figure.axes) == 2 + any(groups)
    assert figure_png(figure).startswith(b"\x89PNG")


def test_reliability_is_drawn():
    one = {"predicted": 0.7, "observed": 0.5, "observed_low": 0.2, "observed_high": 0.8, "n": 12}
    axes = reliability_figure({"bins": [one]}).axes[0]
    assert any(text.get_text().strip() == "12" for text in axes.texts)
