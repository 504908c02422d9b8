"""Jobs over processes: one that dies or hangs costs the part that it was working on, and nothing else."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

from semiqc_jax.errors import UserError

# work(job, lost) yields one part after the other, in order. `lost` says of parts (by number) why they must not be
# tried again: the process that worked on them was lost.
Work = Callable[[Any, Mapping[int, str]], Iterator[Any]]

PATIENCE_S = 900.0  # a part that takes longer hangs
TRIES = 2  # a process may be killed for another's sake (out of memory): a part is tried again once
_CONTEXT = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(
    work: Work, jobs: Sequence[Any], workers: int, patience_s: float = PATIENCE_S
) -> Iterator[tuple[int, Any]]:
    """Run `work` on each job and yield (job's number, part), each part once, in order within a job.

    Args:
        work: a module-level function, as are the jobs' own functions: they are sent to the processes.
        jobs: what to work on.
        workers: processes; 0 works in this one, where a crash is a crash.
        patience_s: a process is ended when it has been working on one part for so long.

    Raises:
        UserError: what `work` raised; or a job's processes died without a part to blame.
    """
    if workers == 0:
        for number, job in enumerate(jobs):
            yield from ((number, part) for part in work(job, {}))
        return
    states = [_Job(number, job) for number, job in enumerate(jobs)]
    waiting = deque(states)
    team = [_Worker(work) for _ in range(min(workers, len(jobs)))]
    try:
        while waiting or any(worker.job for worker in team):
            for worker in team:
                if worker.job is None and waiting:
                    worker.start(waiting.popleft())
            busy = [worker for worker in team if worker.job]
            ready = wait([worker.connection for worker in busy], timeout=min(1.0, patience_s))
            for worker in busy:
                yield from worker.news(worker.connection in ready, patience_s)
                if worker.is_lost:
                    waiting.appendleft(worker.job)  # type: ignore[arg-type]
                    team[team.index(worker)] = _Worker(work)
    finally:
        for worker in team:
            worker.end()


@dataclass
class _Job:
    number: int
    job: Any
    lost: dict[int, str] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    told: int = 0  # parts that were yielded already: a job that begins again repeats them


class _Worker:
    """A process and what it is at."""

    def __init__(self, work: Work):
        self.connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.job: _Job | None = None
        self.is_lost = False
        self.part, self.since = 0, 0.0

    def start(self, job: _Job) -> None:
        self.job, self.part, self.since = job, 0, math.inf
        self.connection.send((job.job, job.lost))

    def news(self, is_ready: bool, patience_s: float) -> Iterator[tuple[int, Any]]:
        """Take in what the process sent: at most one part that was not told before."""
        job = self.job
        assert job is not None
        if not is_ready:
            if time.monotonic() - self.since > patience_s:
                self.end()
                self._lose(f"took longer than {patience_s:g} s", TRIES)
            return
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            self._lose(f"ended its process ({_how(self.process.exitcode)})", 1)
            return
        if kind == "failed":
            raise UserError(*content)
        if kind == "begin":  # only now: starting a process and its imports are no part's time
            self.since = time.monotonic()
            return
        if kind == "end":
            self.job = None
            return
        if self.part == job.told:
            job.told += 1
            yield job.number, content
        self.part, self.since = self.part + 1, time.monotonic()

    def _lose(self, why: str, deaths: int) -> None:
        self.is_lost, job = True, self.job
        assert job is not None
        job.deaths[self.part] += deaths
        if job.deaths[self.part] >= TRIES:
            if self.part in job.lost:
                _give_up(job, job.lost[self.part])
            job.lost[self.part] = why
        self.connection.close()

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def _give_up(job: _Job, why: str) -> NoReturn:
    mend = "look for what ends processes here (memory, disk, limits) and run again, with fewer workers"
    raise UserError(f"job {job.number + 1} cannot be finished: it {why}", "worker processes", mend)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"{name}, perhaps out of memory" if name == "SIGKILL" else name
    return f"exit code {code}"


def _serve(connection: Connection, work: Work) -> None:
    """The life of a worker process: jobs in, parts out, until nobody listens any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
    try:
        while True:
            job, lost = connection.recv()
            connection.send(("begin", None))
            try:
                for part in work(job, lost):
                    connection.send(("part", part))
            except BrokenPipeError:
                return
            except UserError as error:
                connection.send(("failed", (error.what, error.where, error.mend)))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{place.filename}, line {place.lineno}"
                mend = "mend the disk or its space if it is one of these; else report it"
                connection.send(("failed", (f"{type(error).__name__}: {error}", where, mend)))
            else:
                connection.send(("end", None))
    except (EOFError, OSError):
        return
