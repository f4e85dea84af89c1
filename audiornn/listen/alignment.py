"""Forced alignment: a given text laid along a recording, by the model's outputs.

The best of all paths that collapse to the text (Graves et al. 2006, § 3; Kürzinger et al. 2020, "CTC-Segmentation").
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiornn.listen.decoding import DecodedSymbol, greedy_ctc
from audiornn.listen.results import AlignedWord, Alignment, TimedLabel
from audiornn.listen.viterbi import LOWEST, force_align
from audiornn.listen.words import PAUSE, symbol_times, word_times
from audiornn.model_file import ModelCard
from audiornn.vocabulary import Vocabulary, ctc_length

__all__ = ["align_text"]

Scores = NDArray[np.float64]
Stretch = tuple[int, int]  # frames, the last exclusive


# A word's score in nats a symbol, and the confidence it gives: 0.5 at the least score that fits, and from there by the
# slope that tells AN4's words from others put in their place. At −2.5, 1.4 % of the words of its test split do not fit,
# and 99.7 % of the others (dev: 3.0 %, 99.0 %); of synthetic digits, with words as symbols, 0.2 % and 97 %.
_LEAST_SCORE = -2.5
_SLOPE = 1.5


def align_text(card: ModelCard, log_probs: NDArray[np.float32], text: str, duration: float) -> Alignment:
    """A text laid along a recording: words and symbols in time, which words do not fit, and what the text lacks.

    A word's stretch reaches from the middle of the gap before it to the middle of the one after, a second at most into
    either, and not into what is extra. What the path through the word loses there against greedy's, over the word's
    symbols and one for the gap, makes its confidence, and it fits from 0.5 on.

    Extra are whole words heard between those of the text (where symbols do not make words, two symbols or more). If the
    text lacks a word, it may lose least along letters of the neighbour and of the missing word, and then the neighbour
    does not fit. Where it is heard letter for letter in its stretch it is put there, and the rest is extra: the one
    departure from `force_align`'s path.

    Of a word that a lexicon has several pronunciations for, the one is laid that is likeliest between its neighbours,
    as they lie where each word has its first; where those are too long together, each word keeps its first.

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
    ways = {name: card.vocabulary.spellings(name) for name in dict.fromkeys(names)}  # one by one: errors quote a word
    words = _laid(card.vocabulary, log_probs, [ways[name][0] for name in names])
    if any(len(own) > 1 for own in ways.values()):
        spelled = _likeliest(card.vocabulary, log_probs, [ways[n] for n in names], words)
        if ctc_length([*itertools.chain(*spelled)]) <= len(log_probs):  # two longer ones may want the same pause
            words = _laid(card.vocabulary, log_probs, spelled)
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


def _laid(
    vocabulary: Vocabulary, log_probs: NDArray[np.float32], spelled: Sequence[Sequence[int]]
) -> list[list[DecodedSymbol]]:
    """The symbols of each word where they are, from the ids of each; spaces part them where the vocabulary has one."""
    space = [vocabulary.symbols.index(" ")] if _is_spelled(vocabulary) else []
    ids: list[int] = []
    spans = []
    for own in spelled:
        ids += space if ids else []
        spans.append((len(ids), len(ids) + len(own)))
        ids += own
    symbols = force_align(log_probs, ids)
    return [symbols[a:b] for a, b in spans]


def _likeliest(
    vocabulary: Vocabulary,
    log_probs: NDArray[np.float32],
    ways: Sequence[Sequence[list[int]]],
    words: Sequence[Sequence[DecodedSymbol]],
) -> list[list[int]]:
    """Of each word's ways to say it the one that loses least between the words beside it."""
    begins = [0, *(word[-1].last + 1 for word in words[:-1])]
    ends = [*(word[0].first for word in words[1:]), len(log_probs)]

    def lost(ids: list[int], part: NDArray[np.float32]) -> float:
        if ctc_length(ids) > len(part):
            return math.inf
        return -float(_lost(vocabulary, part, [force_align(part, ids)])[-1])

    return [
        own[0] if len(own) == 1 else min(own, key=lambda ids: lost(ids, log_probs[begin:end]))
        for own, begin, end in zip(ways, begins, ends, strict=True)
    ]


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
    own, best = (np.maximum(scores.astype(np.float64), LOWEST) for scores in (own, log_probs.max(axis=1)))
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
