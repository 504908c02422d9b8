"""A good small subject of each data set, and the malformed variants of it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from malformed import Variant
from malformed_dicom import good_files, of_subject, series_variants
from malformed_nifti import SHAPE, file_variants, good_image
from malformed_parts import archive_variants, contour_variants, info_variants, label_variants
from nifti_files import save_nifti

from semiqc_jax.datasets.readers.found import DEFAULT, ReaderOptions


class Format(NamedTuple):
    """A data set: how to make a good subject of it, and how to spoil one."""

    dataset: str
    make: Callable[[Path, int], tuple[str, Path]]  # source, number -> the subject's id, its folder or archive
    variants: Callable[[], Iterator[Variant]]
    options: ReaderOptions = DEFAULT


def nifti(source: Path, k: int) -> tuple[str, Path]:
    name = f"s{k:03d}"
    save_nifti(source / name / f"{name}.nii.gz", good_image(k))
    return name, source / name


def acdc(source: Path, k: int) -> tuple[str, Path]:
    name = f"patient{k + 1:03d}"
    folder = source / "training" / name
    save_nifti(folder / f"{name}_4d.nii.gz", good_image(k))
    (folder / "Info.cfg").write_text("ED: 1\nES: 3\nGroup: NOR\n")
    return name, folder


def ukbb_nifti(source: Path, k: int) -> tuple[str, Path]:
    name = f"{1000000 + k}"
    save_nifti(source / name / "sa.nii.gz", good_image(k))
    return name, source / name


def mnms(source: Path, k: int) -> tuple[str, Path]:
    name = f"A{k:03d}"
    save_nifti(source / name / f"{name}_sa.nii.gz", good_image(k))
    return name, source / name


def mnms2(source: Path, k: int) -> tuple[str, Path]:
    name = f"{k + 1:03d}"
    save_nifti(source / name / f"{name}_SA_CINE.nii.gz", good_image(k))
    return name, source / name


def dicom(source: Path, k: int) -> tuple[str, Path]:
    name = f"case{k:03d}"
    write_dicom(source / name, of_subject(good_files(), name))
    return name, source / name


def write_dicom(folder: Path, files: list[bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for n, content in enumerate(files):
        (folder / f"{n:03d}.dcm").write_bytes(content)


def sunnybrook(source: Path, k: int) -> tuple[str, Path]:
    name = f"SCD{k:07d}"
    write_sunnybrook(source / name, of_subject(good_files(), name))
    return name, source / name


def write_sunnybrook(folder: Path, files: list[bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "CINESAX_300").mkdir(parents=True)
    for n, content in enumerate(files, 1):
        (folder / "CINESAX_300" / f"IM-0003-{n:04d}.dcm").write_bytes(content)


def ukbb(source: Path, k: int) -> tuple[str, Path]:
    path = source / f"{1000000 + k}_20209_2_0.zip"
    write_ukbb(path, of_subject(good_files(), path.name))
    return f"{1000000 + k}_2", path


def write_ukbb(path: Path, files: list[bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for n, content in enumerate(files):
            archive.writestr(f"{n:03d}.dcm", content)


def _nifti() -> Iterator[Variant]:
    yield from file_variants("*.nii.gz")
    yield from label_variants(lambda at: at / f"{at.name}_gt.nii.gz", SHAPE)


def _acdc() -> Iterator[Variant]:
    yield from file_variants("*_4d.nii.gz")
    yield from label_variants(lambda at: at / f"{at.name}_frame01_gt.nii.gz", SHAPE[:3])
    yield from info_variants()


def _ukbb_nifti() -> Iterator[Variant]:
    yield from file_variants("sa.nii.gz")
    yield from label_variants(lambda at: at / "label_sa.nii.gz", SHAPE)


def _mnms() -> Iterator[Variant]:
    yield from file_variants("*_sa.nii.gz")
    yield from label_variants(lambda at: at / f"{at.name}_sa_gt.nii.gz", SHAPE)


def _mnms2() -> Iterator[Variant]:
    def label(folder: Path) -> Path:
        save_nifti(folder / f"{folder.name}_SA_ED.nii.gz", good_image(int(folder.name) - 1)[..., 1])
        return folder / f"{folder.name}_SA_ED_gt.nii.gz"

    yield from file_variants("*_CINE.nii.gz")
    yield from label_variants(label, SHAPE[:3])


def _sunnybrook() -> Iterator[Variant]:
    yield from series_variants(write_sunnybrook)
    yield from contour_variants()


def _ukbb() -> Iterator[Variant]:
    yield from series_variants(write_ukbb)
    yield from archive_variants()


FORMATS = (
    Format("nifti", nifti, _nifti),
    Format("acdc", acdc, _acdc),
    Format("ukbb_nifti", ukbb_nifti, _ukbb_nifti),
    Format("mnms", mnms, _mnms),
    Format("mnms2", mnms2, _mnms2),
    Format("dicom", dicom, lambda: series_variants(write_dicom)),
    Format("sunnybrook", sunnybrook, _sunnybrook),
    Format("ukbb", ukbb, _ukbb),
)
