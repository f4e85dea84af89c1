"""Keywords: where in a recording a word is said, found frame by frame.

Two scorers give each keyword a score in 0…1 for every output frame, and one decision layer makes hits of scores:

- Of any CTC model, for any word that its symbols can spell (`CtcScorer`). CTC takes a frame's symbol to be independent
  of the others, so the probability that what was said last is just this keyword has a closed form: the forward
  recursion (Graves et al. 2006, § 4.1) over the keyword's symbols and the blanks between them, entered wherever a word
  may begin, against all else that can be said, whose probability is what is left of 1. Nothing is trained for it.
- Of a model that labels frames (`LabelScorer`): the label's posterior.

All state is carried, so that the blocks in which frames come make no difference.
"""

from __future__ import annotations

import difflib
import itertools
import math
import unicodedata
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import CorpusError, ModelFileError, SettingsError, nearest
from audiornn.listen.decoding import DecodedSymbol
from audiornn.listen.results import KeywordSpot
from audiornn.listen.words import symbol_times, word_times
from audiornn.model_file import ModelCard, frames_lasting
from audiornn.vocabulary import BLANK, NO_LABEL, is_background

__all__ = [
    "LINGER",
    "WORD_GAP",
    "CtcScorer",
    "Decision",
    "KeywordScorer",
    "LabelScorer",
    "Scores",
    "SpotDecider",
    "SpotSettings",
    "Spotter",
    "check_keywords",
    "default_keywords",
    "moving_mean",
    "scorer_of",
    "settings_of",
    "spot_of",
]

#: Seconds without any symbol after which a character model's word is over although no space came. In AN4's 1,953 pairs
#: of neighbouring letters of a word, by greedy decoding, 99.9 % lie at most 0.21 s apart, and one pair 0.36 s.
WORD_GAP = 0.3
#: Seconds for which a keyword that need not be a whole word has just been said. More, and the same word said twice is
#: one; none, and a last symbol that may be in one frame or in the next counts half.
LINGER = 0.06
_LABELLING = ("label", "classify")  # tasks whose labels are keywords as they are

Floats = NDArray[np.float64]
LogProbs = NDArray[np.float32]


