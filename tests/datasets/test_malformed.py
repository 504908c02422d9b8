"""Malformed input: a named error or a row in quarantine; no crash, hang, gigabyte, or file outside of the output."""

from __future__ import annotations

import csv
import gzip
import os
import re
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed_dicom import good_files, of_subject
from malformed_formats import FORMATS, Format, write_ukbb
from malformed_nifti import SHAPE, good_image
from malformed_sources import Source, sources
from nifti_files import save_nifti

from semiqc_jax.anatomy import AORTA, SHORT_AXIS
from semiqc_jax.datasets.build import Request, build_cohort
from semiqc_jax.datasets.opening import open_cohort
from semiqc_jax.datasets.outcomes import Refused
from semiqc_jax.datasets.readers import READERS, find_subjects, split_rule
from semiqc_jax.datasets.readers.dicom import read_cine
from semiqc_jax.datasets.readers.found import ReaderOptions
from semiqc_jax.datasets.readers.nifti import find as find_nifti
from semiqc_jax.datasets.readers.ukbb import find as find_archives
from semiqc_jax.errors import ConfigError, NothingUsableError, UserError
from semiqc_jax.study import SAFE_ID, check_study

MAX_GROWTH_KB = 2**20  # 1 GiB
MAX_SECONDS = 20.0  # of one subject, on a machine that does other things too
UNFORESEEN = re.compile(r"\w+(Error|Warning|Exception) at \S+\.py:\d+")  # what the build says of any other exception
BY_NAME = {one.dataset: one for one in FORMATS}


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fail where resident memory peaks more than 1 GiB above that at the start (Linux tells)."""
    status, refs = Path("/proc/self/status"), Path("/proc/self/clear_refs")

    def kilobytes(key: str) -> int:
        return int(re.search(rf"{key}:\s+(\d+)", status.read_text())[1])  # type: ignore[index]

    if not os.access(refs, os.W_OK):
        yield
        return
    refs.write_text("5")  # forget the peak so far
    before = kilobytes("VmRSS")
    yield
    assert kilobytes("VmHWM") - before < MAX_GROWTH_KB


def built(dataset: str, source: Path, options: ReaderOptions) -> tuple[set[str], dict[str, dict[str, str]]]:
    """Find and build as launch/build_data.py does: the ids that were built, and the rows of the others."""
    out, before = source.parent / "out", listing(source.parent)
    times = [time.monotonic()]

    def progress(refused: Refused | None) -> None:
        times.append(time.monotonic())

    with bounded_memory():
        found = find_subjects(dataset, str(source), options)
        request = Request(dataset, "pack", task=options.task)
        rule = split_rule(dataset, str(source), None)
        summary = build_cohort(found, out, request, rule, progress=progress)
    assert max(b - a for a, b in pairwise(times)) < MAX_SECONDS
    assert {path: state for path, state in listing(source.parent).items() if out not in (path, *path.parents)} == before
    assert all(path.resolve().is_relative_to(out.resolve()) for path in out.rglob("*"))
    with (out / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["subject_id"]: row for row in csv.DictReader(file)}
    ids = {subject.subject_id for subject in open_cohort(out).subjects}
    assert (summary["subjects"], summary["quarantined"]) == (len(ids), len(rows))
    assert all(SAFE_ID.fullmatch(one) and ".." not in one for one in ids)
    for row in rows.values():
        assert row["reason"]
        assert row["mend"]
        assert all(cell.isprintable() for cell in row.values())
        assert not UNFORESEEN.search(row["reason"])
    return ids, rows


def listing(folder: Path) -> dict[Path, tuple[int, int]]:
    """What is in a folder, with sizes and times of change."""
    paths = [path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()]
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.dataset)
def test_each_variant_is_named_and_its_neighbours_are_built(form: Format, tmp_path: Path, capfd: Any) -> None:
    source = tmp_path / "raw"
    source.mkdir()
    good, _ = form.make(source, 0)
    variants = {}
    for number, variant in enumerate(form.variants(), 1):
        subject_id, place = form.make(source, number)
        variant.spoil(place)
        variants[subject_id] = variant
    last, _ = form.make(source, len(variants) + 1)
    ids, rows = built(form.dataset, source, form.options)
    assert {good, last} <= ids
    wrong = []
    for subject_id, variant in variants.items():
        reason = rows.get(subject_id, {}).get("reason")
        named = reason is not None and variant.says and re.search(variant.says, reason)
        harmless = reason is None and variant.harmless and subject_id in ids
        if not (named or harmless):
            wrong.append((variant.name, variant.says or variant.harmless, reason))
    assert wrong == []
    assert capfd.readouterr() == ("", "")


def test_there_are_enough_variants() -> None:
    counts = {}
    for form in FORMATS:
        variants = list(form.variants())
        assert len({variant.name for variant in variants}) == len(variants)
        assert all(bool(variant.says) != bool(variant.harmless) for variant in variants)
        counts[form.dataset] = len(variants)
    assert set(counts) == set(READERS) - {"phantom"}
    assert min(counts.values()) >= 100
    assert sum(counts.values()) >= 900


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", list(sources()), ids=lambda case: f"{case.dataset}-{case.name}")
def test_malformed_sources(case: Source, tmp_path: Path, capfd: Any) -> None:
    form, source = BY_NAME[case.dataset], tmp_path / "raw"
    source.mkdir()
    good, _ = form.make(source, 0)
    second_id, second = form.make(source, 1)
    case.spoil(source, second)
    if case.fails:
        with pytest.raises(UserError, match=case.says) as caught:
            built(case.dataset, source, form.options)
        assert caught.value.mend
        return
    ids, rows = built(case.dataset, source, form.options)
    assert good in ids
    assert second_id in ids or case.name != "link_out_of_the_source"
    if case.says:
        assert all(re.search(case.says, row["reason"]) for row in rows.values())
        assert len(rows) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("task", [SHORT_AXIS, AORTA], ids=lambda task: task.name)
@pytest.mark.parametrize("kind", ["nothing", "empty", "text", "pipe", "link to itself", "name of any length"])
@pytest.mark.parametrize("dataset", sorted(set(READERS) - {"phantom"}))
def test_no_source_at_all(dataset: str, kind: str, task: Any, tmp_path: Path) -> None:
    source = tmp_path / ("x" * 300 if kind == "name of any length" else "raw")
    if kind == "empty":
        source.mkdir()
    elif kind == "text":
        source.write_text("no data")
    elif kind == "pipe":
        os.mkfifo(source)
    elif kind == "link to itself":
        source.symlink_to("raw")
    with pytest.raises(UserError) as caught:
        find_subjects(dataset, str(source), ReaderOptions(task))
    assert isinstance(caught.value, NothingUsableError | ConfigError) or kind == "name of any length"
    assert str(source) in caught.value.where or isinstance(caught.value, ConfigError)
    assert caught.value.mend


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.dataset)
def test_what_may_not_be_read_is_named(form: Format, tmp_path: Path) -> None:
    form.make(tmp_path, 0)
    _, second = form.make(tmp_path, 1)
    second.chmod(0)
    try:
        with pytest.raises(UserError, match="Permission denied"):
            [found.read() for found in find_subjects(form.dataset, str(tmp_path), form.options)]
    finally:
        second.chmod(0o700)


def member(zeros: int) -> bytes:
    """A gzip member of some MiB of zeros: members behind one another are one file."""
    return gzip.compress(bytes(zeros << 20), 1)


@pytest.mark.parametrize(("shape", "says"), [((512, 512, 16, 32), "constant"), (SHAPE, "much longer than its header")])
def test_a_gzip_that_unpacks_to_a_gigabyte(shape: tuple[int, ...], says: str, tmp_path: Path) -> None:
    save_nifti(tmp_path / "raw" / "good.nii.gz", good_image())
    with gzip.open(save_nifti(tmp_path / "raw" / "bomb.nii.gz", good_image())) as file:
        header = file.read(352)
    start = header[:40] + struct.pack("<5h", 4, *shape) + header[50:]
    n = 16 if says == "constant" else 64  # times 16 MiB
    (tmp_path / "raw" / "bomb.nii.gz").write_bytes(gzip.compress(start) + member(16) * n)
    ids, rows = built("nifti", tmp_path / "raw", ReaderOptions())
    assert ids == {"good"}
    assert says in rows["bomb"]["reason"]


FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8)


def flip(content: bytes, flips: list[tuple[float, int]], first: int = 0) -> bytes:
    spoiled = bytearray(content)
    for place, bits in flips:
        spoiled[first + int(place * (len(content) - first))] ^= bits
    return bytes(spoiled)


@settings(max_examples=60)
@given(FLIPS, st.booleans())
def test_flipped_bytes_of_a_nifti(tmp_path_factory: Any, flips: list[tuple[float, int]], in_header: bool) -> None:
    path = save_nifti(tmp_path_factory.mktemp("flip") / "a.nii", good_image())
    content = path.read_bytes()
    path.write_bytes(flip(content[:352], flips) + content[352:] if in_header else flip(content, flips))
    (found,) = find_nifti(path)
    only_named_errors(lambda: check_study(found.read()))


@settings(max_examples=60)
@given(FLIPS, st.booleans())
def test_flipped_bytes_of_a_dicom_file(flips: list[tuple[float, int]], in_header: bool) -> None:
    first, *others = good_files()
    spoiled = flip(first[:700], flips, 132) + first[700:] if in_header else flip(first, flips)
    contents = {f"{n}.dcm": (lambda c=c: c) for n, c in enumerate([spoiled, *others])}
    only_named_errors(lambda: read_cine(contents, SHORT_AXIS, "case"))


@settings(max_examples=60)
@given(FLIPS)
def test_flipped_bytes_of_an_archive(tmp_path_factory: Any, flips: list[tuple[float, int]]) -> None:
    path = tmp_path_factory.mktemp("flip") / "1000001_20209_2_0.zip"
    write_ukbb(path, of_subject(good_files(), path.name))
    path.write_bytes(flip(path.read_bytes(), flips))
    (found,) = find_archives(path)
    only_named_errors(lambda: check_study(found.read()))


def only_named_errors(read: Any) -> None:
    with suppress(UserError):
        read()
