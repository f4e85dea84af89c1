"""The best path: where each symbol of a text is, on the most probable of all paths that collapse to it (Viterbi).

Twice, for two purposes. `force_align` lays a text along a recording of any length, in bounded memory, because it may
drop what has lost too much. `align_symbols` asks it of a few frames, where a search has met a space or the symbol
before: both change what a frame is worth and where a path begins, and the dropping is exact only where neither does.

Scores of the first count what a path loses against the best symbol of each frame: 0 is greedy's path, every other is
below, and no path ever gains. So a state that has lost more than the whole alignment will may be dropped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import CorpusError
from audiornn.listen.decoding import DecodedSymbol
from audiornn.vocabulary import ctc_length

__all__ = ["LOWEST", "align_symbols", "force_align"]

Scores = NDArray[np.float64]

LOWEST = -1e6  # what −inf counts as: a text the model thinks impossible is still laid where it is least so
_WHOLE_BYTES = 2**25  # up to this all scores are kept, and no frame is computed twice
_FIRST_LOSS = 0.25  # nats a frame: AN4's texts lose 0.04 against greedy's path, strung together without pauses 0.15
_EMISSIONS = 2**16  # looked up at a time: they stay in the second-level cache


def force_align(log_probs: NDArray[np.float32], ids: Sequence[int]) -> list[DecodedSymbol]:
    """Where each symbol of a target is, on the most probable path that collapses to it.

    Exact: Viterbi over the symbols with blanks between, of which repeated symbols need one; of paths that tie, the one
    that dwells longer. No frame is computed twice where the scores of all T frames × S symbols fit in 32 MiB. Else they
    are kept every K = ∛(T·S/2) frames, and each stretch is computed again, backwards, for the K symbols that lead to
    where it ends: at most 16·(T·S/K + K²) bytes and T·(S + K) steps of 2 ns. Symbols that have lost more than the whole
    path are left out, so that a text that is said takes a third of that. Ten seconds (1,000 × 150) take 4 ms; an hour
    (120,000 × 27,000) 2.5 s and 35 MiB, and 9 s if the text is another one.

    Args:
        log_probs: (frames, symbols), real frames only; id 0 is the blank.
        ids: the target's, 1 … symbols − 1.

    Returns:
        A symbol for each id, in order; frames between them are blanks.

    Raises:
        CorpusError: the target is empty, or needs more frames than there are.
    """
    if not len(ids):
        raise CorpusError("the text to align holds no symbol; is it empty?")
    needed = ctc_length(ids)
    if needed > len(log_probs):
        raise CorpusError(
            f"the text to align needs {needed} output frames ({len(ids)} symbols, {needed - len(ids)} of them "
            f"repeated), the recording has {len(log_probs)}; is it the text of another recording?"
        )
    lattice = _Lattice(log_probs, np.asarray(ids))
    path = lattice.best_path()
    said = np.flatnonzero(path % 2)
    firsts = np.searchsorted(path[said], 2 * np.arange(len(ids)) + 1)
    counts = np.diff(firsts, append=len(said))
    posteriors = np.exp(log_probs[said, lattice.ids[path[said] // 2]].astype(np.float64))
    means = np.add.reduceat(posteriors, firsts) / counts
    return [
        DecodedSymbol(int(i), first, first + count - 1, mean)
        for i, first, count, mean in zip(ids, said[firsts].tolist(), counts.tolist(), means.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Scores:
    """What the states of symbols `first` and on have lost before a frame: minus nats, −inf where no path leads.

    Attributes:
        frame: the frame.
        first: the first symbol.
        blanks: (n + 1,): of the blank before each of n symbols, and after the last.
        symbols: (n + 1,): of the symbol before each of these blanks; of the one before `first`, −inf.
    """

    frame: int
    first: int
    blanks: Scores
    symbols: Scores

    def part(self, first: int, end: int) -> _Scores:
        """Those of symbols `first` to `end`, exclusive; where they reach beyond these, −inf."""
        blanks, symbols = np.full((2, end - first + 1), -np.inf)
        a, b = first - self.first, min(end - self.first + 1, len(self.blanks))
        blanks[: b - a] = self.blanks[a:b]
        symbols[1 : b - a] = self.symbols[a + 1 : b]
        return _Scores(self.frame, first, blanks, symbols)


class _Lattice:
    """A target's states along the frames: state 2·i is the blank before symbol i, state 2·i + 1 the symbol."""

    def __init__(self, log_probs: NDArray[np.float32], ids: NDArray[np.int64]) -> None:
        self.log_probs = log_probs
        self.ids = ids
        self.repeats = np.diff(ids, prepend=0) == 0  # no way past the blank before these
        self.n_frames, self.n_symbols = len(log_probs), len(ids)
        whole = 16 * (self.n_frames + 1) * (self.n_symbols + 1) <= _WHOLE_BYTES
        self.block = self.n_frames if whole else round((self.n_frames * self.n_symbols / 2) ** (1 / 3))

    def best_path(self) -> NDArray[np.int64]:
        """The state of each frame, (frames,)."""
        path = np.empty(self.n_frames, np.int64)
        state = None
        for scores in reversed(self._checkpoints()):
            state = self._trace(scores, state, path)
        return path

    def _checkpoints(self) -> list[_Scores]:
        """The scores before each block of frames."""
        start = _Scores(0, 0, np.zeros(1), np.full(1, -np.inf))
        if self.block == self.n_frames:
            return [start]
        limit = _FIRST_LOSS * self.n_frames
        while True:
            checkpoints = [start]
            while checkpoints[-1].frame < self.n_frames and len(checkpoints[-1].blanks):
                checkpoints.append(self._next(checkpoints[-1], limit))
            last = checkpoints.pop()
            if len(last.blanks):  # the best path lost no more than was allowed, so nothing of it was dropped
                return checkpoints
            limit = 8 * limit if limit < self.n_frames else math.inf

    def _next(self, scores: _Scores, limit: float) -> _Scores:
        """The scores a block later, of states that have not lost more than `limit` and can still reach the end."""
        frames = min(self.block, self.n_frames - scores.frame)
        end = min(scores.first + len(scores.blanks) - 1 + frames, self.n_symbols)
        blanks, symbols = (rows[frames % 2] for rows in self._run(scores.part(scores.first, end), frames, n_rows=2))
        frame = scores.frame + frames
        alive = np.maximum(blanks, symbols) >= -limit
        alive[: max(0, self.n_symbols - (self.n_frames - frame) - scores.first)] = False
        kept = np.flatnonzero(alive)
        if not len(kept):
            return _Scores(frame, 0, np.zeros(0), np.zeros(0))
        a = max(0, int(kept[0]) - 1)  # the first symbol alive, and the blank before it
        blanks, symbols = blanks[a : kept[-1] + 1].copy(), symbols[a : kept[-1] + 1].copy()
        symbols[0] = -np.inf
        return _Scores(frame, scores.first + a, blanks, symbols)

    def _trace(self, scores: _Scores, state: int | None, path: NDArray[np.int64]) -> int:
        """Write a block of the path that ends in `state`, or in the better of the last two; the state before it."""
        frames = min(self.block, self.n_frames - scores.frame)
        symbol = self.n_symbols - 1 if state is None else state // 2
        first, end = max(scores.first, symbol - frames), min(symbol + 1, self.n_symbols)
        blanks, symbols = self._run(scores.part(first, end), frames, n_rows=frames + 1)
        if state is None:
            state = 2 * end - int(symbols[-1, -1] >= blanks[-1, -1])
        for row in range(frames - 1, -1, -1):
            path[scores.frame + row] = state
            i = state // 2 - first
            if state % 2 == 0:
                state -= int(symbols[row, i] > blanks[row, i])
                continue
            stay, blank = symbols[row, i + 1], blanks[row, i]
            skip = -np.inf if self.repeats[state // 2] else symbols[row, i]
            if stay < blank or stay < skip:
                state -= 1 if blank >= skip else 2
        return state

    def _run(self, scores: _Scores, n_frames: int, *, n_rows: int) -> tuple[Scores, Scores]:
        """Scores of blanks and symbols before each of `n_frames` frames and after the last, in rows used in turn."""
        blanks, symbols = np.full((2, n_rows, len(scores.blanks)), -np.inf)
        blanks[0], symbols[0] = scores.blanks, scores.symbols
        span = slice(scores.first, scores.first + len(scores.blanks) - 1)
        repeats = self.repeats[span]
        any_repeats = repeats.any()
        entering = np.empty(len(scores.blanks))
        blank_rows, symbol_rows, own_rows = list(blanks), list(symbols), list(symbols[:, 1:])
        before = entering[:-1]
        row = 0
        for blank, emissions in self._losses(scores.frame, n_frames, self.ids[span]):
            following = (row + 1) % n_rows
            np.maximum(blank_rows[row], symbol_rows[row], out=entering)
            np.add(entering, blank, out=blank_rows[following])
            if any_repeats:
                np.copyto(before, blank_rows[row][:-1], where=repeats)
            np.maximum(own_rows[row], before, out=own_rows[following])
            np.add(own_rows[following], emissions, out=own_rows[following])
            row = following
        return blanks, symbols

    def _losses(self, start: int, n_frames: int, ids: NDArray[np.int64]) -> Iterator[tuple[float, Scores]]:
        """What the blank and each symbol lose in each frame against its best: minus nats."""
        step = max(1, _EMISSIONS // max(len(ids), self.log_probs.shape[1]))
        for a in range(start, start + n_frames, step):
            losses = _losses(self.log_probs[a : min(a + step, start + n_frames)])
            yield from zip(losses[:, 0].tolist(), losses.take(ids, axis=1), strict=True)


def _losses(log_probs: NDArray[np.float32]) -> Scores:
    """What each symbol loses in each frame against its best: (frames, symbols), minus nats."""
    scores = np.maximum(log_probs.astype(np.float64), LOWEST)
    scores -= scores.max(axis=1, keepdims=True)
    return scores


def align_symbols(
    log_probs: NDArray[np.floating], ids: Sequence[int], *, space: int = -1, before: int = -1
) -> list[tuple[int, int]]:
    """The frames of each symbol on the best path that reads a text (Viterbi; Graves et al. 2006, § 4.1 with maxima).

    Args:
        log_probs: (frames, symbols).
        ids: the text; blanks are not among them.
        space: the symbol of which any number, at either end and beside another one, reads as one; -1 where none does.
        before: the symbol that ends in the frame before the first; from the same one a blank must part it.

    Returns:
        For each symbol its first and last frame. Too few frames for the text are shared out evenly.
    """
    n_frames, n = len(log_probs), len(ids)
    if not n:
        return []
    parts = np.zeros(2 * n + 1, np.int64)
    parts[1::2] = ids
    needed = n + int(np.sum(parts[3::2] == parts[1:-2:2])) + (before == ids[0])
    if needed > n_frames:
        edges = np.linspace(0, max(0, n_frames - 1), n + 1).astype(int).tolist()
        return [(a, max(a, b - 1)) for a, b in itertools.pairwise(edges)]
    # −∞ would make all paths equally impossible; the floor still tells how many frames a path misses
    emitted = np.maximum(log_probs, -1e4)[:, parts].astype(np.float64)
    if space >= 0:
        silent = np.zeros(2 * n + 1, bool)
        silent[[0, -1]] = True
        spaces = np.flatnonzero(parts == space)
        silent[spaces - 1] = silent[spaces + 1] = True
        if before == space:
            silent[0] = True
        emitted[:, silent] = np.maximum(emitted[:, silent], np.maximum(log_probs[:, [space]], -1e4))
    may_skip = np.zeros(2 * n + 1, bool)
    may_skip[3::2] = parts[3::2] != parts[1:-2:2]
    barrier = np.where(may_skip, 0.0, -np.inf)
    scores = np.full((n_frames, 2 * n + 3), -np.inf)  # two states before the first, which nothing can be in
    scores[:, 2:] = emitted
    scores[0, 3 + (before != ids[0]) :] = -np.inf
    best = np.empty(2 * n + 1)
    for above, here in itertools.pairwise(scores):
        np.add(above[:-2], barrier, out=best)
        np.maximum(best, above[1:-1], out=best)
        np.maximum(best, above[2:], out=best)
        np.add(here[2:], best, out=here[2:])
    state = 2 * n if scores[-1, -1] > scores[-1, -2] else 2 * n - 1
    spans = [[-1, -1] for _ in ids]
    for t in range(n_frames - 1, -1, -1):
        if state % 2:
            span = spans[state // 2]
            span[0] = t
            span[1] = max(span[1], t)
        if t:
            came = scores[t - 1, state : state + 3].tolist()  # from two states before, one before, the same
            came[0] += barrier[state]
            state -= 2 if came[0] > max(came[1:]) else 1 if came[1] > came[2] else 0
    return [(first, last) for first, last in spans]