class Scores(NamedTuple):
    """What a scorer says of some frames, (frames, keywords) each.

    Attributes:
        values: how probable it is that the keyword has just been said, 0…1.
        first: the output frame in which it began, if it was.
        last: the output frame in which it ended.
    """

    values: NDArray[np.float32]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class KeywordScorer(Protocol):
    """Log-probabilities in, scores out, a row a frame; the blocks make no difference."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """The columns of the scores."""

    def push(self, log_probs: LogProbs) -> Scores:
        """Take frames (output frames, symbols), any number."""

    def finish(self) -> Scores:
        """Say that the recording ends here; the scores of what that settles, in frames of silence after it."""


@dataclass(frozen=True)
class SpotSettings:
    """When scores become a hit. The model file carries it.

    A hit begins when the smoothed score reaches `onset`, and is told once: when the score falls below `offset`, or
    `settle` seconds after the onset, whichever comes first, with the highest score until then. The next one of the
    same keyword cannot come before the score has been below `offset`.

    Attributes:
        smoothing: seconds of which the score is the mean, those just past. CTC's scores need none.
        onset: the score from which it is a hit, in 0…1.
        offset: the score below which it is over, at most `onset`.
        refractory: seconds after a hit was told in which no other of the same keyword begins.
        least_duration: seconds that the score stays at `offset` or above from the onset on, at least.
        settle: seconds from the onset to when a hit is told, at most; no less than `least_duration`.
        thresholds: onset and offset of single keywords, by their name.
    """

    smoothing: float = 0.0
    onset: float = 0.5
    offset: float = 0.25
    refractory: float = 0.0
    least_duration: float = 0.0
    settle: float = 0.1
    thresholds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("smoothing", "refractory", "least_duration", "settle"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 60:
                raise SettingsError(f"spotting.{name} = {value!r} must be seconds in 0…60")
        if self.settle < self.least_duration:
            raise SettingsError(
                f"spotting.settle = {self.settle!r} must be at least least_duration = {self.least_duration!r}: "
                "a hit is not told before it has lasted"
            )
        for where, onset, offset in (
            ("", self.onset, self.offset),
            *((f".thresholds[{keyword!r}]", *pair) for keyword, pair in self.thresholds.items()),
        ):
            if not (_is_number(onset) and _is_number(offset) and 0 < offset <= onset <= 1):
                raise SettingsError(
                    f"spotting{where}: onset {onset!r} and offset {offset!r} must be numbers with "
                    "0 < offset ≤ onset ≤ 1"
                )

    def threshold(self, keyword: str) -> tuple[float, float]:
        """Onset and offset of a keyword."""
        return self.thresholds.get(keyword, (self.onset, self.offset))

    def with_onset(self, onset: float, keywords: str | Sequence[str]) -> SpotSettings:
        """The same with another onset for these keywords, and an offset as far below it as it was, in proportion."""
        pairs = {}
        for keyword in [keywords] if isinstance(keywords, str) else keywords:
            before = self.threshold(keyword)
            pairs[keyword] = (onset, min(onset, onset * before[1] / before[0]))  # which rounding may take above
        return SpotSettings(**{**self.to_json(), "thresholds": {**self.thresholds, **pairs}})

    def to_json(self) -> dict[str, Any]:
        """What a model file keeps of it."""
        entry = {f.name: getattr(self, f.name) for f in fields(self)}
        entry["thresholds"] = {keyword: list(pair) for keyword, pair in self.thresholds.items()}
        return entry

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> SpotSettings:
        """Read it again.

        Raises:
            SettingsError: a setting out of its range, or an unknown one.
        """
        known = {f.name for f in fields(cls)}
        for name in entry:
            if name not in known:
                raise SettingsError(f"spotting.{name} is no setting{nearest(name, known)}")
        try:
            pairs = {str(keyword): (pair[0], pair[1]) for keyword, pair in entry.get("thresholds", {}).items()}
        except (TypeError, AttributeError, IndexError, KeyError):
            raise SettingsError("spotting.thresholds must be an onset and an offset for each keyword") from None
        return cls(**{**entry, "thresholds": pairs})


def settings_of(card: ModelCard) -> SpotSettings:
    """A model's decision layer: what its file says, or the defaults of its task.

    Raises:
        ModelFileError: what it says is no decision layer.
    """
    defaults: dict[str, Any] = {}
    if card.task == "label":  # posteriors flicker from frame to frame, CTC's scores do not
        defaults = {"smoothing": 0.1, "refractory": 0.5, "least_duration": 0.05}
    if card.task == "classify":  # several windows hold the word, each a little elsewhere: together they know it best
        defaults = {"smoothing": 0.45, "refractory": 0.7, "settle": 0.0}
    try:
        return SpotSettings.from_json({**defaults, **card.spotting})
    except SettingsError as error:
        raise ModelFileError(f"the model file's decision layer cannot be read: {error}; tune it again") from None


def default_keywords(card: ModelCard) -> tuple[str, ...]:
    """What a model spots if nobody says: what it has thresholds for, or its labels but for background.

    Raises:
        SettingsError: it has neither.
    """
    named = tuple(settings_of(card).thresholds)
    if card.task in _LABELLING:
        meant = [label for label in card.vocabulary.symbols if label in named or not is_background(label)]
        return tuple(meant or [label for label in card.vocabulary.symbols if label != NO_LABEL])
    if not named and card.task == "transcribe":
        raise SettingsError(
            f"this model spots any word that its {len(card.vocabulary) - 1} {card.vocabulary.unit}s can spell: "
            "name one, --keyword WORD"
        )
    return named


def check_keywords(card: ModelCard, keywords: Sequence[str]) -> tuple[str, ...]:
    """Keywords by the rules of the model's vocabulary, each once.

    Raises:
        SettingsError: one that the model cannot spot, with the nearest that it can.
        ModelFileError: a model of values.
    """
    if card.task == "regress":
        raise ModelFileError("this model gives values over time, and has no words to spot")
    keywords = list(keywords) if isinstance(keywords, Iterable) and not isinstance(keywords, str) else [keywords]
    if other := [keyword for keyword in keywords if not isinstance(keyword, str)]:
        raise SettingsError(f"{other[0]!r} is no keyword: spot(source, ['yes'], sample_rate)")
    normalised = [card.vocabulary.normalise(keyword) for keyword in keywords]
    for keyword, given in zip(normalised, keywords, strict=True):
        if not keyword:
            raise SettingsError(f"the keyword {given!r} has no symbol")
        if card.task in _LABELLING:
            labels = [label for label in card.vocabulary.symbols if label != NO_LABEL]
            if keyword not in labels:
                raise SettingsError(
                    f"the model has no label {keyword!r}{nearest(keyword, labels)}; it spots {_listed(labels)}"
                )
        else:
            _check_spelling(card, keyword)
    return tuple(dict.fromkeys(normalised))


def scorer_of(card: ModelCard, keywords: Sequence[str], *, inside_words: bool = False) -> KeywordScorer:
    """The scorer that a model's task wants.

    Args:
        card: the model's.
        keywords: what to spot.
        inside_words: of a character model, whether a keyword may be a part of a longer word.

    Raises:
        SettingsError: no keyword, or one that the model cannot spot, with the nearest that it can.
        ModelFileError: a model of values.
    """
    keywords = check_keywords(card, keywords)
    if not keywords:
        raise SettingsError("there is no keyword to spot")
    if inside_words and (card.task != "transcribe" or card.vocabulary.unit != "character"):
        raise SettingsError("a keyword can be inside a longer word only for a model that spells words in characters")
    if card.task in _LABELLING:
        return LabelScorer(card, keywords)
    return CtcScorer(card, keywords, inside_words=inside_words)


class LabelScorer:
    """A label's posterior is the score of its keyword; arguments are those of `scorer_of`."""

    def __init__(self, card: ModelCard, keywords: Sequence[str]) -> None:
        self.keywords = tuple(keywords)
        self._ids = [card.vocabulary.symbols.index(keyword) for keyword in keywords]
        self._n_frames = 0

    def push(self, log_probs: LogProbs) -> Scores:
        """Take frames (output frames, symbols), any number."""
        frames = np.arange(self._n_frames, self._n_frames + len(log_probs))
        self._n_frames += len(log_probs)
        values = np.minimum(np.exp(log_probs[:, self._ids]), np.float32(1))
        where = np.repeat(frames[:, None], len(self._ids), axis=1)
        return Scores(values, where, where)

    def finish(self) -> Scores:
        """Nothing is settled by the end."""
        return self.push(np.empty((0, max(self._ids) + 1), np.float32))


