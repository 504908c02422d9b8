"""Malformed input for the readers: `Variant`, what bytes may suffer, and the list of all variants by data set."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

Spoil = Callable[[bytes], bytes]


class Variant(NamedTuple):
    """A way to spoil a good subject."""

    name: str  # unique within a data set
    spoil: Callable[[Path], object]  # changes the subject in place; given its folder or archive
    says: str  # regular expression of the reason in quarantine; "" where it is harmless
    harmless: str = ""  # why the subject may be built all the same


def of_file(name: str, change: Spoil, says: str, harmless: str = "", where: str = "*") -> Variant:
    """A variant that changes the bytes of the first file of a subject that matches `where` (or of the archive)."""

    def spoil(subject: Path) -> None:
        path = subject if subject.is_file() else sorted(subject.rglob(where))[0]
        path.write_bytes(change(path.read_bytes()))

    return Variant(name, spoil, says, harmless)


def of_text(name: str, text: str, says: str, harmless: str = "", where: str = "*") -> Variant:
    """A variant whose file holds another text."""
    return of_file(name, lambda content: text.encode("utf-8", "surrogateescape"), says, harmless, where)


def replaced(name: str, change: Callable[[Path], object], says: str, harmless: str = "", where: str = "*") -> Variant:
    """A variant that puts something else in a file's place; `change` gets its path, where nothing is any more."""

    def spoil(subject: Path) -> None:
        path = subject if subject.is_file() else sorted(subject.rglob(where))[0]
        path.unlink()
        change(path)

    return Variant(name, spoil, says, harmless)


def cut(where: int | float) -> Spoil:
    """Keep the first bytes: a number of them, from the end where negative, or a share."""
    return lambda content: content[: int(where * len(content)) if isinstance(where, float) else where]


def flipped(seed: int, first: float = 0.0, last: float = 1.0, n: int = 8) -> Spoil:
    """Change `n` bytes at random places between two shares of the content."""

    def change(content: bytes) -> bytes:
        draw, spoiled = random.Random(seed), bytearray(content)
        for _ in range(n):
            place = draw.randrange(int(first * len(content)), int(last * len(content)))
            spoiled[place] ^= draw.randrange(1, 256)
        return bytes(spoiled)

    return change


def put(place: int, values: bytes) -> Spoil:
    """Write bytes over those from `place` on, which counts from the end where negative."""

    def change(content: bytes) -> bytes:
        start = place % len(content)
        return content[:start] + values + content[start + len(values) :]

    return change


def broken_links(says: str, where: str = "*") -> Iterator[Variant]:
    """Links that lead to no file."""
    for name, target in (("to_nothing", "/nowhere/at_all"), ("to_itself", "."), ("to_a_device", "/dev/zero")):
        link = lambda path, target=target: path.symlink_to(path.name if target == "." else target)  # noqa: E731
        yield replaced(f"{where.strip('*._')}_link_{name}", link, says, where=where)


def any_bytes_rows() -> tuple[tuple[str, Spoil], ...]:
    """What may happen to any binary file."""
    return (
        ("empty", cut(0)),
        ("one_byte", cut(1)),
        ("cut_in_the_header", cut(60)),
        ("cut_in_half", cut(0.5)),
        ("zeros", lambda content: bytes(len(content))),
        ("text", lambda content: b"<html>not found</html>\n" * 20),
        ("first_bytes", put(0, b"\xff" * 160)),
        ("reversed", lambda content: content[::-1]),
    )


def any_bytes(says: str, where: str = "*") -> Iterator[Variant]:
    """`any_bytes_rows` as variants."""
    for name, change in any_bytes_rows():
        yield of_file(name, change, says, where=where)
