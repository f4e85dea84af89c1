"""How many cores there are to work with."""

from __future__ import annotations

import os

__all__ = ["n_cores"]


def n_cores() -> int:
    """Cores that this process may use: a container or `taskset` may leave it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
