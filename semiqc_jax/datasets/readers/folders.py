"""Where things lie in a source: its folders of subjects, all that is in it, and the splits that folders name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

DEPTH = 3  # folders below a source in which subjects are looked for
SPLIT_FOLDERS = {  # name of a folder -> the split that it states
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def named_folder(source: str | Path) -> Path:
    """The source, under its own name where it is given as `.` or `..`."""
    source = Path(source)
    return source.resolve() if source.name in ("", "..") else source


def subject_folders(source: Path, is_subject: Callable[[Path], bool]) -> list[Path]:
    """The folders of subjects at or up to three levels below `source`, by name; links are followed, each once."""
    found, seen, level = [], set[Path](), [source] if source.is_dir() else []
    for depth in range(DEPTH + 1):
        below: list[Path] = []
        for folder in level:
            place = folder.resolve()
            if place in seen:
                continue
            seen.add(place)
            if is_subject(folder):
                found.append(folder)
            elif depth < DEPTH:
                below += [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
        level = below
    return sorted(found, key=lambda folder: (folder.name, str(folder)))


def stated_split(folder: Path, source: Path) -> str | None:
    """The split that the folders from a subject's up to `source` name, the nearest first (see `SPLIT_FOLDERS`)."""
    names = (*folder.relative_to(source).parts[-2::-1], source.name)
    return next((SPLIT_FOLDERS[name.lower()] for name in names if name.lower() in SPLIT_FOLDERS), None)


def entries_below(folder: Path) -> list[Path]:
    """All files and folders at any depth, sorted. Links to folders are followed; what they lead to counts once.

    Raises:
        OSError: a folder may not be read; `find_subjects` names it.
    """

    def refuse(error: OSError) -> None:
        raise error

    entries, seen = list[Path](), set[str]()
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True) if folder.is_dir() else ():
        true_place = os.path.realpath(place)
        if true_place in seen:
            folders.clear()
            continue
        seen.add(true_place)
        folders.sort()
        entries += [Path(place, name) for name in (*folders, *files)]
    return sorted(entries)
