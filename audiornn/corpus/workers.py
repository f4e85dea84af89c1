"""Work on all cores: processes that share nothing, and stop cleanly."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from audiornn.errors import CorpusError

__all__ = ["run_in_workers"]

_MOST_WORKERS = 61 if os.name == "nt" else 10_000  # Windows waits for no more processes at a time

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_in_workers(
    function: Callable[[Job], Result], jobs: Sequence[Job], n_jobs: int, *, chunk: int = 1
) -> Iterator[tuple[int, Result]]:
    """Run a function of a module on each job; yields (index of the job, result) as they are done, in any order.

    Args:
        function: found by its name in the workers, which import its module anew.
        jobs: what it is called with.
        n_jobs: processes; with one all is done in this one, which spares starting another.
        chunk: jobs sent at a time; small ones are not worth a message each.

    Raises:
        CorpusError: a worker died.
    """
    if n_jobs <= 1 or len(jobs) < 2:
        for i, job in enumerate(jobs):
            yield i, function(job)
        return
    spawn = multiprocessing.get_context("spawn")
    with (
        _one_blas_thread(),
        ProcessPoolExecutor(min(n_jobs, _MOST_WORKERS), mp_context=spawn, initializer=_start_worker) as pool,
    ):
        try:
            with _interrupt_blocked():
                running = {
                    pool.submit(_run_all, function, jobs[first : first + chunk]): first
                    for first in range(0, len(jobs), chunk)
                }
            for done in as_completed(running):
                yield from enumerate(done.result(), start=running[done])
        except BrokenProcessPool:
            raise CorpusError(
                "a worker process died (out of memory, or killed); run the same command again to go on, "
                "with --jobs 1 if it recurs"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _run_all(function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    return [function(job) for job in jobs]


def _start_worker() -> None:
    # The parent alone answers Ctrl-C; and when it is killed, its workers would wait for their next job for ever.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Workers that are started meanwhile never see Ctrl-C, not even before `_start_worker`; here it waits.

    Each would end in a traceback of its own if it came while they import.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Workers share the cores already; the variables are read when a worker loads numpy."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
