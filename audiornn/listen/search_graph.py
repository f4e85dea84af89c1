"""What a beam search knows besides the network's output: settings, a lexicon as a tree, a language model, hot words.

Made once for a model and read by all its searches; nothing in it changes, but for caches.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import CorpusError, SettingsError, check_choices, nearest
from audiornn.listen.language_model import UNKNOWN, LanguageModel, State
from audiornn.vocabulary import Vocabulary

__all__ = ["DecodingSettings", "Lexicon", "PhraseAutomaton", "SearchGraph", "WordGains", "spell_words"]

_MOST_HYPOTHESES = 100_000  # room is made for all of them before the search begins
#: A lexicon: of each word the ways to say it, as symbol ids.
Lexicon = Mapping[str, Sequence[tuple[int, ...]]]


@dataclass(frozen=True)
class DecodingSettings:
    """How log-probabilities become text. The defaults are those of a model that nothing was tuned for.

    Attributes:
        decoder: "greedy" takes the best symbol of each frame; "beam" the most probable text, by prefix beam search.
        beam_size: hypotheses that are kept after a frame, at most; up to 100,000.
        beam_threshold: nats by which a hypothesis may be worse than the best and still be kept.
        symbol_threshold: the log-probability below which a symbol is not looked at in a frame; the frame's best always
            is, and the blank. Frames where nothing but the blank is left cost next to nothing.
        lm_weight: exponent of the language model's probability; 0 leaves it out.
        word_bonus: nats a word, against a language model's liking for few of them.
        unknown_word: nats off for a word that the language model of an open vocabulary does not know, besides what
            `<unk>` costs.
        words: "open" reads any word that can be spelled, "closed" only those of the lexicon (phones always, if there is
            a language model), or the language model's where symbols are words. Phones that are read so become words.
        horizon_frames: output frames after which the best hypothesis decides: others must share what it read before.
    """

    decoder: Literal["greedy", "beam"] = "greedy"
    beam_size: int = 50
    beam_threshold: float = 12.0
    symbol_threshold: float = -6.0
    lm_weight: float = 0.5
    word_bonus: float = 0.0
    unknown_word: float = 5.0
    words: Literal["open", "closed"] = "open"
    horizon_frames: int = 500

    def __post_init__(self) -> None:
        check_choices("decoding", self)
        finite = math.isfinite
        rules = {
            "beam_size": (1 <= self.beam_size <= _MOST_HYPOTHESES, f"in 1…{_MOST_HYPOTHESES:,}"),
            "beam_threshold": (self.beam_threshold > 0, "above 0"),
            "symbol_threshold": (self.symbol_threshold <= 0, "at most 0: the log of a probability"),
            "lm_weight": (self.lm_weight >= 0 and finite(self.lm_weight), "at least 0 and finite"),
            "word_bonus": (finite(self.word_bonus), "finite"),
            "unknown_word": (self.unknown_word >= 0 and finite(self.unknown_word), "at least 0 and finite"),
            "horizon_frames": (self.horizon_frames >= 1, "at least 1"),
        }
        for key, (holds, expected) in rules.items():
            if not holds:
                raise SettingsError(f"decoding.{key} = {getattr(self, key)!r} must be {expected}")


def spell_words(words: Iterable[str], vocabulary: Vocabulary) -> tuple[dict[str, list[tuple[int, ...]]], list[str]]:
    """A lexicon of words: their letters, or the phones that the vocabulary's own lexicon has for them.

    Returns:
        The lexicon, and the words that the vocabulary cannot spell.
    """
    lexicon: dict[str, list[tuple[int, ...]]] = {}
    unspelled = []
    for word in words:
        try:
            lexicon[word] = [tuple(way) for way in vocabulary.spellings(word)]
        except CorpusError:
            unspelled.append(word)
    return lexicon, unspelled


class SearchGraph:
    """A vocabulary with its lexicon, language model, hot words and settings, in the tables a search reads.

    Attributes:
        vocabulary: of the network's output; id 0 is the blank.
        settings: of the search.
        language_model: None where there is none, or its weight is 0.
        space: the id of the symbol that parts words, -1 where there is none.
        words: by their number; the lexicon's, or the symbols where those are words.
        arcs: (nodes, symbols) the lexicon as a tree: the node a symbol leads to, -1 where none; node 0 is the root, and
            letters lead back to it by the space after a word. Where the vocabulary is open, the last node is outside:
            whatever is spelled there is an unknown word.
        open: whether unknown words may be read.
        endings: (nodes, most homophones) the words that end at a node, -1 where none.
        branches: (nodes,) whether a longer word goes on from there.
        outlook: (nodes,) nats of the likeliest word below: a word is weighed before its end, so that the search does
            not keep the wrong beginnings.
        hot: over the network's symbols, or over words where a symbol is a phone of a lexicon.
        readable: (symbols,) which symbols may be read at all.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        settings: DecodingSettings | None = None,
        *,
        language_model: LanguageModel | None = None,
        lexicon: Lexicon | None = None,
        hot_words: Mapping[str, float] | None = None,
    ) -> None:
        """Make the tables.

        Args:
            vocabulary: of a model that transcribes.
            settings: of the search; the defaults if None.
            language_model: over words.
            lexicon: the only words that may be read; None reads any that can be spelled.
            hot_words: words or phrases, and the nats each gains where it is read.

        Raises:
            SettingsError: an empty lexicon, or settings that do not fit the vocabulary's unit.
            CorpusError: a hot word that cannot be spelled.
        """
        self.vocabulary = vocabulary
        self.settings = settings or DecodingSettings(decoder="beam")
        self.language_model = language_model if self.settings.lm_weight else None
        self.unit = vocabulary.unit
        if vocabulary.unit == "phone" and lexicon is None and language_model is not None:
            raise SettingsError("a language model over words needs a lexicon where the network gives phones")
        characters = vocabulary.unit == "character"
        self.space = vocabulary.symbols.index(" ") if characters and " " in vocabulary.symbols else -1
        hot_words = {vocabulary.normalise(phrase): boost for phrase, boost in (hot_words or {}).items()}
        self.words: tuple[str, ...] = vocabulary.symbols if vocabulary.unit == "word" else ()
        self.arcs: NDArray[np.int32] | None = None
        self.open = characters and lexicon is None and self.language_model is not None
        if self.open and self.language_model is not None:
            lexicon, _ = spell_words(self.language_model.words, vocabulary)
        if lexicon is not None and vocabulary.unit != "word":  # a symbol that is a word needs no spelling
            if characters:
                hot = {word for phrase in hot_words for word in phrase.split()} - set(lexicon)
                lexicon = {**lexicon, **_spelled(sorted(hot), vocabulary)}
            self._plant(lexicon)
        self.readable = np.ones(len(vocabulary), bool)
        if vocabulary.unit == "word" and self.settings.words == "closed" and language_model is not None:
            said = {word for phrase in hot_words for word in phrase.split()}
            self.readable[1:] = [word in language_model or word in said for word in self.words[1:]]
        self.ends_in_arcs = self.arcs is not None and not characters
        self.hot = self._hot(hot_words)
        #: (symbols,) Nats that a text can gain by each symbol, beside its paths, at most.
        self.most_gain = np.zeros(len(vocabulary))
        word = self.settings.word_bonus
        if self.arcs is not None:
            word += float(self.outlook[0] - self.outlook.min())  # and inside a word the outlook never gets better
        if self.space >= 0:
            self.most_gain[self.space] = max(0.0, word)
        else:
            self.most_gain[:] = max(0.0, word)
        if self.hot is not None:
            self.most_gain += max(0.0, float(self.hot.gain.max()))

    def _plant(self, lexicon: Lexicon) -> None:
        """The lexicon as a tree."""
        self.words = tuple(lexicon)
        children: dict[tuple[int, int], int] = {}
        endings: list[list[int]] = [[]]
        parents = [0]
        for number, word in enumerate(self.words):
            for spelling in lexicon[word]:
                node = 0
                for symbol in spelling:
                    child = children.setdefault((node, symbol), len(parents))
                    if child == len(parents):
                        parents.append(node)
                        endings.append([])
                    node = child
                if node and number not in endings[node]:
                    endings[node].append(number)
        if not children and not self.open:
            raise SettingsError("the lexicon holds no word that the model's vocabulary can spell")
        outside = len(parents) if self.open else -1
        if self.open:
            parents.append(0)
            endings.append([])
        self.arcs = np.full((len(parents), len(self.vocabulary)), outside, np.int32)
        for (node, symbol), child in children.items():
            self.arcs[node, symbol] = child
        self.branches: NDArray[np.bool_] = np.any(self.arcs >= 0, axis=1)
        self.endings = np.full((len(parents), max(1, *map(len, endings))), -1, np.int32)
        for node, numbers in enumerate(endings):
            self.endings[node, : len(numbers)] = numbers
        if self.space >= 0:
            self.arcs[:, self.space] = 0 if self.open else np.where(self.endings[:, 0] >= 0, 0, -1)
        self.outlook = np.full(len(parents), self.word_gain((), -1)[0] if self.open else -np.inf)
        for node in range(len(parents) - 1, -1, -1):  # children have higher numbers than their parents
            own = [self.word_gain((), number)[0] for number in endings[node]]
            self.outlook[node] = max([self.outlook[node], *own])
            if node:
                self.outlook[parents[node]] = max(self.outlook[parents[node]], self.outlook[node])

    def word_gain(self, state: State, number: int) -> tuple[float, State]:
        """What a word gains after a state of the model, in nats, and the state after it; -1 is an unknown word."""
        gain = self.settings.word_bonus
        if self._is_unknown(number):
            gain -= self.settings.unknown_word
        if self.language_model is None:
            return gain, state
        score, after = self.language_model.score(state, self.words[number] if number >= 0 else UNKNOWN)
        return gain + self.settings.lm_weight * score, after

    def _is_unknown(self, number: int) -> bool:
        """Whether a word is none of the language model's; of letters, hot words count as known, too."""
        if self.language_model is None or self.settings.words == "closed":
            return False
        return number < 0 if self.unit != "word" else self.words[number] not in self.language_model

    def _hot(self, hot_words: Mapping[str, float]) -> PhraseAutomaton | None:
        patterns: dict[tuple[Hashable, ...], float] = {}
        for phrase, boost in hot_words.items():
            if not phrase:
                raise SettingsError("a hot word is empty; name a word, or WORD:BOOST")
            if not math.isfinite(boost):
                raise SettingsError(f"the boost of the hot word {phrase!r} must be finite, not {boost}")
            if self.ends_in_arcs:
                missing = [word for word in phrase.split() if word not in self.words]
                if missing:
                    raise CorpusError(
                        f"the hot word {missing[0]!r} is not in the lexicon{nearest(missing[0], self.words)}; "
                        "only words with a pronunciation can be heard"
                    )
                patterns[tuple(phrase.split())] = boost
            else:
                ends = [self.space] if self.space >= 0 else []
                for ids in self.vocabulary.spell(phrase):
                    pattern: tuple[Hashable, ...] = (*ends, *ids, *ends)
                    patterns[pattern] = boost
        if not patterns:
            return None
        alphabet: Sequence[Hashable] = self.words if self.ends_in_arcs else range(len(self.vocabulary))
        return PhraseAutomaton(patterns, alphabet, start=self.space if self.space >= 0 else None)


