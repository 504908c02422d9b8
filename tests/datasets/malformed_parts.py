"""What else may be malformed: labels, ACDC's Info.cfg, contours, UK Biobank's archives."""

from __future__ import annotations

import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from malformed import Variant, broken_links, cut, of_file, of_text, put, replaced
from nifti_files import save_nifti

NO_FRAME = "ED is "
NOT_UNPACKED = "nothing is unpacked to disk: the name is a mere key"


def label_variants(label: Callable[[Path], Path], shape: tuple[int, ...]) -> Iterator[Variant]:
    """What may be wrong with a label; `label` says where that of a subject lies, `shape` what is right."""
    good = np.ones(shape, np.uint8)
    half = np.diag([0.75, 0.625, 4.0, 1.0])
    moved = np.diag([1.5, 1.25, 8.0, 1.0])
    moved[0, 3] = 500.0
    rows: tuple[tuple, ...] = (
        ("of_another_shape", good[:-1], "label is not on its image's grid"),
        ("with_more_slices", np.repeat(good, 2, 2), "label is not on its image's grid"),
        ("with_axes_swapped", good.swapaxes(0, 1), "label is not on its image's grid"),
        ("of_another_spacing", good, "label is not on its image's grid", half),
        ("moved", good, "label is not on its image's grid: it is moved", moved),
        ("mirrored", good, "point another way", np.diag([-1.5, 1.25, 8.0, 1.0])),
        ("with_unknown_codes", good * 7, "unknown label codes"),
        ("with_negative_codes", -good.astype(np.int16), "unknown label codes"),
        ("with_fractions", good * 1.5, "unknown label codes"),
        ("nan", np.full(shape, np.nan, np.float32), "unknown label codes"),
        ("infinite", np.full(shape, np.inf, np.float32), "unknown label codes"),
        ("complex", good.astype(np.complex64), "pixels are of type complex64"),
    )
    for name, xyzt, says, *affine in rows:
        saved = lambda at, xyzt=xyzt, affine=affine: save_nifti(label(at), xyzt, *affine)  # noqa: E731
        yield Variant(f"label_{name}", saved, says)
    empty = lambda at: save_nifti(label(at), good * 0)  # noqa: E731
    yield Variant("label_blank", empty, "", "nothing is drawn")
    yield Variant("label_zero_bytes", lambda at: label(at).write_bytes(b""), "cannot be read as NIfTI")
    yield Variant("label_text", lambda at: label(at).write_text("drawn by AB"), "cannot be read as NIfTI")
    yield Variant("label_link_to_nothing", lambda at: label(at).symlink_to("/nowhere/x"), "file is missing")


def info_variants() -> Iterator[Variant]:
    """What may be wrong with Info.cfg."""
    cfg = "Info.cfg"
    yield from broken_links("Info.cfg is (missing|no ordinary file)", cfg)
    yield replaced("info_missing", lambda path: None, "Info.cfg is missing", where=cfg)
    yield replaced("info_is_a_folder", Path.mkdir, "Info.cfg is no ordinary file", where=cfg)
    yield replaced("info_is_a_pipe", os.mkfifo, "Info.cfg is no ordinary file", where=cfg)
    yield of_text("info_endless", "ED: 1\n" * 2**18, "larger than 1 MiB", where=cfg)
    yield of_text("info_empty", "", "ED is not given", where=cfg)
    yield of_text("info_binary", "\udcff\udcfe\0\0" * 50, "ED is not given", where=cfg)
    yield of_text("info_without_es", "ED: 1\n", "ES is not given", where=cfg)
    yield of_text("info_equals_signs", "ED = 1\nES = 3\n", "ED is not given", where=cfg)
    for value in ("0", "-1", "1.5", "first", "²"):
        yield of_text(f"info_ed_{value}", f"ED: {value}\nES: 3\n", "ED is '", where=cfg)
    yield of_text("info_ed_of_many_digits", f"ED: {'9' * 5000}\nES: 3\n", "ED is '999", where=cfg)
    yield of_text("info_ed_beyond", "ED: 99\nES: 3\n", "ED is frame 99 of a cine of 4", where=cfg)
    yield of_text("info_bom", "\ufeffED: 1\r\nES: 3\r\n", "", "a mark of the encoding", where=cfg)
    yield of_text("info_weird_height", "ED: 1\nES: 3\nHeight: 1e999\nWeight: nan\n", "", "left unknown", where=cfg)


