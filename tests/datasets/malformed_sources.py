"""Sources that are malformed as a whole: tables, names, links, and what is no source at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

SAFE = "no safe file name"
TABLES = {"mnms": "x_Dataset_information.csv", "mnms2": "dataset_information.csv", "sunnybrook": "scd_patientdata.csv"}
MNMS = "External code,VendorName,ED,ES,Age\n"
MNMS2 = "SUBJECT_CODE,DISEASE,VENDOR,SCANNER\n"
SUNNYBROOK = "PatientID,OriginalID,Gender,Age,Pathology\n"


class Source(NamedTuple):
    """A way to spoil a source of two good subjects: the second of them, or what describes both."""

    name: str
    dataset: str
    spoil: Callable[[Path, Path], object]  # source, the second subject
    says: str  # regular expression: of the second's reason in quarantine, or of the error; "" where it is harmless
    fails: bool = False  # the source as a whole cannot be read


def sources() -> Iterator[Source]:
    """All of them."""
    yield from _tables()
    yield from _names()
    yield from _links()


def renamed(at: Path, name: str) -> None:
    """Give a subject another name, in those of its files too."""
    new = at.with_name(name)
    at.rename(new)
    for path in [path for path in new.iterdir() if path.name.startswith(at.name)] if new.is_dir() else []:
        path.rename(path.with_name(path.name.replace(at.name, name)))


def _tables() -> Iterator[Source]:
    def text(name: str, dataset: str, content: str, says: str = "", fails: bool = False) -> Source:
        write = lambda source, at: (source / TABLES[dataset]).write_text(content, errors="surrogateescape")  # noqa: E731
        return Source(f"table_{name}", dataset, write, says, fails)

    for dataset, header in (("mnms", MNMS), ("mnms2", MNMS2)):
        for name, content in (
            ("empty", ""),
            ("of_a_header_alone", header),
            ("of_other_columns", "a,b\n1,2\n"),
            ("of_bytes", "\udcff\udcfe\0\n\0" * 9),
            ("of_tabs", header.replace(",", "\t") + "A001\tx\n"),
            ("of_a_web_page", "<html>\n<body>please log in</body>\n"),
        ):
            yield text(name, dataset, content, "no row or no column|cannot be read", True)
        yield text("endless", dataset, header + "A001,x\n" * 2**18, "larger than 1 MiB", True)
        for kind, make in (
            ("pipe", os.mkfifo),
            ("folder", Path.mkdir),
            ("device", lambda path: path.symlink_to("/dev/zero")),
            ("link_to_nothing", lambda path: path.symlink_to("/nowhere/x")),
        ):
            put = lambda source, at, dataset=dataset, make=make: make(source / TABLES[dataset])  # noqa: E731
            yield Source(f"table_{kind}", dataset, put, "no ordinary file|missing", True)
    for value in ("99", "-1", "1.5", "first", "²", "1e3", "9" * 5000):
        yield text(f"ed_{value[:9]}", "mnms", f"{MNMS}A001,x,{value},2,50\n", "ED is '")
    yield text("bom", "mnms", f"\ufeff{MNMS}A001,x,1,2,50\n")
    yield text("semicolons", "mnms", f"{MNMS}A001,x,1,2,50\n".replace(",", ";"))
    yield text("quotes", "mnms", f'{MNMS}"A001","x, y","1","2","50"\n')
    yield text("quote_left_open", "mnms", f'{MNMS}A000,"x,1,2,50\nA001,x,1,2,50\n')
    yield text("age_no_number", "mnms", f"{MNMS}A001,x,1,2,1e999\n")
    yield text("short_rows", "mnms", f"{MNMS}A001\n\n,\n")
    yield text("long_rows", "mnms", f"{MNMS}A001,x,1,2,50,6,7,8\n")
    yield text("many_columns", "mnms", "External code" + "," * 2**18 + "\n" + "A001\n" * 2**16)
    yield text("empty", "sunnybrook", "")
    yield text("of_bytes", "sunnybrook", "\udcff\udcfe\n" * 9)
    yield text("numbers_of_many_digits", "sunnybrook", f"{SUNNYBROOK}SCD{'9' * 5000},SC-N-{'0' * 5000}1,x,-5,NaN\n")
    yield text("endless", "sunnybrook", SUNNYBROOK * 2**15, "larger than 1 MiB", True)


def _names() -> Iterator[Source]:
    def named(name: str, dataset: str, says: str) -> Source:
        return Source(f"named_{ascii(name)[:20]}", dataset, lambda source, at: renamed(at, name), says)

    for name in ("a b", "-rf", "_x", "日本", "x" * 140, "a;b", "$(id)", "<b>x", "a\nb", "a\x1b[31m", "\udcff"):
        for dataset in ("mnms", "ukbb_nifti"):
            yield named(name, dataset, SAFE)
    for name in ("case 2", "-rf", "..evil", "日本", "x" * 140, "$(id)", "a\nb", "\udcff"):
        yield named(name, "dicom", "")
    for name in ("patient002 ", "patient²", "patient", "PATIENT002"):
        yield named(name, "acdc", "")  # no name of a patient: passed over
    for name in ("-rf", "日本", "\udcff", "x" * 140):
        spoil = lambda source, at, name=name: at.joinpath(f"{at.name}.nii.gz").rename(source / f"{name}.nii.gz")  # noqa: E731
        yield Source(f"named_{ascii(name)[:20]}", "nifti", spoil, SAFE)
    for name in ("a b", "a\nb", "..evil"):
        spoil = lambda source, at, name=name: at.joinpath(f"{at.name}.nii.gz").rename(source / f"{name}.nii.gz")  # noqa: E731
        yield Source(f"named_{name!a}", "nifti", spoil, "")


def _links() -> Iterator[Source]:
    def out(source: Path, at: Path) -> None:
        outside = source.parent / f"outside_{at.name}"
        at.rename(outside)
        at.symlink_to(outside)

    def deep(source: Path, at: Path) -> None:
        source.joinpath(*"abcdefgh" * 9).mkdir(parents=True)

    for dataset in ("nifti", "acdc", "ukbb_nifti", "mnms", "mnms2", "dicom", "sunnybrook", "ukbb"):
        yield Source("link_out_of_the_source", dataset, out, "")  # a source may be a farm of links; they are read
        yield Source("link_to_the_source", dataset, lambda source, at: (source / "loop").symlink_to(source), "")
        yield Source("link_to_itself", dataset, lambda source, at: (source / "loop").symlink_to("loop"), "")
        yield Source("pipe_beside", dataset, lambda source, at: os.mkfifo(source / "pipe.zip"), "")
        yield Source("deep_folders", dataset, deep, "")
    gone = lambda source, at: (source / "training" / "patient077").symlink_to("/nowhere/x")  # noqa: E731
    yield Source("link_to_no_patient", "acdc", gone, "")