#: Answers that are kept, and gains: some 40 MB, however long a recording is. The model's states, a few words each,
#: all are.
_KEPT = 1 << 17
_KEPT_GAINS = 1 << 21
_FEW = 512  # symbols: of so many it is quicker to ask for all at once


class WordGains:
    """What words gain in one search, asked of the language model once and again where it was forgotten since.

    Its states go by numbers.

    Attributes:
        states: of the language model, by number.
        start: the number of the state before the first word.
    """

    def __init__(self, graph: SearchGraph) -> None:
        self._graph = graph
        self.states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._after: dict[tuple[int, int], tuple[float, int]] = {}
        self._rows: dict[int, NDArray[np.float64]] = {}
        self.start = self._number(graph.language_model.start if graph.language_model else ())

    def _number(self, state: State) -> int:
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
        return number

    def after(self, state: int, word: int) -> tuple[float, int]:
        """What a word gains after a state, in nats, and the state after it; -1 is an unknown word."""
        found = self._after.get((state, word))
        if found is None:
            gain, after = self._graph.word_gain(self.states[state], word)
            found = self._after[state, word] = gain, self._number(after)
        return found

    def of_symbols(self, states: Sequence[int], symbols: NDArray[np.int64]) -> NDArray[np.float64]:
        """What some symbols gain after each of some states, where symbols are words: (states, symbols)."""
        for state in states:
            if state not in self._rows:
                self._rows[state] = self._row(state)
        gains: NDArray[np.float64] = np.array([self._rows[state] for state in states])[:, symbols]
        if len(self._graph.vocabulary) > _FEW:
            for i, k in np.argwhere(np.isnan(gains)).tolist():
                gains[i, k] = self._rows[states[i]][symbols[k]] = self.after(states[i], int(symbols[k]))[0]
        return gains

    def _row(self, state: int) -> NDArray[np.float64]:
        """What each symbol gains after a state, the blank nothing; of many each is asked for when it is active."""
        n = len(self._graph.vocabulary)
        if n > _FEW:
            return np.full(n, np.nan)
        before = self.states[state]
        return np.array([0.0, *(self._graph.word_gain(before, word)[0] for word in range(1, n))])

    def forget_some(self) -> None:
        """Forget all answers where they have become many: they can be asked for again."""
        if len(self._after) > _KEPT or len(self._rows) * len(self._graph.vocabulary) > _KEPT_GAINS:
            self._after.clear()
            self._rows.clear()