class CtcScorer:
    """The probability that the last thing said is the keyword, of all paths through CTC's outputs.

    Of a path, repeats merged and blanks dropped (B of Graves et al. 2006), let the last n symbols be the keyword's n.
    The probability of all such paths up to a frame is a sum over where the keyword begins and over its alignments, and
    follows from that of the frame before, in 2n − 1 states: the symbols, and a blank between each two. The score is its
    n-th root, so that long keywords are not held to more than short ones.

    A character model's keyword is a whole word unless `inside_words`: before it and after it there is a space, or no
    symbol for `WORD_GAP` seconds, or the recording's end; between its own letters there may be pauses of any length. A
    word is known to be over by then only, and its score stays until the next symbol is said. Of phones and of words the
    score is there as soon as the keyword is, and stays for `LINGER` seconds of blanks.

    Of a word that a lexicon has several pronunciations for, the likeliest counts.

    The cost does not depend on the size of the vocabulary: 22 µs a frame for one keyword, 30 µs for ten.
    """

    def __init__(self, card: ModelCard, keywords: Sequence[str], *, inside_words: bool = False) -> None:
        self.keywords = tuple(keywords)
        self._whole_words = not inside_words and card.vocabulary.unit == "character"
        self._space = card.vocabulary.symbols.index(" ") if " " in card.vocabulary.symbols else None
        ways = [card.vocabulary.spell(keyword) for keyword in self.keywords]
        spelled = list(itertools.chain.from_iterable(ways))
        #: The rows of each keyword, one for each way to say it.
        self._rows = np.split(np.arange(len(spelled)), np.cumsum([len(own) for own in ways])[:-1])
        n_rows, n_states = len(spelled), max(2 * len(ids) - 1 for ids in spelled)
        # They end in the same column; a shorter one begins later, and what lies before that is never entered.
        self._ids = np.zeros((n_rows, n_states), np.int64)  # the blank's wherever no symbol is
        self._begins = np.zeros((n_rows, n_states))  # 1 in a row's first state
        self._skips = np.zeros((n_rows, n_states))  # 1 where a symbol may follow another without a blank between
        for row, ids in enumerate(spelled):
            begin = n_states - 2 * len(ids) + 1
            self._ids[row, begin::2] = ids
            self._begins[row, begin] = 1
            self._skips[row, begin + 2 :: 2] = [a != b for a, b in zip(ids[1:], ids, strict=False)]
        self._first_ids = np.array([ids[0] for ids in spelled])
        self._roots = np.array([1 / len(ids) for ids in spelled])
        # Probabilities, and the same times the frame in which the keyword began: their ratio is where it did.
        self._states = np.zeros((2, n_rows, n_states))
        # The same, and times the frame of its last symbol: in the frame before; when only blanks have followed …
        self._done, self._trailing = np.zeros((3, n_rows)), np.zeros((3, n_rows))
        # … and when its word is over, and no other has begun.
        self._over = np.zeros((3, n_rows))
        gap = WORD_GAP if self._whole_words else LINGER
        self._n_gap = max(1, math.ceil(gap / card.output_seconds - 1e-6))
        self._between = 1.0  # words: the probability that no word is being said
        self._before = np.zeros(n_rows)  # of the first symbols, in the frame before
        # Of the last frames of a gap: the blank's probability, any letter's, and the keyword's last symbol there.
        self._gap: deque[tuple[float, float, Floats]] = deque()
        self._n_frames = 0
        self._n_symbols = len(card.vocabulary)

    def push(self, log_probs: LogProbs) -> Scores:
        """Take frames (output frames, symbols), any number."""
        p = np.exp(log_probs.astype(np.float64))
        emissions, first_symbols = p[:, self._ids], p[:, self._first_ids]
        found = np.empty((len(p), 3, len(self._ids)))
        if self._whole_words:
            spaces = p[:, self._space] if self._space is not None else np.zeros(len(p))
            for t, (blank, space) in enumerate(zip(p[:, 0].tolist(), spaces.tolist(), strict=True)):
                found[t] = self._step_of_words(emissions[t], blank, space)
        else:
            for t, blank in enumerate(p[:, 0].tolist()):
                found[t] = self._step(emissions[t], blank, first_symbols[t])
        values = np.minimum(found[:, 0], 1.0) ** self._roots
        some = np.maximum(found[:, 0], 1e-300)
        first, last = (np.rint(found[:, i] / some).astype(np.int64) for i in (1, 2))
        scores = Scores(values.astype(np.float32), first, last)
        return scores if len(self._ids) == len(self.keywords) else self._likeliest(scores)

    def finish(self) -> Scores:
        """The recording's end is a gap: a word that it cuts off is over then."""
        silence = np.full((self._n_gap if self._whole_words else 0, self._n_symbols), -np.inf, np.float32)
        silence[:, 0] = 0
        return self.push(silence)

    def _likeliest(self, scores: Scores) -> Scores:
        """Of each keyword the way to say it that is likeliest in a frame."""
        frames = np.arange(len(scores.values))[:, None]
        best = np.stack([rows[scores.values[:, rows].argmax(axis=1)] for rows in self._rows], axis=1)
        return Scores(*(of_rows[frames, best] for of_rows in scores))

    def _enter(self, emissions: Floats, entry: Floats | float) -> None:
        """Go on by a frame; `entry` is the probability that a keyword may begin in it."""
        states = self._states
        moved = states.copy()
        moved[:, :, 1:] += states[:, :, :-1]
        moved[:, :, 2:] += states[:, :, :-2] * self._skips[:, 2:]
        begun = self._begins * entry
        moved[0] += begun
        moved[1] += begun * self._n_frames
        moved *= emissions
        self._states = moved
        self._done = done = np.empty_like(self._done)
        done[:2] = moved[:, :, -1]
        done[2] = done[0] * self._n_frames
        self._n_frames += 1

    def _step(self, emissions: Floats, blank: float, first_symbols: Floats) -> Floats:
        """A keyword of any symbols: it begins where its first symbol was not there in the frame before."""
        self._trailing = (self._trailing + self._done) * blank
        self._enter(emissions, (1 - self._before)[:, None])
        self._before = first_symbols
        self._gap.append((blank, 0.0, self._done))
        if len(self._gap) > self._n_gap:
            _, _, done_then = self._gap.popleft()
            self._trailing = np.maximum(self._trailing - done_then * math.prod(entry[0] for entry in self._gap), 0)
        found: Floats = self._trailing + self._done
        return found

    def _step_of_words(self, emissions: Floats, blank: float, space: float) -> Floats:
        """A whole word."""
        trailing = self._trailing + self._done
        over = self._over * (blank + space) + trailing * space
        trailing *= blank
        self._enter(emissions, self._between)
        between = self._between * (blank + space) + (1 - self._between) * space
        self._gap.append((blank, max(0.0, 1.0 - blank - space), self._done))
        if len(self._gap) > self._n_gap:
            _, letter_then, done_then = self._gap.popleft()
            gap = math.prod(entry[0] for entry in self._gap)
            between += letter_then * gap
            if gap > 1e-12:
                paused = done_then * gap
                over += paused
                trailing = np.maximum(trailing - paused, 0)
        self._between, self._trailing, self._over = min(between, 1.0), trailing, over
        return over


