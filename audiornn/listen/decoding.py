"""Decoding: from log-probabilities to symbols with their frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DecodedSymbol", "greedy_ctc", "label_runs"]


@dataclass(frozen=True)
class DecodedSymbol:
    """A symbol, and the output frames `first` to `last` (inclusive) that it was read from.

    Attributes:
        id: in the vocabulary.
        first: first frame.
        last: last frame.
        posterior: the mean over those frames of the symbol's probability.
    """

    id: int
    first: int
    last: int
    posterior: float


def greedy_ctc(log_probs: NDArray[np.float32]) -> list[DecodedSymbol]:
    """The best path through CTC's outputs: repeats merged, then blanks (id 0) dropped (Graves et al. 2006, § 3.2).

    Args:
        log_probs: (frames, symbols), real frames only.
    """
    return [run for run in label_runs(log_probs) if run.id != 0]


def label_runs(log_probs: NDArray[np.float32]) -> list[DecodedSymbol]:
    """Runs of frames that share their most probable symbol, in order.

    Args:
        log_probs: (frames, symbols), real frames only.
    """
    if not len(log_probs):
        return []
    best = log_probs.argmax(axis=1)
    borders = np.flatnonzero(np.diff(best)) + 1
    firsts = [0, *borders.tolist()]
    lasts = [*(borders - 1).tolist(), len(best) - 1]
    return [
        DecodedSymbol(int(best[a]), a, b, float(np.exp(log_probs[a : b + 1, best[a]]).mean()))
        for a, b in zip(firsts, lasts, strict=True)
    ]
