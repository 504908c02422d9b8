"""Reader of the M&Ms-2 data set in its official layout (Martin-Isla et al., IEEE JBHI 27(7), 2023): short axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from semiqc_jax.anatomy import SHORT_AXIS
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.datasets.readers.phase_files import PHASES, PhaseFiles, read_phase_files
from semiqc_jax.datasets.readers.table import words
from semiqc_jax.datasets.readers.tabled import Layout, find_patients
from semiqc_jax.study import Study

LAST_TRAIN, LAST_VAL = 160, 200  # subject codes of the published split: 1-160, 161-200, 201-360


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """Patients up to three folders below `source`: `dataset/NNN/NNN_SA_{CINE, ED, ED_gt, ES, ES_gt}.nii.gz`.

    `dataset_information.csv` gives group (disease) and site (vendor and scanner). Long-axis files are not read.

    Raises:
        NothingUsableError: there is none.
        DataError: the table cannot be read.
        ConfigError: the task is not the short axis.
    """
    return find_patients(LAYOUT, source, options)


def read(folder: Path, row: Mapping[str, str] | None, options: ReaderOptions = DEFAULT) -> Study:
    """Read one patient; how ED and ES are found is said at `read_phase_files`.

    Args:
        folder: the patient's.
        row: of the table; None where that has none.
        options: whether labels are read.

    Raises:
        DataError: names the file and the mend.
    """
    row = row or {}
    site = ", ".join(filter(None, (words(row.get("VENDOR")), words(row.get("SCANNER"))))) or None
    known = {"group": words(row.get("DISEASE")), "site": site}
    return read_phase_files(_files(folder), folder.name, SHORT_AXIS, options.label_codes, **known)


def _published_split(folder: Path, source: Path) -> str:
    code = int(folder.name)
    return "train" if code <= LAST_TRAIN else "val" if code <= LAST_VAL else "test"


def _files(folder: Path) -> PhaseFiles:
    start = folder / f"{folder.name}_SA"
    ed, es = (start.with_name(f"{start.name}_{phase}.nii.gz") for phase in PHASES)
    ed_label, es_label = (start.with_name(f"{start.name}_{phase}_gt.nii.gz") for phase in PHASES)
    cine = start.with_name(f"{start.name}_CINE.nii.gz")
    return PhaseFiles(cine, None, (ed, es), (ed_label, es_label))


LAYOUT = Layout(
    name="M&Ms-2",
    place="dataset/NNN/",
    key="SUBJECT_CODE",
    code=lambda code: code.lstrip("0"),
    is_patient=lambda folder: folder.name.isdecimal() and _files(folder).usable(),
    files=lambda folder: _files(folder).there(),
    split=_published_split,
    read=read,
)
