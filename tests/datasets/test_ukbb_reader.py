"""UK Biobank's archives, made exactly as documented: one series a slice and a manifest with commas in its dates."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import dicom_files as made
import numpy as np
import pytest
from pydicom import Dataset

from semiqc_jax.anatomy import AORTA
from semiqc_jax.datasets.readers import ReaderOptions, find_subjects, ukbb
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import check_study

HEADER = "filename,patientid,patientname,studyid,seriesid,date,series discription,aetitle"
AORTIC = ReaderOptions(task=AORTA)


def archive(path: Path, images: list[Dataset], manifest: str | None = "manifest.cvs", described: bool = True) -> Path:
    """Write an archive; `described`: the headers name the series too."""
    lines = [HEADER]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for n, data in enumerate(images):
            name = f"{data.SeriesInstanceUID}.{n}.dcm"
            lines.append(f"{name},p,x,s,{data.SeriesInstanceUID},Jan 12, 2016,{data.SeriesDescription},AE")
            if not described:
                data.SeriesDescription = ""
            stream = io.BytesIO()
            data.save_as(stream, enforce_file_format=True)
            file.writestr(name, stream.getvalue())
        if manifest is not None:
            file.writestr(manifest, "\n".join(lines))
    return path


def slice_series(t: int, z: int) -> dict:
    return {
        "SeriesInstanceUID": f"1.2.{z + 1}",
        "SeriesNumber": 10 + z,
        "SeriesDescription": f"CINE_segmented_SAX_b{z + 1}",
        "InstanceNumber": t + 1,
    }


def sax(**first: object) -> list[Dataset]:
    """A short-axis stack, a derived series and a repeat of slice 3; `first` are tags of the repeat's first go."""
    images = made.cine(lambda t, z: {**slice_series(t, z), **(first if z == 2 else {})})
    for t in range(made.N_FRAMES):
        images.append(made.image(t, 2, **{**slice_series(t, 2), "SeriesInstanceUID": "1.2.50", "SeriesNumber": 50}))
        inline = {"SeriesInstanceUID": "1.2.60", "SeriesDescription": "CINE_segmented_SAX_InlineVF"}
        images.append(made.image(t, 1, **inline, PixelData=bytes(240)))
    return images


@pytest.mark.parametrize(
    ("manifest", "described"), [("manifest.cvs", False), ("manifest.csv", True), ("manifest.csv", False), (None, True)]
)
def test_short_axis(tmp_path: Path, manifest: str | None, described: bool) -> None:
    away = [float(v) for v in made.ORIGIN + (2 * made.DZ + 1.0) * made.NORMAL]  # the first go lay 1 mm off
    archive(tmp_path / "1234567_20209_2_0.zip", sax(ImagePositionPatient=away), manifest, described)
    archive(tmp_path / "1234567_20209_3_1.zip", sax())
    (tmp_path / "1234567_20210_2_0.zip").write_bytes(b"")
    (tmp_path / "other.zip").write_bytes(b"")
    first, second = find_subjects("ukbb", str(tmp_path))
    assert [(one.subject_id, one.patient_id) for one in (first, second)] == [
        ("1234567_2", "1234567"),
        ("1234567_3_1", "1234567"),
    ]
    study = check_study(first.read())
    expected = np.stack([[made.pixels(t, z) for z in range(made.N_SLICES)] for t in range(made.N_FRAMES)])
    np.testing.assert_array_equal(study.image, expected)
    np.testing.assert_allclose(study.slice_position_mm, made.DZ * np.arange(made.N_SLICES), atol=1e-4)
    assert study.warnings == ("slices were taken again; left out: series 12",)


def test_aorta(tmp_path: Path) -> None:
    tags = {"SeriesDescription": "CINE_segmented_Ao_dist", "SpacingBetweenSlices": "6"}
    images = [made.image(t, 0, **tags) for t in range(made.N_FRAMES)]
    flow = {"SeriesDescription": "flow_250_tp_AoV_bh_ePAT@c", "SeriesInstanceUID": "1.8"}
    images += [made.image(t, 3, **flow) for t in range(made.N_FRAMES)]
    path = archive(tmp_path / "7654321_20210_2_0.zip", images)
    (found,) = ukbb.find(path, AORTIC)
    study = check_study(found.read())
    assert (study.subject_id, study.shape) == ("7654321_2", (4, 1, made.ROWS, made.COLUMNS))
    np.testing.assert_array_equal(study.image[3, 0], made.pixels(3, 0))


def test_manifest_with_and_without_commas_in_dates() -> None:
    rows = ["a.dcm,p,x,s,1,Jan 12, 2016,CINE_b1,AE", "b.dcm,p,x,s,1,2016-01-12,CINE_b2,AE", "torn"]
    expected = {"a.dcm": "CINE_b1", "b.dcm": "CINE_b2"}
    assert ukbb.series_of("\n".join([HEADER, *rows])) == expected
    assert ukbb.series_of("\r\n".join(["\ufeff" + HEADER.replace("discr", "descr"), *rows])) == expected
    assert ukbb.series_of("") == ukbb.series_of("x,y\n1,2") == {}


def test_members_that_leave_the_folder_are_only_read(tmp_path: Path) -> None:
    path = tmp_path / "in" / "1_20209_2_0.zip"
    path.parent.mkdir()
    archive(path, sax())
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("../../evil.txt", "x")
    before = sorted(tmp_path.rglob("*"))
    ukbb.find(path)[0].read()
    assert sorted(tmp_path.rglob("*")) == before


def test_wrong_archives_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "1_20209_2_0.zip"
    with pytest.raises(NothingUsableError, match="field 20209"):
        ukbb.find(tmp_path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(DataError, match=r"cannot be unpacked.*1_20209_2_0.zip"):
        ukbb.find(tmp_path)[0].read()
    archive(path, made.cine())
    with pytest.raises(DataError, match=r"no series of the task 'short_axis'"):
        ukbb.find(tmp_path)[0].read()
    archive(path, sax())
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"1_20209_2_0.zip"):
        ukbb.find(tmp_path)[0].read()
    archive(path, sax())
    monkeypatch.setattr(ukbb, "MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(DataError, match="absurd size"):
        ukbb.find(tmp_path)[0].read()
