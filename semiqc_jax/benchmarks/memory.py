"""How much memory this process has, had and its worker processes had, in MB."""

from __future__ import annotations

import os
import resource
from pathlib import Path

KB = 1 / 1024


def resident_mb() -> float:
    """What is resident now; where the system does not tell, the largest so far."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KB


def largest_child_mb() -> float:
    """The largest that any ended child process has been."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KB


def forget_cached(folder: Path) -> None:
    """Ask the system to drop the files of a folder from its page cache, so that they come from the disk again."""
    for path in (path for path in sorted(folder.rglob("*")) if path.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())  # only what is written can be dropped
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
