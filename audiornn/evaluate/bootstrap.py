"""Bootstrap: how much of a figure is the luck of which recordings were tested (Efron 1979; Bisani and Ney 2004).

The recordings are drawn anew, as many as there are and with replacement, and the figure is taken of each draw; the
interval is what 95 % of the draws give. A figure is made of counts, so that only these are drawn, never sounds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["percentile_interval", "resampled_totals"]

_DRAWN = 1 << 20  # recordings drawn at a time: some megabytes


def resampled_totals(counts: ArrayLike, *, seed: int = 0, n_resamples: int = 2000) -> NDArray[np.float64]:
    """Sums over recordings drawn anew.

    Args:
        counts: of each recording, (recordings, …).
        seed: the same draws each time, and the same for all that is counted of the same recordings.
        n_resamples: how many draws.

    Returns:
        (n_resamples, …).
    """
    table = np.asarray(counts, np.float64)
    n = len(table)
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWN // max(1, n))
    drawn = []
    for first in range(0, n_resamples, at_once):
        n_draws = min(at_once, n_resamples - first)
        places = rng.integers(0, n, (n_draws, n)) + n * np.arange(n_draws)[:, None]
        times = np.bincount(places.reshape(-1), minlength=n_draws * n).reshape(n_draws, n)
        drawn.append(np.tensordot(times.astype(np.float64), table, axes=1))
    return np.concatenate(drawn)


def percentile_interval(figures: Iterable[float]) -> tuple[float, float] | None:
    """The 2.5th and 97.5th percentile of what the draws gave; NaN is a draw without a figure, None if all are."""
    known = np.array([figure for figure in figures if figure == figure], np.float64)
    if not len(known):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
