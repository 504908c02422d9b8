"""Reader of UK Biobank's bulk zips of cardiac MR: field 20209 (short axis) and field 20210 (aortic distensibility).

Layout (Petersen et al., JCMR 18:8, 2016): `EID_FIELD_INSTANCE_ARRAY.zip`, for example 1234567_20209_2_0.zip, holds
the DICOM files of one visit, one series a slice, and `manifest.csv` (often spelled `manifest.cvs`), which says of
which series each file is. Nothing is unpacked to disk.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from semiqc_jax.anatomy import Task
from semiqc_jax.datasets.readers.dicom import read_cine, study_of
from semiqc_jax.datasets.readers.dicom_file import MAX_FILE_BYTES, Image
from semiqc_jax.datasets.readers.folders import entries_below
from semiqc_jax.datasets.readers.found import DEFAULT, Found, ReaderOptions
from semiqc_jax.errors import DataError, NothingUsableError
from semiqc_jax.study import Study

ARCHIVE = re.compile(r"(?P<eid>\d+)_(?P<field>\d+)_(?P<instance>\d+)_(?P<array>\d+)\.zip")
FIELDS = {"short_axis": "20209", "aorta": "20210"}
# The cines of each field among series that the scanner made of them (InlineVF), flow and localisers.
SERIES = {
    "short_axis": re.compile(r"CINE_segmented_SAX(_b\d+)?", re.IGNORECASE),
    "aorta": re.compile(r"CINE_segmented_Ao_dist", re.IGNORECASE),
}
ONE_SLICE = re.compile(r".*_b\d+|.*_Ao_dist", re.IGNORECASE)  # a series that holds one slice
MAX_MEMBERS, MAX_ARCHIVE_BYTES = 20_000, 2**32  # a short-axis archive: about 600 files of 0.1 MB
MAX_MANIFEST_BYTES = 2**22  # 20,000 lines of 200 bytes
MEND = "download the archive again"


def find(source: str | Path, options: ReaderOptions = DEFAULT) -> list[Found]:
    """The task's archives at or below `source`, by participant and visit. Nothing is labelled.

    A subject's id is EID_INSTANCE, with _ARRAY behind it for further arrays of one visit; all visits of one EID are
    of one patient.

    Raises:
        NothingUsableError: there is none.
    """
    source, field = Path(source), FIELDS[options.task.name]
    paths = [source] if source.is_file() else entries_below(source)
    named = [(match, path) for path in paths if (match := ARCHIVE.fullmatch(path.name)) and match["field"] == field]
    if not named:
        mend = f"give the folder of archives such as 1234567_{field}_2_0.zip"
        raise NothingUsableError(f"no archive of field {field}", source, mend)
    found = []
    for match, path in named:
        array = "" if int(match["array"]) == 0 else f"_{match['array']}"
        subject_id = f"{match['eid']}_{match['instance']}{array}"
        reading = partial(read, path, subject_id, options.task)
        found.append(Found(subject_id, path, reading, (path,), patient_id=match["eid"]))
    return found


def read(path: Path, subject_id: str, task: Task) -> Study:
    """Read the cine of one archive.

    Raises:
        DataError: names the archive, the file in it and the mend.
    """
    with _opened(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) > MAX_MEMBERS or sum(info.file_size for info in members) > MAX_ARCHIVE_BYTES:
            raise DataError(f"{len(members)} files that unpack to an absurd size", path, MEND)
        names = [info.filename for info in members]
        manifest = next((n for n in names if re.fullmatch(r"(.*/)?manifest\.(csv|cvs)", n, re.IGNORECASE)), None)
        listing = b"" if manifest is None else _member(archive, manifest, MAX_MANIFEST_BYTES)
        described = series_of(listing.decode("utf-8", "replace"))
        contents = {
            f"{path.name}:{name}": partial(_member, archive, name)
            for name in names
            if name.lower().endswith(".dcm") and _wanted(described.get(_base(name)), task)
        }
        cine, pixels = read_cine(contents, task, path, partial(_chosen, task, described))
    return study_of(cine, pixels, subject_id, task)


def series_of(manifest: str) -> dict[str, str]:
    """File name -> description of its series, from the text of a manifest.

    The header names the columns `filename` and `series discription` (so spelled). Dates hold a comma without quotes
    ("Jan 12, 2016"), so that rows have more fields than the header: columns left of the date are counted from the
    left, those right of it from the right. Empty where the manifest has no such columns.
    """
    first, *lines = manifest.lstrip("\ufeff").splitlines() or [""]
    header = [cell.lower() for cell in _cells(first)]
    file = next((i for i, cell in enumerate(header) if cell == "filename"), None)
    series = next((i for i, cell in enumerate(header) if re.fullmatch(r"series ?d[ei]scription", cell)), None)
    date = next((i for i, cell in enumerate(header) if "date" in cell), len(header))
    if file is None or series is None:
        return {}

    def cell(row: list[str], column: int) -> str:
        return row[column if column < date else column - len(header)]

    return {cell(row, file): cell(row, series) for row in map(_cells, lines) if len(row) >= len(header)}


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(",")]


def _chosen(task: Task, described: Mapping[str, str], images: list[Image]) -> tuple[list[Image], list[str]]:
    """The images of the task's cines; of a slice that was taken again, those of the later series."""
    wanted, latest = [], dict[str, int]()
    for image in images:
        series = described.get(_base(image.name), image.description)
        if _wanted(series, task):
            wanted.append((series.lower(), image))
            latest[series.lower()] = max(latest.get(series.lower(), 0), image.series_number)
    if not wanted:
        what = f"no series of the task '{task.name}' among {len(images)} images"
        raise DataError(what, FIELDS[task.name], "check that the archive is of this field")
    kept = [i for series, i in wanted if not ONE_SLICE.fullmatch(series) or i.series_number == latest[series]]
    left_out = {image.series_number for _, image in wanted} - {image.series_number for image in kept}
    shown = ", ".join(map(str, sorted(left_out)))
    return kept, [f"slices were taken again; left out: series {shown}"] if left_out else []


def _wanted(series: str | None, task: Task) -> bool:
    """Whether a series may be the task's cine; a file that the manifest does not list is looked at."""
    return series is None or SERIES[task.name].fullmatch(series) is not None


def _base(name: str) -> str:
    return re.split(r"[/\\:]", name)[-1]


def _member(archive: zipfile.ZipFile, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    where = f"{archive.filename}:{name}"
    size = archive.getinfo(name).file_size
    if size > max_bytes:
        raise DataError(f"file of {size >> 20} MiB", where, MEND)
    with _errors(where):
        return archive.read(name)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    if not path.is_file():
        raise DataError("archive is no ordinary file or missing", path, MEND)
    with _errors(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield archive


@contextmanager
def _errors(where: object) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile raises BadZipFile, zlib.error, RuntimeError, NotImplementedError, ...
        raise DataError(f"cannot be unpacked: {error or type(error).__name__}", where, MEND) from error
