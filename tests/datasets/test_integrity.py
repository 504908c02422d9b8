"""The integrity check: who is warned of, who is left out, what is there twice, and that the report says so."""

import csv
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.integrity.check import check_source
from semiqc_jax.datasets.integrity.facts import columns, facts_row, phases_by_label
from semiqc_jax.datasets.integrity.pictures import outlined, shown_slice, write_picture
from semiqc_jax.datasets.integrity.summary import kinds
from semiqc_jax.datasets.readers import find_subjects, split_rule
from semiqc_jax.datasets.readers.found import Found, ReaderOptions
from semiqc_jax.errors import DataError, NothingUsableError

EVIL = "<script>alert(1)</script>"


def broken():
    raise DataError(f"cannot be read {EVIL}", "b.nii", "export it again")


def found_of(studies):
    return [Found(s.subject_id, f"raw/{s.subject_id}", lambda s=s: s) for s in studies]


def rule(members):
    ids = [member.subject_id for member in members]
    return {"train": ids[:2], "val": [], "test": [*ids[2:], ids[0]]}


@pytest.fixture
def mixed(make_study):
    """Five subjects: fine, with a warning, with gaps, a copy of the first, and one that cannot be read."""
    first, second, third = (make_study(i) for i in (0, 1, 2))
    copy = dataclasses.replace(first, subject_id="copy", group="DCM")
    return [*found_of([first, second, third, copy]), Found("b", "raw/b", broken)]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_report_holds_every_subject(mixed, tmp_path):
    facts, summary = check_source(mixed, SHORT_AXIS, rule, tmp_path / "report")
    folder = tmp_path / "report"
    rows = rows_of(folder / "check.csv")
    assert tuple(rows[0]) == columns(SHORT_AXIS)
    assert [row["subject_id"] for row in rows] == ["s0", "s1", "s2", "copy", "b"]
    assert rows[4]["status"] == "left out"
    assert rows[4]["mend"] == "export it again"
    assert rows[1]["status"] == "warned"
    assert "a warning" in rows[1]["warnings"]
    assert (rows[0]["same_image_as"], rows[3]["same_image_as"]) == ("copy", "s0")
    assert rows[0]["image_sha256"] == rows[3]["image_sha256"] != rows[1]["image_sha256"]
    assert [r["subject_id"] for r in rows_of(folder / "quarantine.csv")] == ["b"]
    page = (folder / "report.html").read_text()
    assert EVIL not in page
    assert "cannot be read &lt;script&gt;" in page
    for name in ("s0", "s1", "s2", "copy"):
        assert f'<a href="pictures/{name}.png">{name}</a>' in page
        assert (folder / "pictures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert summary.counts["subjects found"] == 5
    assert summary.counts["usable"] == 4
    assert summary.counts["left out"] == 1
    assert summary.doubles == [("s0", "copy")]
    assert "subject s0 is in train and test" in summary.problems
    assert "the same image is in test and train: s0, copy" in summary.problems
    assert len(facts) == 5


def test_without_a_report_nothing_is_written(mixed, tmp_path):
    facts, _ = check_source(mixed, SHORT_AXIS, rule)
    assert [one.picture for one in facts] == [None] * 5
    assert list(tmp_path.iterdir()) == []


def test_strict_stops(mixed):
    with pytest.raises(DataError, match="cannot be read"):
        check_source(mixed, SHORT_AXIS, rule, strict=True)


def test_workers_find_the_same(acdc_source, tmp_path):
    found = find_subjects("acdc", str(acdc_source))
    found[1] = dataclasses.replace(found[1], read=broken)
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        check_source(found, SHORT_AXIS, split_rule("acdc", "", None), folder, workers=workers)
    names = sorted(p.relative_to(tmp_path / "0") for p in (tmp_path / "0").rglob("*.*"))
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name


def test_facts_by_hand(make_study):
    study = make_study(1)
    image = np.zeros(study.shape, np.float32)
    image[..., 0] = 5.0
    label = np.zeros(study.shape, np.uint8)
    label[0, :, 4:8, 4:8], label[1, :, 5:7, 5:7] = 1, 1
    labelled = np.zeros((*study.shape[:2], 3), bool)
    labelled[:2, :, 0] = True
    position = np.array([0.0, 8.0, 16.0, 32.0, 40.0])
    study = dataclasses.replace(
        study, image=image, label=label, labelled=labelled, slice_position_mm=position, ed_frame=1, es_frame=0
    )
    row = facts_row(study)
    area = 1.25 * 1.6
    extent = 8 + 8 + 12 + 12 + 8
    assert row["lv_ed_ml"] == pytest.approx(4 * area * extent / 1000)
    assert row["lv_es_ml"] == pytest.approx(16 * area * extent / 1000)
    assert np.isnan(row["myo_ed_ml"])
    assert (row["ed_by_label"], row["es_by_label"], row["phases_agree"]) == (0, 1, False)
    assert (row["lv_frames_drawn"], row["lv_slices_drawn"], row["rv_slices_drawn"]) == (2, 10, 0)
    assert row["label_codes"] == "0 1"
    assert (row["even_slices"], row["smallest_gap_mm"], row["largest_gap_mm"]) == (False, 8.0, 16.0)
    assert row["saturated_pct"] == pytest.approx(100 / study.shape[3])
    assert (row["intensity_min"], row["intensity_max"]) == (0.0, 5.0)
    assert row["shortest_step_s"] == pytest.approx(0.1)
    assert set(row) <= set(columns(SHORT_AXIS))


def test_phases_follow_the_task():
    curve = np.array([np.nan, 30.0, 10.0, 20.0])
    assert phases_by_label(curve, SHORT_AXIS) == (1, 2)
    assert phases_by_label(curve, AORTA) == (2, 1)
    assert "aao_ed_mm2" in columns(AORTA)


def test_outline_is_the_inner_border():
    label = np.zeros((5, 5), np.uint8)
    label[1:4, 1:4] = 3
    rgb = outlined(np.full((5, 5), 7, np.uint8), label, SHORT_AXIS)
    drawn = (rgb != 7).any(-1)
    expected = label > 0
    expected[2, 2] = False
    assert np.array_equal(drawn, expected)
    assert tuple(rgb[1, 1]) == (0x1F, 0x77, 0xB4)


def test_picture_shows_the_middle_drawn_slice_of_a_drawn_frame(make_study):
    study = make_study(0)
    label = np.zeros(study.shape, np.uint8)
    label[1, 1:4, 8:12, 8:12] = 1
    study = dataclasses.replace(study, label=label, ed_frame=0)
    assert shown_slice(study) == (1, 2)
    picture = Image.open(io.BytesIO(write_picture(study)))
    dy, dx = study.spacing_mm[1:]
    assert picture.size[0] / picture.size[1] == pytest.approx(study.shape[3] * dx / (study.shape[2] * dy), rel=0.02)
    unlabelled = dataclasses.replace(study, label=None, labelled=None, ed_frame=None)
    assert shown_slice(unlabelled) == (0, study.shape[1] // 2)


def test_warnings_of_a_kind_are_counted_together():
    texts = [("gap of 8.0 mm", "a"), ("gap of 12 mm", "b"), ("gap of 9 mm", "b"), ("no times", "c")]
    assert kinds(texts) == [("gap of … mm", 2, "a"), ("no times", 1, "c")]


def test_nothing_usable_still_gives_a_report(tmp_path):
    _, summary = check_source([Found("b", "raw/b", broken)], SHORT_AXIS, rule, tmp_path / "r")
    assert summary.counts["usable"] == 0
    assert "Left out" in (tmp_path / "r" / "report.html").read_text()


def test_real_data_shows_what_is_wrong_with_it(data_dir, tmp_path):
    """Sunnybrook's misplaced outer contours; ED and ES where the given contours put them."""
    options = ReaderOptions(label_codes="canonical")
    try:
        found = find_subjects("nifti", str(data_dir / "sunnybrook"), options)
    except NothingUsableError:
        pytest.skip("no Sunnybrook data")
    facts, _ = check_source(found, SHORT_AXIS, split_rule("nifti", "", None), tmp_path / "report")
    assert [one.subject_id for one in facts if one.warnings] == ["SCD0000501_sa"]
    for one in facts:
        assert one.row["ed_by_label"] in (18, 19)
        assert 6 <= one.row["es_by_label"] <= 8
        assert one.row["lv_ed_ml"] > one.row["lv_es_ml"] > 30
