"""Forced alignment: a given text laid along a recording, by the model's outputs.

The best of all paths that collapse to the text (Graves et al. 2006, § 3; Kürzinger et al. 2020, "CTC-Segmentation").
Scores count what a path loses against the best symbol of each frame: 0 is greedy's path, every other is below, and no
path ever gains. So a state that has lost more than the whole alignment will may be dropped, and the result is exact.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import CorpusError
from audiornn.listen.decoding import DecodedSymbol, greedy_ctc
from audiornn.listen.results import AlignedWord, Alignment, TimedLabel
from audiornn.listen.words import PAUSE, symbol_times, word_times
from audiornn.model_file import ModelCard
from audiornn.vocabulary import Vocabulary, ctc_length

__all__ = ["align_text", "force_align"]

Scores = NDArray[np.float64]
Stretch = tuple[int, int]  # frames, the last exclusive

_LOWEST = -1e6  # what −inf counts as: a text the model thinks impossible is still laid where it is least so
_WHOLE_BYTES = 2**25  # up to this all scores are kept, and no frame is computed twice
_FIRST_LOSS = 0.25  # nats a frame: AN4's texts lose 0.04 against greedy's path, strung together without pauses 0.15
_EMISSIONS = 2**16  # looked up at a time: they stay in the second-level cache

# A word's score in nats a symbol, and the confidence it gives: 0.5 at the least score that fits, and from there by the
# slope that tells AN4's words from others put in their place. At −2.5, 1.4 % of the words of its test split do not fit,
# and 99.7 % of the others (dev: 3.0 %, 99.0 %); of synthetic digits, with words as symbols, 0.2 % and 97 %.
_LEAST_SCORE = -2.5
_SLOPE = 1.5


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


def align_text(card: ModelCard, log_probs: NDArray[np.float32], text: str, duration: float) -> Alignment:
    """A text laid along a recording: words and symbols in time, which words do not fit, and what the text lacks.

    A word's stretch reaches from the middle of the gap before it to the middle of the one after, a second at most into
    either, and not into what is extra. What the path through the word loses there against greedy's, over the word's
    symbols and one for the gap, makes its confidence, and it fits from 0.5 on.

    Extra are whole words heard between those of the text (where symbols do not make words, two symbols or more). If the
    text lacks a word, it may lose least along letters of the neighbour and of the missing word, and then the neighbour
    does not fit. Where it is heard letter for letter in its stretch it is put there, and the rest is extra: the one
    departure from `force_align`'s path.

    Args:
        card: of the model that made the log-probabilities.
        log_probs: (frames, symbols), real frames only.
        text: as somebody wrote it; the vocabulary's rules are applied.
        duration: of the recording, seconds.

    Raises:
        CorpusError: the text is empty, has a symbol or a word that the model does not know, or is too long for the
            recording.
        ModelFileError: the model does not transcribe.
    """
    card.check_task("transcribe", "can align a text")
    text = card.vocabulary.normalise(text)
    names = text.split()
    ids, spans = _encode(card.vocabulary, names)
    symbols = force_align(log_probs, ids)
    words = [symbols[a:b] for a, b in spans]
    heard = greedy_ctc(log_probs)
    extra, stretches = _stretches(card, words, heard, len(log_probs))
    confidences = _confidences(_lost(card.vocabulary, log_probs, words), words, stretches)
    for n, whole in _heard_whole(card, words, heard, stretches, confidences).items():
        words[n], confidences[n] = whole, _confidence(0.0)
    extra, stretches = _stretches(card, words, heard, len(log_probs))
    centres = [(symbol.first + symbol.last) / 2 for symbol in heard]
    aligned = [
        AlignedWord(
            name,
            *times,
            confidence,
            symbols=_symbols(card, word, times),
            fits=confidence >= 0.5,
            heard=_text(card, heard[bisect_left(centres, a) : bisect_left(centres, b)]),
        )
        for name, word, times, confidence, (a, b) in zip(
            names, words, word_times(card, words, duration), confidences, stretches, strict=True
        )
    ]
    return Alignment(text, tuple(aligned), tuple(_timed(card, run, duration) for run in extra), duration)


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
    scores = np.maximum(log_probs.astype(np.float64), _LOWEST)
    scores -= scores.max(axis=1, keepdims=True)
    return scores


def _encode(vocabulary: Vocabulary, names: Sequence[str]) -> tuple[list[int], list[tuple[int, int]]]:
    """Ids of words, parted by the space where there is one, and the span of each word among them."""
    space = [vocabulary.symbols.index(" ")] if _is_spelled(vocabulary) else []
    known = {name: vocabulary.encode(name) for name in dict.fromkeys(names)}  # one by one: errors quote a word
    ids: list[int] = []
    spans = []
    for name in names:
        ids += space if ids else []
        spans.append((len(ids), len(ids) + len(known[name])))
        ids += known[name]
    return ids, spans


def _stretches(
    card: ModelCard, words: Sequence[list[DecodedSymbol]], heard: list[DecodedSymbol], n_frames: int
) -> tuple[list[list[DecodedSymbol]], list[Stretch]]:
    """What is heard in the gaps between words, and each word's frames from gap to gap, the last exclusive."""
    units = _units(card, heard)
    unit_firsts = [unit[0].first for unit in units]
    firsts = [symbol.first for symbol in heard]
    pause = _pause(card)
    extra = []
    borders = []
    gaps = zip([0, *(word[-1].last + 1 for word in words)], [*(word[0].first for word in words), n_frames], strict=True)
    for gap, (begin, end) in enumerate(gaps):
        inside = units[bisect_left(unit_firsts, begin) : bisect_left(unit_firsts, end)]
        runs = _runs([unit for unit in inside if unit[-1].last < end], pause)
        if card.vocabulary.unit != "word" and not _is_spelled(card.vocabulary):
            runs = [(first, last) for first, last in runs if bisect_left(firsts, last) - bisect_left(firsts, first) > 1]
        extra += [heard[bisect_left(firsts, first) : bisect_left(firsts, last)] for first, last in runs]
        # Without runs the words beside the gap share it; before the first word and after the last it is all of one.
        before, after = (runs[0][0], runs[-1][1]) if runs else (end, begin)
        after_from = after if gap == 0 and not runs else (after + end) // 2
        before_to = before if gap == len(words) and not runs else (begin + before) // 2
        borders.append((min(before_to, begin + pause), max(after_from, end - pause)))
    return extra, [(a[1], b[0]) for a, b in itertools.pairwise(borders)]