def contour_variants() -> Iterator[Variant]:
    """What may be wrong with a contour of Sunnybrook."""

    def drawn(name: str, content: str, says: str, image: int = 3, kind: str = "i") -> Variant:
        def spoil(subject: Path) -> None:
            path = subject / "contours-manual" / f"IM-0001-{image:04d}-{kind}contour-manual.txt"
            path.parent.mkdir()
            path.write_text(content, encoding="utf-8", errors="surrogateescape")

        return Variant(f"contour_{name}", spoil, says, "" if says else "its slice is not drawn, or only so far")

    square = "3.5 3.5\n6.5 3.5\n6.5 6.5\n"
    yield drawn("empty", "", "three or more lines")
    yield drawn("one_point", "3.5 3.5\n", "three or more lines")
    yield drawn("of_three_numbers", "1 2 3\n" * 4, "three or more lines")
    yield drawn("ragged", f"{square}3\n", "contour cannot be read")
    yield drawn("letters", f"{square}a b\n", "contour cannot be read")
    yield drawn("binary", "\udcff\0\x07" * 99, "contour cannot be read")
    yield drawn("nan", f"{square}nan 3\n", "contour leaves the image")
    yield drawn("infinite", f"{square}inf 3\n", "contour leaves the image")
    yield drawn("out_of_the_image", f"{square}99 3\n", "contour leaves the image")
    yield drawn("negative", f"{square}-9 3\n", "contour leaves the image")
    yield drawn("commas", square.replace(" ", ","), "contour cannot be read")
    yield drawn("endless", square * 2**16, "larger than 1 MiB")
    yield drawn("of_no_image", square, "contour of image 77", image=77)
    yield drawn("outer_alone", square, "", kind="o")
    yield drawn("on_a_line", "3 3\n5 3\n7 3\n", "")

    def placed(place: Callable[[Path], object]) -> Callable[[Path], object]:
        return lambda subject: place(subject / "IM-0001-0003-icontour-manual.txt")

    yield Variant("contour_pipe", placed(os.mkfifo), "contour is no ordinary file")
    yield Variant("contour_folder", placed(Path.mkdir), "contour is no ordinary file")
    yield Variant("contour_device", placed(lambda path: path.symlink_to("/dev/zero")), "contour is no ordinary file")
    yield Variant("contour_link_to_nothing", placed(lambda path: path.symlink_to("/no/x")), "contour is missing")


def archive_variants() -> Iterator[Variant]:
    """What may be wrong with a zip. Offsets as of its specification: PK 1 2 is an entry of the directory."""
    broken = "cannot be unpacked|cannot be read as DICOM"

    def entry(field: int, form: str, value: int, name: str, says: str) -> Variant:
        packed = struct.pack(f"<{form}", value)
        return of_file(name, lambda c: put(c.index(b"PK\1\2") + field, packed)(c), says)

    yield from broken_links("archive is no ordinary file or missing")
    yield replaced("zip_is_a_folder", Path.mkdir, "archive is no ordinary file")
    yield replaced("zip_is_a_pipe", os.mkfifo, "archive is no ordinary file")
    for name, change in (
        ("empty", cut(0)),
        ("text", lambda c: b"<html>please log in</html>"),
        ("cut_in_half", cut(0.5)),
        ("directory_cut", cut(-30)),
        ("directory_zeroed", lambda c: c[: c.index(b"PK\1\2")] + bytes(400)),
        ("start_lost", lambda c: c[5000:]),
    ):
        yield of_file(f"zip_{name}", change, broken)
    yield entry(8, "H", 1, "zip_encrypted", "encrypted|password")
    yield entry(10, "H", 99, "zip_unknown_method", broken)
    yield entry(10, "H", 8, "zip_stored_called_deflated", broken)
    yield entry(16, "I", 1, "zip_wrong_crc", "CRC")
    yield entry(24, "I", 2**32 - 2, "zip_claims_4_gib", "MiB|absurd size")
    yield entry(24, "I", 2**28 + 2**20, "zip_claims_257_mib", "file of 257 MiB")
    yield entry(24, "I", 10, "zip_claims_10_bytes", broken)
    yield entry(42, "I", 2**31, "zip_member_beyond_the_file", broken)
    yield of_file("zip_payload_changed", put(700, b"\xff" * 64), "CRC")
    yield of_file("zip_garbage_before", lambda c: b"garbage" * 9 + c, "", "a zip may begin with anything")

    def member(name: str, content: bytes, says: str, harmless: str = "", times: int = 1) -> Variant:
        def spoil(path: Path) -> None:
            with warnings.catch_warnings(), zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
                warnings.simplefilter("ignore")  # of a name that is there already
                for n in range(times):
                    archive.writestr(name.format(n), content)

        return Variant(f"zip_with_{name[:12]!r}", spoil, says, harmless)

    none = "a file that is no DICOM is passed over"
    yield member("../evil.txt", b"x", "", none)
    yield member("../evil.dcm", b"x", broken)
    yield member("/tmp/evil.sh", b"x", "", none)
    yield member("C:\\evil.dcm", b"x", broken)
    yield member("{}.txt", b"", "20007 files", times=20_001)
    yield member("000.dcm", b"again", "there twice|" + broken)
    yield member("manifest.csv", b"", "", "nothing is told: the headers of the files tell")
    yield member("manifest.cvs", b"\xff\xfe\0\0,,,\n,,,,,\n" * 9, "", "nothing is told: the headers of the files tell")
    yield member("Manifest.csv", b"\n" * 2**23, "file of 8 MiB")
    others = b"".join(b"%03d.dcm,Other\n" % n for n in range(6))
    yield member("x/manifest.csv", b"filename,series discription\n" + others, "no series of the task")
