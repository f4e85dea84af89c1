"""Worker processes: how many, and what they see of Ctrl-C."""

import functools
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from audiornn.corpus import workers


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_a_worker_that_still_imports_does_not_see_ctrl_c():
    masks = dict(workers.run_in_workers(functools.partial(signal.pthread_sigmask, signal.SIG_BLOCK), [(), ()], 2))
    assert all(signal.SIGINT in mask for mask in masks.values())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_no_more_workers_than_windows_waits_for(monkeypatch):
    started = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, n, **options):
            started.append(n)
            super().__init__(n)

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(workers, "_MOST_WORKERS", 61)
    assert sorted(workers.run_in_workers(abs, [-1, -2], 128)) == [(0, 1), (1, 2)]
    assert started == [61]