class Decision(NamedTuple):
    """A hit in output frames: which keyword, from where to where, how sure, and the frame in which it was told."""

    keyword: str
    first: int
    last: int
    score: float
    told: int


class _Run:
    """Frames in which a keyword's score has been at its offset or above."""

    def __init__(self, frame: int) -> None:
        self.begin = frame
        self.onset: int | None = None
        self.told = False
        self.score, self.first, self.last = -1.0, frame, frame


class SpotDecider:
    """Scores in, decisions out, each as soon as `SpotSettings` lets it; the blocks make no difference.

    Args:
        settings: the decision layer.
        keywords: the columns of the scores.
        output_seconds: from a frame to the next.
    """

    def __init__(self, settings: SpotSettings, keywords: Sequence[str], output_seconds: float) -> None:
        self._keywords = tuple(keywords)
        self._thresholds = [settings.threshold(keyword) for keyword in self._keywords]

        def frames(seconds: float) -> int:
            return frames_lasting(seconds, output_seconds)

        self._window = max(1, frames(settings.smoothing))
        self._refractory = frames(settings.refractory)
        self._least, self._settle = max(1, frames(settings.least_duration)), max(1, frames(settings.settle))
        self._past = np.zeros((self._window - 1, len(self._keywords)))
        self._runs: list[_Run | None] = [None] * len(self._keywords)
        self._free = [0] * len(self._keywords)  # the frame from which a keyword may be told again
        self._n_frames = 0

    @property
    def latency(self) -> int:
        """Frames from an onset to when it is told, at most."""
        return self._settle - 1

    def push(self, scores: Scores) -> list[Decision]:
        """Take the next frames' scores; returns what is decided now, in order."""
        n = len(scores.values)
        values = self._smoothed(scores.values)
        decided: list[Decision] = []
        for k, (_, offset) in enumerate(self._thresholds):
            above = np.flatnonzero(values[:, k] >= offset)
            if not len(above) and self._runs[k] is None:
                continue  # as it mostly is
            before = -1
            for t in above.tolist():
                if t != before + 1:
                    decided += self._end(k, self._n_frames + before + 1)
                decided += self._go_on(k, t, values[t, k], scores)
                before = t
            if before != n - 1:
                decided += self._end(k, self._n_frames + before + 1)
        self._n_frames += n
        return sorted(decided, key=lambda decision: decision.told)

    def finish(self) -> list[Decision]:
        """Say that no frames follow; returns what was being decided."""
        decided = [decision for k in range(len(self._keywords)) for decision in self._end(k, self._n_frames)]
        return sorted(decided, key=lambda decision: decision.told)

    def _smoothed(self, values: NDArray[np.float32]) -> Floats:
        """The mean of each frame and those before it; they are added in the same order whatever the blocks."""
        if self._window == 1:
            return values.astype(np.float64)
        known = np.concatenate([self._past, values])
        self._past = known[len(known) - self._window + 1 :]
        total = np.zeros(values.shape)
        for i in range(self._window):
            total += known[i : i + len(values)]
        return total / self._window

    def _go_on(self, k: int, t: int, value: float, scores: Scores) -> list[Decision]:
        frame = self._n_frames + t
        run = self._runs[k]
        if run is None:
            run = self._runs[k] = _Run(frame)
        if run.told:
            return []
        if run.onset is None and value >= self._thresholds[k][0] and frame >= self._free[k]:
            run.onset = frame
        if run.onset is None:
            return []
        if value > run.score:
            run.score, run.last = float(value), int(scores.last[t, k])
            run.first = min(run.begin, int(scores.first[t, k]))
        return self._tell(k, run, frame) if frame - run.onset + 1 >= self._settle else []

    def _end(self, k: int, frame: int) -> list[Decision]:
        """The frame is the first after a run."""
        run, self._runs[k] = self._runs[k], None
        if run is None or run.told or run.onset is None or frame - run.onset < self._least:
            return []
        return self._tell(k, run, frame)

    def _tell(self, k: int, run: _Run, frame: int) -> list[Decision]:
        run.told = True
        self._free[k] = frame + self._refractory
        return [Decision(self._keywords[k], run.first, max(run.first, run.last), round(run.score, 6), frame)]


