"""Decoding: from log-probabilities to symbols with their frames, block by block or at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DecodedSymbol", "GreedyDecoder", "LogProbs", "greedy_ctc"]

LogProbs = NDArray[np.float32]


@dataclass(frozen=True)
class DecodedSymbol:
    """A symbol, and the output frames `first` to `last` (inclusive) that it was read from.

    Attributes:
        id: in the vocabulary.
        first: first frame.
        last: last frame.
        posterior: the symbol's probability; of CTC's symbols the highest in those frames, since frames on the way to it
            say nothing of how sure it is (told apart by it, right words of AN4 stand above wrong ones in 86 % of pairs,
            by the mean in 75 %); of labels of frames their track's mean.
    """

    id: int
    first: int
    last: int
    posterior: float


class GreedyDecoder:
    """CTC's best path, as its frames come (Graves et al. 2006, § 3.2): repeats merged, then blanks dropped.

    How the frames are cut into blocks makes no difference.

    Attributes:
        words: None, as of every decoder that gives the network's own symbols.
    """

    words: tuple[str, ...] | None = None

    def __init__(self) -> None:
        self._n_frames = 0
        self._id, self._first = 0, 0  # the run that may still go on
        self._probability = 0.0  # its highest

    @property
    def settled(self) -> int:
        """Frames whose symbols are all given; a run that may still go on begins there."""
        return self._n_frames if self._id == 0 else self._first

    def push(self, log_probs: LogProbs) -> list[DecodedSymbol]:
        """Take frames (frames, symbols), any number; returns the symbols whose runs have now ended."""
        if not len(log_probs):
            return []
        best = log_probs.argmax(axis=1)
        if self._id == 0 and not best.any():  # silence goes on, as it mostly does in a stream
            self._n_frames += len(best)
            return []
        probabilities = np.exp(log_probs.max(axis=1).astype(np.float64))
        firsts = [0, *(np.flatnonzero(best[1:] != best[:-1]) + 1).tolist()]
        ended = []
        highest = np.maximum.reduceat(probabilities, firsts)
        for first, symbol, probability in zip(firsts, best[firsts].tolist(), highest.tolist(), strict=True):
            if symbol != self._id:
                ended += self._end(self._n_frames + first)
                self._id, self._first, self._probability = symbol, self._n_frames + first, 0.0
            self._probability = max(self._probability, probability)
        self._n_frames += len(best)
        return ended

    def finish(self) -> list[DecodedSymbol]:
        """Say that no frames follow; returns the last symbol, if its run was still open."""
        ended = self._end(self._n_frames)
        self._id, self._first = 0, self._n_frames
        return ended

    def _end(self, n_frames: int) -> list[DecodedSymbol]:
        return [DecodedSymbol(self._id, self._first, n_frames - 1, self._probability)] if self._id else []


def greedy_ctc(log_probs: LogProbs) -> list[DecodedSymbol]:
    """The best path through CTC's outputs, (frames, symbols), real frames only: its symbols, blanks dropped."""
    decoder = GreedyDecoder()
    return decoder.push(log_probs) + decoder.finish()
