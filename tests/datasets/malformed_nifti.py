"""Malformed NIfTI files (offsets as of the NIfTI-1 standard), and malformed folders of NIfTI."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from malformed import Spoil, Variant, any_bytes, broken_links, cut, flipped, of_file, put
from nifti_files import AFFINE, pixels, save_nifti

SHAPE = (24, 20, 3, 4)
UNREADABLE = "cannot be read as NIfTI"
ONLY_TIME = "the time of frames is not known, all else is sound"
UNSCALED = "the standard says that such a slope means unscaled values"


def good_image(seed: int = 0) -> np.ndarray:
    """The content (x, y, z, t) of a good file."""
    return pixels(SHAPE, seed)


def packed(change: Spoil) -> Spoil:
    """A change of what is gzipped."""
    return lambda content: gzip.compress(change(gzip.decompress(content)), 1)


def header(place: int, form: str, *values: float) -> Spoil:
    """Write numbers at a place of the header."""
    return packed(put(place, struct.pack(f"<{len(values)}{form}", *values)))


def pixdim(axis: int, value: float) -> Spoil:
    """State another voxel size (axis 1 to 3) or time step (4)."""
    return header(76 + 4 * axis, "f", value)


def quaternion(value: float) -> Spoil:
    """State a position by a quaternion of three equal numbers alone."""
    return packed(put(252, struct.pack("<2h3f", 1, 0, value, value, value)))


NAN, INF = float("nan"), float("inf")
ROWS: tuple[tuple[str, Spoil, str, str] | tuple[str, Spoil, str], ...] = (
    # gzip
    ("gzip_cut_near_its_end", cut(-20), UNREADABLE),
    ("gzip_trailer_cut", cut(-6), UNREADABLE),
    ("gzip_wrong_crc", put(-8, b"abcd"), UNREADABLE),
    ("gzip_wrong_length", put(-4, b"\xff\xff\xff\x7f"), UNREADABLE),
    ("gzip_unknown_method", put(2, b"\x07"), UNREADABLE),
    ("gzip_payload_flipped", flipped(1, 0.3, 0.9), UNREADABLE),
    ("gzip_payload_zeroed", put(800, bytes(200)), UNREADABLE),
    ("gzip_garbage_appended", lambda c: c + b"garbage" * 99, UNREADABLE),
    ("not_gzipped", gzip.decompress, UNREADABLE),
    ("gzipped_twice", gzip.compress, UNREADABLE),
    ("gzip_of_nothing", packed(cut(0)), UNREADABLE),
    ("gzip_of_half_a_header", packed(cut(200)), UNREADABLE),
    ("gzip_of_a_header_alone", packed(cut(352)), UNREADABLE),
    ("gzip_of_half_the_pixels", packed(cut(0.5)), UNREADABLE),
    ("gzip_of_random_bytes", packed(flipped(2, n=5000)), UNREADABLE),
    # which format
    ("magic_zero", header(344, "b", 0, 0, 0, 0), UNREADABLE),
    ("magic_of_a_pair", packed(put(344, b"ni1\0")), UNREADABLE),
    ("magic_of_analyze", packed(put(344, b"ana\0")), UNREADABLE),
    ("header_size_zero", header(0, "i", 0), "", "its magic says what it is"),
    ("header_size_of_nifti2", header(0, "i", 540), "", "its magic says what it is"),
    # shape
    ("no_dimension", header(40, "h", 0), "1 dimensions"),
    ("two_dimensions", header(40, "h", 2), "2 dimensions"),
    ("five_dimensions", header(40, "h", 5, 24, 20, 3, 2, 2), "5 dimensions"),
    ("negative_dimensions", header(40, "h", -4), UNREADABLE),
    ("eight_dimensions", header(40, "h", 8), UNREADABLE),
    ("no_columns", header(42, "h", 0), "header states the shape"),
    ("negative_columns", header(42, "h", -24), "header states the shape"),
    ("no_slice", header(46, "h", 0), "header states the shape"),
    ("negative_frames", header(48, "h", -4), "header states the shape"),
    ("wide", header(42, "h", 32767), UNREADABLE),
    ("huge", header(40, "h", 4, 32767, 32767, 32767, 32767), "over 768 MiB"),
    ("huge_product_overflows", header(40, "h", 7, *[32767] * 7), "7 dimensions"),
    ("gigabyte", header(40, "h", 4, 1024, 1024, 16, 32), "over 768 MiB"),
    ("just_below_the_limit", header(40, "h", 4, 512, 512, 16, 31), UNREADABLE),
    ("thin", header(42, "h", 3, 160), "slices of 160 x 3 pixels"),
    # type
    ("no_type", header(70, "h", 0), UNREADABLE),
    ("one_bit", header(70, "h", 1), UNREADABLE),
    ("complex", header(70, "h", 32), "pixels are of type|" + UNREADABLE),
    ("colour", header(70, "h", 128), "pixels are of type"),
    ("float64_but_16_bits_there", header(70, "h", 64), UNREADABLE),
    ("unknown_type", header(70, "h", 9999), UNREADABLE),
    ("wrong_bits", header(72, "h", 64), "", "the type alone says how many bits a pixel has"),
    # scale
    ("slope_nan", header(112, "f", NAN), "", UNSCALED),
    ("slope_zero", header(112, "f", 0), "", UNSCALED),
    ("slope_infinite", header(112, "f", INF, 0), "", UNSCALED),
    ("slope_overflows", header(112, "f", 3e38, 0), "NaN or infinite"),
    ("intercept_nan", header(112, "f", 1, NAN), UNREADABLE),
    ("intercept_swallows", header(112, "f", 1, 1e30), "constant"),
    # geometry
    ("spacing_zero", pixdim(1, 0), "voxel spacing"),
    ("spacing_negative", pixdim(1, -1.5), "", "its sign is the business of the affine"),
    ("spacing_nan", pixdim(2, NAN), "voxel spacing"),
    ("spacing_infinite", pixdim(3, INF), "voxel spacing"),
    ("spacing_in_metres", pixdim(1, 0.0015), "implausible"),
    ("spacing_in_micrometres", pixdim(2, 1250), "implausible"),
    ("slices_far_apart", pixdim(3, 8000), "implausible"),
    ("sform_nan", header(280, "f", *[NAN] * 12), "affine"),
    ("sform_infinite", header(280, "f", INF), "affine"),
    ("sform_near_overflow", header(280, "f", *[3e38] * 12), "", "the affine is kept but nothing is measured with it"),
    ("sform_singular", header(280, "f", *[0.0] * 12), "", "the affine is kept but nothing is measured with it"),
    ("quaternion_no_rotation", header(252, "h", 1, 0), "", "a zero rotation"),
    ("quaternion_too_long", quaternion(9), UNREADABLE),
    ("quaternion_nan", quaternion(NAN), "affine|" + UNREADABLE),
    ("codes_of_forms_unknown", header(252, "h", 999, -7), "", "as if no position were stated"),
    # time
    ("time_negative", pixdim(4, -40), "", ONLY_TIME),
    ("time_nan", pixdim(4, NAN), "", ONLY_TIME),
    ("time_infinite", pixdim(4, INF), "", ONLY_TIME),
    ("units_unknown", header(123, "B", 255), "", ONLY_TIME),
    # where the pixels are
    ("offset_nan", header(108, "f", NAN), UNREADABLE),
    ("offset_infinite", header(108, "f", INF), UNREADABLE),
    ("offset_negative", header(108, "f", -352), UNREADABLE),
    ("offset_in_the_header", header(108, "f", 16), UNREADABLE),
    ("offset_beyond_the_file", header(108, "f", 1e6), UNREADABLE),
    ("offset_beyond_any_file", header(108, "f", 1e30), UNREADABLE),
    ("extension_of_any_length", header(348, "i", 1, 2**31 - 1, 6), "", "extensions are not read"),
)


def file_variants(where: str = "*") -> Iterator[Variant]:
    """What may be wrong with one image; `where` is its name."""
    yield from any_bytes(UNREADABLE, where)
    yield from broken_links("file is missing", where)
    for name, change, says, *harmless in ROWS:
        yield of_file(name, change, says, *harmless, where=where)
    for name, xyzt, says in (
        ("pixels_nan", np.full(SHAPE, np.nan, np.float32), "NaN or infinite"),
        ("pixels_infinite", np.full(SHAPE, np.inf), "NaN or infinite"),
        ("pixels_beyond_float32", np.linspace(0, 1e300, 5760).reshape(SHAPE), "NaN or infinite"),
        ("pixels_constant", np.ones(SHAPE, np.uint8), "constant"),
        ("pixels_complex", np.ones(SHAPE, np.complex64), "pixels are of type complex64"),
        ("slices_tiny", good_image()[:4, :4], "slices of 4 x 4 pixels"),
        ("time_before_slices", np.swapaxes(_beating(), 2, 3), r"axes look like \(x, y, t, z\)"),
    ):
        yield Variant(name, _saved(where, xyzt), says)


def _saved(where: str, xyzt: np.ndarray) -> Callable[[Path], object]:
    return lambda subject: save_nifti(sorted(subject.rglob(where))[0], xyzt, AFFINE)


def _beating() -> np.ndarray:
    """(x, y, 6 slices that differ, 8 frames that hardly do)."""
    return (pixels((24, 20, 6, 1)) + np.arange(8)).astype(np.int16)