def moving_mean(values: NDArray[np.float32], seconds: float, output_seconds: float) -> Floats:
    """The mean of each frame's values and those just before it, (frames, columns): what a `SpotDecider` decides on."""
    n = max(1, frames_lasting(seconds, output_seconds))
    padded = np.concatenate([np.zeros((n, values.shape[1])), values.astype(np.float64)])
    sums = np.cumsum(padded, axis=0)
    return np.maximum(0.0, (sums[n:] - sums[:-n]) / n)


class Spotter:
    """Log-probabilities in, hits in seconds out, each as soon as it is decided."""

    def __init__(self, card: ModelCard, scorer: KeywordScorer, settings: SpotSettings) -> None:
        for keyword in settings.thresholds if card.task in _LABELLING else ():
            if keyword not in card.vocabulary.symbols:
                known = [label for label in card.vocabulary.symbols if label != NO_LABEL]
                raise SettingsError(
                    f"spotting.thresholds: the model has no label {keyword!r}{nearest(keyword, known)}; "
                    f"it spots {_listed(known)}"
                )
        self._card, self._scorer = card, scorer
        self._decider = SpotDecider(settings, scorer.keywords, card.output_seconds)
        self._duration = math.inf

    def push(self, log_probs: LogProbs) -> list[KeywordSpot]:
        """Take frames (output frames, symbols), any number."""
        if not len(log_probs):
            return []
        decided = self._decider.push(self._scorer.push(log_probs))
        return [spot_of(self._card, decision, self._duration) for decision in decided]

    def ends(self, duration: float) -> None:
        """Say that the samples end here, after so many seconds, and that the frames of their end come next."""
        self._duration = duration

    def finish(self, duration: float) -> list[KeywordSpot]:
        """Say that the recording ends here, after so many seconds; returns the last hits."""
        decided = self._decider.push(self._scorer.finish()) + self._decider.finish()
        return [spot_of(self._card, decision, duration) for decision in decided]