def _runs(units: Sequence[list[DecodedSymbol]], pause: int) -> list[tuple[int, int]]:
    """Frames, the last exclusive, of units that no more than a pause parts."""
    runs: list[tuple[int, int]] = []
    for unit in units:
        first, end = unit[0].first, unit[-1].last + 1
        if runs and first - runs[-1][1] < pause:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((first, end))
    return runs


def _is_spelled(vocabulary: Vocabulary) -> bool:
    """Whether words are letters parted by spaces."""
    return vocabulary.unit == "character" and " " in vocabulary.symbols


def _units(card: ModelCard, heard: list[DecodedSymbol]) -> list[list[DecodedSymbol]]:
    """Words of what is heard, parted by spaces and pauses; or its symbols where they are not letters of words."""
    if not _is_spelled(card.vocabulary):
        return [[symbol] for symbol in heard]
    space, pause = card.vocabulary.symbols.index(" "), _pause(card)
    units: list[list[DecodedSymbol]] = []
    last: DecodedSymbol | None = None
    for symbol in heard:
        if symbol.id != space:
            if last is None or last.id == space or symbol.first - last.last > pause:
                units.append([])
            units[-1].append(symbol)
        last = symbol
    return units


def _pause(card: ModelCard) -> int:
    return max(1, round(PAUSE / card.output_seconds))


def _lost(vocabulary: Vocabulary, log_probs: NDArray[np.float32], words: Sequence[Sequence[DecodedSymbol]]) -> Scores:
    """What the words' path has lost to greedy's before each frame and after the last: minus nats, (frames + 1,).

    Where no word is, a blank is as good as a space: a model may leave that out in a pause, or have it a little later.
    """
    ids = np.zeros(len(log_probs), np.int64)
    for symbol in itertools.chain.from_iterable(words):
        ids[symbol.first : symbol.last + 1] = symbol.id
    own = log_probs[np.arange(len(ids)), ids]
    if _is_spelled(vocabulary):
        own = np.where(ids == 0, np.maximum(own, log_probs[:, vocabulary.symbols.index(" ")]), own)
    own, best = (np.maximum(scores.astype(np.float64), _LOWEST) for scores in (own, log_probs.max(axis=1)))
    return np.concatenate([[0.0], np.cumsum(own - best)])


def _confidences(lost: Scores, words: Sequence[Sequence[DecodedSymbol]], stretches: Sequence[Stretch]) -> list[float]:
    """Each word's confidence, by what the aligned path loses in its stretch."""
    return [
        _confidence(float(lost[b] - lost[a]) / (len(word) + 1)) for word, (a, b) in zip(words, stretches, strict=True)
    ]


def _confidence(score: float) -> float:
    """A word's confidence from its score, minus nats a symbol."""
    return 1 / (1 + math.exp(min(700.0, _SLOPE * (_LEAST_SCORE - score))))


def _heard_whole(
    card: ModelCard,
    words: Sequence[list[DecodedSymbol]],
    heard: list[DecodedSymbol],
    stretches: Sequence[Stretch],
    confidences: Sequence[float],
) -> dict[int, list[DecodedSymbol]]:
    """Words that do not fit, by number, as they are heard in their stretch among others, if they are."""
    found = {}
    units = _units(card, heard)
    firsts = [unit[0].first for unit in units]
    for n, (word, (a, b), confidence) in enumerate(zip(words, stretches, confidences, strict=True)):
        if confidence < 0.5:
            ids = [symbol.id for symbol in word]
            inside = units[bisect_left(firsts, a) : bisect_left(firsts, b)]
            same = [unit for unit in inside if unit[-1].last < b and [symbol.id for symbol in unit] == ids]
            if same:
                found[n] = same[0]
    return found


def _text(card: ModelCard, symbols: Sequence[DecodedSymbol]) -> str:
    return " ".join(card.vocabulary.join(symbol.id for symbol in symbols).split())


def _timed(card: ModelCard, symbols: Sequence[DecodedSymbol], duration: float) -> TimedLabel:
    posterior = sum(symbol.posterior for symbol in symbols) / len(symbols)
    return TimedLabel(_text(card, symbols), *word_times(card, [symbols], duration)[0], posterior)


def _symbols(card: ModelCard, word: Sequence[DecodedSymbol], times: tuple[float, float]) -> tuple[TimedLabel, ...]:
    """A word's symbols, one beginning where the other ends: half-way between where CTC shows them."""
    shown = [symbol_times(card, symbol) for symbol in word]
    middles = [(before[1] + after[0]) / 2 for before, after in itertools.pairwise(shown)]
    borders = [times[0], *(round(min(max(middle, times[0]), times[1]), 6) for middle in middles), times[1]]
    return tuple(
        TimedLabel(card.vocabulary.symbols[symbol.id], start, end, symbol.posterior)
        for symbol, (start, end) in zip(word, itertools.pairwise(borders), strict=True)
    )
