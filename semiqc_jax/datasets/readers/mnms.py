"""Reader of the M&Ms data set in its official layout (Campello et al., IEEE TMI 40(12), 2021)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from semiqc_jax.anatomy import SHORT_AXIS, to_canonical
from semiqc_jax.datasets.readers.drawn import phase_warnings
from semiqc_jax.datasets.readers.folders import stated_split
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.readers.nifti_file import existing, is_there, read_image, read_label
from semiqc_jax.datasets.readers.nifti_study import nifti_study
from semiqc_jax.datasets.readers.table import number, words
from semiqc_jax.datasets.readers.tabled import Layout, find_patients
from semiqc_jax.errors import DataError
from semiqc_jax.study import Study

FRAME = re.compile(r"[0-9]{1,6}(\.0*)?")  # a frame number as a spreadsheet may write it


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Patients up to three folders below `source`: `Training/Labeled/CODE/{CODE_sa, CODE_sa_gt}.nii.gz`, ...

    The table `*Dataset_information*.csv` of the archive gives ED and ES, group (pathology), site (vendor and
    centre), sex, age, height and weight. Without it, ED and ES are those of the labels. The folders Training,
    Validation and Testing state the split.

    Raises:
        NothingUsableError: there is none.
        DataError: the table cannot be read.
        ConfigError: the task is not the short axis.
    """
    return find_patients(LAYOUT, source, options)


def read(folder: Path, row: Mapping[str, str] | None, options: ReaderOptions = DEFAULT) -> Study:
    """Read one patient: the whole cine, its labels on ED and ES where it has them.

    Args:
        folder: the patient's.
        row: of the table; None where that has none.
        options: whether labels are read.

    Raises:
        DataError: names the file and the mend.
    """
    name, path, label_path = folder.name, _image(folder), _label(folder)
    image, label = read_image(path), None
    if options.label_codes is not None and is_there(label_path):
        label = to_canonical(read_label(label_path, image, path), options.label_codes, label_path)
        label = label if label.any() else None
    warnings: tuple[str, ...] = ()
    if row is None:
        row, warnings = {}, ("no row in the data set's table: group and site are not known",)
    ed, es = (_frame(row, key, len(image.data), name) for key in ("ED", "ES"))
    warnings += phase_warnings(label, ed, es, SHORT_AXIS, "the data set's table")
    vendor, centre = words(row.get("VendorName")) or words(row.get("Vendor")), words(row.get("Centre"))
    return nifti_study(
        name,
        image,
        label,
        SHORT_AXIS,
        warnings,
        ed_frame=ed,
        es_frame=es,
        group=words(row.get("Pathology")),
        site=", ".join(filter(None, (vendor, centre and f"centre {centre}"))) or None,
        sex=words(row.get("Sex")),
        age_years=number(row.get("Age")),
        height_cm=number(row.get("Height")),
        weight_kg=number(row.get("Weight")),
    )


def _frame(row: Mapping[str, str], key: str, n_frames: int, name: str) -> int | None:
    """The frame that the table states, counted from 0."""
    text = words(row.get(key))
    if text is None:
        return None
    if not FRAME.fullmatch(text) or float(text) >= n_frames:
        what = f"{key} is {text!r}, but the cine has frames 0 to {n_frames - 1}"
        raise DataError(what, f"{name} in the data set's table", "correct the table (frames count from 0)")
    return int(float(text))


def _image(folder: Path) -> Path:
    return existing(folder / f"{folder.name}_sa.nii.gz")


def _label(folder: Path) -> Path:
    return existing(folder / f"{folder.name}_sa_gt.nii.gz")


def _files(folder: Path) -> tuple[Path, ...]:
    return (_image(folder), *(path for path in [_label(folder)] if is_there(path)))


LAYOUT = Layout(
    name="M&Ms",
    place="Training/Labeled/CODE/",
    key="External code",
    code=str,
    is_patient=lambda folder: is_there(_image(folder)),
    files=_files,
    split=stated_split,
    read=read,
)
