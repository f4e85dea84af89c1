"""Words: symbols joined, placed in seconds, and given a confidence that means what it says.

CTC shows a symbol where it is sure of it, for a frame or two, not where its sound begins and ends. How far off that is
was measured on the recipe's dev split when the model was trained (`ModelCard.timing`), and is put right here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from audiornn.listen.decoding import DecodedSymbol, GreedyDecoder
from audiornn.listen.results import Alternative, TimedLabel
from audiornn.model_file import ModelCard

if TYPE_CHECKING:
    from audiornn.listen.decoders import Decoder
    from audiornn.listen.segments import SegmentSettings

__all__ = ["PAUSE", "Reader", "WordStream", "calibrated", "join_words", "reader_of", "symbol_times", "word_times"]

#: Seconds without any symbol that end a word, space or no space: nobody pauses so long inside one.
PAUSE = 1.0

_LEAST_ODDS = 1e-6  # a probability is kept so far from 0 and 1


def symbol_times(card: ModelCard, symbol: DecodedSymbol) -> tuple[float, float]:
    """Seconds from a symbol's first frame to its last: a frame reaches half a hop to either side of its centre."""
    return _begin(card, symbol.first), _begin(card, symbol.last + 1)


def _begin(card: ModelCard, frame: int) -> float:
    """Where an output frame begins, in seconds."""
    return (frame - 0.5) * card.output_seconds


def word_times(card: ModelCard, words: Sequence[Sequence[DecodedSymbol]], duration: float) -> list[tuple[float, float]]:
    """Where words of these symbols begin and end, in seconds; where two would overlap they meet half-way."""
    times: list[tuple[float, float]] = []
    for letters in words:
        before, own = _placed(card, letters, times[-1] if times else None)
        times[-1:] = [own] if before is None else [before, own]
    return [(round(min(start, duration), 6), round(min(end, duration), 6)) for start, end in times]


def _placed(
    card: ModelCard, letters: Sequence[DecodedSymbol], before: tuple[float, float] | None
) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """Start and end of the word before, which may have to give way, and of the word of these letters."""
    latest = card.features.frames_to_seconds(letters[-1].last * card.stride)  # the recording goes on until there
    start = min(max(0.0, symbol_times(card, letters[0])[0] + card.timing[0]), latest)
    end = symbol_times(card, letters[-1])[1] + card.timing[1]
    if before is not None and before[1] > start:
        start = min(max(before[0], (before[1] + start) / 2), latest)
        before = before[0], start
    return before, (start, max(start, end))


def calibrated(card: ModelCard, probability: float) -> float:
    """A word's probability, as its symbols' posteriors have it, made a confidence."""
    probability = min(max(probability, _LEAST_ODDS), 1 - _LEAST_ODDS)
    slope, intercept = card.confidence
    log_odds = slope * math.log(probability / (1 - probability)) + intercept
    return round(1 / (1 + math.exp(-log_odds)), 6)


def join_words(card: ModelCard, symbols: Iterable[DecodedSymbol], duration: float) -> tuple[TimedLabel, ...]:
    """The words of a whole recording of `duration` seconds."""
    stream = WordStream(card)
    return tuple(stream.push(list(symbols), 0) + stream.finish(duration))


