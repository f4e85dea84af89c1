"""Work on all cores: processes that share nothing, and stop cleanly."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TypeVar

from audiornn.errors import CorpusError

__all__ = ["run_in_workers"]

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_in_workers(function: Callable[[Job], Result], jobs: Sequence[Job], n_jobs: int) -> Iterator[tuple[int, Result]]:
    """Run a function of a module on each job; yields (index of the job, result) as they are done, in any order.

    One process: in this one, which spares starting another.

    Raises:
        CorpusError: a worker died.
    """
    if n_jobs == 1 or len(jobs) < 2:
        for i, job in enumerate(jobs):
            yield i, function(job)
        return
    spawn = multiprocessing.get_context("spawn")
    with _one_blas_thread(), ProcessPoolExecutor(n_jobs, mp_context=spawn, initializer=_die_with_parent) as pool:
        running = {pool.submit(function, job): i for i, job in enumerate(jobs)}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        except BrokenProcessPool:
            raise CorpusError(
                "a worker process died (out of memory, or killed); run the same command again to go on, "
                "with --jobs 1 if it recurs"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _die_with_parent() -> None:
    """A worker whose parent was killed would wait for its next job for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


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