class PhraseAutomaton:
    """Which hot words have been read, symbol by symbol (Aho and Corasick 1975).

    A phrase gains its boost by and by, in equal parts, so that the search keeps its beginning; what a beginning has
    gained is taken back where the text goes on otherwise. In the end a text has gained its boosts exactly.

    Attributes:
        start: the first state.
        next: (states, symbols) where a symbol leads.
        gain: (states, symbols) nats it gains.
        final: (states,) nats at the end of a text.
    """

    def __init__(
        self, patterns: Mapping[tuple[Hashable, ...], float], alphabet: Sequence[Hashable], *, start: Hashable | None
    ) -> None:
        """Build it; `start` is the symbol (a space) that stands unheard before and after every text."""
        self.index = {symbol: i for i, symbol in enumerate(alphabet)}
        children: list[dict[int, int]] = [{}]
        promise, boost = [0.0], [0.0]
        for pattern, gain in patterns.items():
            node = 0
            for depth, symbol in enumerate(pattern):
                promise[node] = max(promise[node], gain * depth / len(pattern))
                child = children[node].setdefault(self.index[symbol], len(children))
                if child == len(children):
                    children.append({})
                    promise.append(0.0)
                    boost.append(0.0)
                node = child
            boost[node] += gain
        n, width = len(children), len(alphabet)
        self.next = np.zeros((n, width), np.int32)
        fail, queue = [0] * n, deque([0])
        while queue:
            node = queue.popleft()
            if node:
                self.next[node] = self.next[fail[node]]
                promise[node] = max(promise[node], promise[fail[node]])
                boost[node] += boost[fail[node]]
            for symbol, child in children[node].items():
                fail[child] = int(self.next[node, symbol]) if node else 0
                self.next[node, symbol] = child
                queue.append(child)
        promises, boosts = np.array(promise), np.array(boost)
        self.gain = boosts[self.next] + promises[self.next] - promises[:, None]
        self.start = 0 if start is None else int(self.next[0, self.index[start]])
        self.final = promises[self.start] - promises
        #: The same where the last word is closed by the end of the text, not by a space that was heard.
        self.final_unclosed = self.final
        if start is not None:
            after = self.next[:, self.index[start]]
            self.final_unclosed = self.gain[:, self.index[start]] + self.final[after]


def _spelled(words: Sequence[str], vocabulary: Vocabulary) -> dict[str, list[tuple[int, ...]]]:
    return {word: [tuple(vocabulary.encode(word))] for word in words}