class WordStream:
    """Symbols in as they are decoded, words out as soon as nothing can change them any more."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._names = card.vocabulary.symbols
        self._spells = card.vocabulary.unit == "character"
        self._pause = math.ceil(PAUSE / card.output_seconds)  # frames
        start, end = card.timing
        # Frames by which two words may be moved towards each other; a word's end is settled when none begins so near.
        self._reach = math.ceil(max(0.0, end - start) / card.output_seconds) + 1
        self._letters: list[DecodedSymbol] = []  # of the word being read
        self._word: TimedLabel | None = None  # read, but its end may have to give way to the next one's begin
        self._word_first = self._word_last = 0

    @property
    def first(self) -> int | None:
        """The first frame of a word that was heard but is not given yet."""
        if self._word is not None:
            return self._word_first
        return self._letters[0].first if self._letters else None

    @property
    def partial(self) -> str:
        """What was heard of the word that is not over yet."""
        return "".join(self._names[letter.id] for letter in self._letters)

    def push(self, symbols: Sequence[DecodedSymbol], settled: int) -> list[TimedLabel]:
        """Take the next symbols; `settled` frames are decoded, and no later symbol begins before that."""
        words: list[TimedLabel] = []
        for symbol in symbols:
            self._end_at_pause(symbol.first, words)
            if not self._spells:
                self._begin_word([symbol], words)
            elif self._names[symbol.id] == " ":
                self._end_word(words)
            else:
                self._letters.append(symbol)
        self._end_at_pause(settled, words)
        if self._word is not None and not self._letters and settled - self._word_last > self._reach:
            self._give(math.inf, words)
        return words

    def finish(self, duration: float) -> list[TimedLabel]:
        """Say that the recording ends here; returns its last words."""
        words: list[TimedLabel] = []
        self._end_word(words)
        self._give(duration, words)
        return words

    def _end_at_pause(self, frame: int, words: list[TimedLabel]) -> None:
        if self._letters and frame - self._letters[-1].last > self._pause:
            self._end_word(words)

    def _end_word(self, words: list[TimedLabel]) -> None:
        if self._letters:
            letters, self._letters = self._letters, []
            self._begin_word(letters, words)

    def _begin_word(self, letters: list[DecodedSymbol], words: list[TimedLabel]) -> None:
        """The next word is complete, so that the one before it is too."""
        held = None if self._word is None else (self._word.start, self._word.end)
        before, (start, end) = _placed(self._card, letters, held)
        if before is not None:
            self._give(before[1], words)
        probability = sum(letter.posterior for letter in letters) / len(letters)
        name = "".join(self._names[letter.id] for letter in letters)
        self._word = TimedLabel(name, start, end, calibrated(self._card, probability))
        self._word_first, self._word_last = letters[0].first, letters[-1].last

    def _give(self, latest: float, words: list[TimedLabel]) -> None:
        """Give the word that was held, ending at `latest` seconds if not before."""
        if self._word is not None:
            word, self._word = self._word, None
            start, end = min(word.start, latest), min(word.end, latest)
            words.append(replace(word, start=round(start, 6), end=round(end, 6)))


class Reader(Protocol):
    """Reads what the network says: log-probabilities in, timed words or segments out."""

    @property
    def settled(self) -> float:
        """Seconds up to which all is given."""

    @property
    def partial(self) -> str:
        """What was read of the word or segment that is not over yet."""

    def push(self, log_probs: NDArray[np.float32]) -> list[TimedLabel]:
        """Take frames (output frames, symbols), any number; returns what is settled now."""

    def finish(self, duration: float) -> list[TimedLabel]:
        """Say that the recording ends here, after so many seconds; returns the rest."""

    def alternatives(self, duration: float) -> tuple[Alternative, ...]:
        """Other texts of a finished recording, where they were asked for, best first."""


def reader_of(
    card: ModelCard,
    make_decoder: Callable[[], Decoder] | None = None,
    segments: SegmentSettings | None = None,
) -> Reader:
    """The reader that a model's task wants.

    Args:
        card: of the model.
        make_decoder: makes a transcribing one's decoder; greedy if None.
        segments: how a labelling one's frames become segments; as the card says if None.
    """
    if card.task == "label":
        from audiornn.listen.segments import SegmentReader

        return SegmentReader(card, segments)
    return _WordReader(card, make_decoder() if make_decoder else GreedyDecoder())


class _WordReader:
    def __init__(self, card: ModelCard, decoder: Decoder) -> None:
        if decoder.words is not None:
            card = replace(card, vocabulary=card.vocabulary.of_words(decoder.words))
        self._card = card
        self._decoder = decoder
        self._words = WordStream(card)

    @property
    def settled(self) -> float:
        frames = self._decoder.settled if self._words.first is None else self._words.first
        return _begin(self._card, frames) + self._card.timing[0]

    @property
    def partial(self) -> str:
        return self._words.partial

    def push(self, log_probs: NDArray[np.float32]) -> list[TimedLabel]:
        return self._words.push(self._decoder.push(log_probs), self._decoder.settled)

    def finish(self, duration: float) -> list[TimedLabel]:
        return self._words.push(self._decoder.finish(), self._decoder.settled) + self._words.finish(duration)

    def alternatives(self, duration: float) -> tuple[Alternative, ...]:
        """Of a finished recording the n-best list, where the decoder was asked for one."""
        made = []
        for hypothesis in getattr(self._decoder, "n_best", ()):
            words = join_words(self._card, hypothesis.symbols, duration)
            made.append(Alternative(" ".join(word.label for word in words), round(hypothesis.score, 4), words))
        return tuple(made)