def spot_of(card: ModelCard, decision: Decision, duration: float = math.inf) -> KeywordSpot:
    """A decision in seconds: CTC's symbols moved to where the word is, a label's frames as they are.

    A classifier knows a word before the middle of its window has come to it. Its score rises a quarter of a window
    before the word, and the hit stands half a window before the word's end: medians over dev of Speech Commands.
    """
    shown = DecodedSymbol(0, decision.first, decision.last, decision.score)
    if card.task in _LABELLING:
        start, end = symbol_times(card, shown)
        if card.task == "classify":
            heard = decision.told * card.output_seconds + card.window_seconds / 2
            start, end = start + card.window_seconds / 4, min(heard, end + card.window_seconds / 2)
        end = min(duration, end)
        start, end = round(min(max(0.0, start), end), 6), round(end, 6)
    else:
        ((start, end),) = word_times(card, [[shown]], duration)
    return KeywordSpot(decision.keyword, start, end, decision.score)


def _check_spelling(card: ModelCard, keyword: str) -> None:
    """Raise a SettingsError that names what the model can spell instead."""
    vocabulary = card.vocabulary
    try:
        vocabulary.spell(keyword)
        return
    except CorpusError as error:
        unknown = error
    for other in (keyword.upper(), keyword.lower(), keyword.title()):
        try:
            vocabulary.encode(other)
        except CorpusError:
            continue
        raise SettingsError(f"the model cannot spell {keyword!r}; it writes {other!r}") from None
    if vocabulary.unit == "character":
        written = min(
            (keyword, keyword.upper(), keyword.lower()), key=lambda word: len(set(word) - {*vocabulary.symbols})
        )
        missing = [c for c in dict.fromkeys(written) if c not in vocabulary.symbols]
        plain = "".join(c for c in unicodedata.normalize("NFD", written) if not unicodedata.combining(c))
        can = f"; it writes {plain!r}" if plain != written and not set(plain) - {*vocabulary.symbols} else ""
        known = "".join(sorted(s for s in vocabulary.symbols if s != BLANK and not s.isspace()))
        raise SettingsError(
            f"the model cannot spell {keyword!r}: it has no {_listed([repr(c) for c in missing])}, only {known}{can}"
        ) from None
    if vocabulary.unit == "phone":
        why = str(unknown).removesuffix("; add a line with its phones")  # which no listener can
        phones = f"a keyword may be phones itself: {' '.join(vocabulary.symbols[1:4])!r}"
        raise SettingsError(f"the model cannot say {keyword!r}: {why}; {phones}") from None
    words = [word for word in keyword.split() if word not in vocabulary.symbols]
    known_words = [symbol for symbol in vocabulary.symbols if symbol != BLANK]
    near = difflib.get_close_matches(words[0], known_words, n=3, cutoff=0.3) or known_words[:5]
    raise SettingsError(
        f"the model does not know the word {words[0]!r}; the nearest of its {len(known_words)}: {_listed(near)}"
    ) from None


def _listed(names: Sequence[str], n: int = 20) -> str:
    return ", ".join(names[:n]) + (f", … ({len(names)} in all)" if len(names) > n else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
