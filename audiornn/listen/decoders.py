"""Which decoder reads a model's log-probabilities, and what it needs: the model file's own choice, or the user's."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiornn.errors import AudiornnError, ModelFileError, SettingsError
from audiornn.listen.beam_search import BeamSearch, DecodedWord, Hypothesis
from audiornn.listen.decoding import DecodedSymbol, GreedyDecoder
from audiornn.listen.language_model import LanguageModel, read_arpa
from audiornn.listen.search_graph import DecodingSettings, SearchGraph, spell_words
from audiornn.model_file import ModelCard
from audiornn.vocabulary import Vocabulary

__all__ = [
    "HOT_WORD_BOOST",
    "BeamDecoder",
    "Decoder",
    "Decoding",
    "choose_decoding",
    "decoder_maker",
    "decoding_of",
    "graph_of",
    "read_hot_word",
]

#: Nats a hot word gains if it does not say: enough to turn a doubt, too little to put it where nothing like it is said.
HOT_WORD_BOOST = 4.0


class Decoder(Protocol):
    """Log-probabilities in, symbols out, for one recording."""

    @property
    def words(self) -> tuple[str, ...] | None:
        """The lexicon's words that the ids number, where phones become words; None where ids are the network's."""

    @property
    def settled(self) -> int:
        """Frames whose symbols are all given; no later symbol begins before."""

    def push(self, log_probs: NDArray[np.float32]) -> list[DecodedSymbol]:
        """Take frames (frames, symbols), any number; returns the symbols that are now decided."""

    def finish(self) -> list[DecodedSymbol]:
        """Say that no frames follow; returns the last symbols."""


class BeamDecoder:
    """A beam search as a decoder. Phones that it searched for a lexicon's words it gives as these words.

    Attributes:
        words: those of the lexicon whose phones were searched for, by their ids; None where symbols are the network's.
        n_best: once it is finished, the best hypotheses of the whole recording, best first, if more than one was asked
            for; else empty.
    """

    def __init__(self, graph: SearchGraph, n_best: int = 1) -> None:
        self._search = BeamSearch(graph)
        self._n_best = n_best
        self._given: list[DecodedSymbol] = []  # what all hypotheses share; kept only for an n-best list
        self._given_words: list[DecodedWord] = []
        self.words = graph.words if graph.ends_in_arcs else None
        self.n_best: tuple[Hypothesis, ...] = ()

    @property
    def settled(self) -> int:
        """Frames whose symbols are all given; no later symbol begins before."""
        return self._search.settled if self.words is None else self._search.settled_words

    def push(self, log_probs: NDArray[np.float32]) -> list[DecodedSymbol]:
        """Take frames (frames, symbols), any number; returns the symbols that are now decided."""
        symbols = self._search.push(log_probs)
        words = self._search.take_words()
        symbols = self._symbols(symbols, words)
        if self._n_best > 1:
            self._given += symbols
            self._given_words += words
        return symbols

    def finish(self) -> list[DecodedSymbol]:
        """Say that no frames follow; returns the last symbols."""
        decoded = self._search.finish(self._n_best)
        if self._n_best > 1:
            self.n_best = tuple(
                replace(
                    h,
                    symbols=(*self._given, *self._symbols(h.symbols, h.words)),
                    words=(*self._given_words, *h.words),
                )
                for h in decoded.n_best
            )
        return self._symbols(decoded.symbols, decoded.words)

    def _symbols(self, symbols: Sequence[DecodedSymbol], words: Sequence[DecodedWord]) -> list[DecodedSymbol]:
        """The network's symbols, or the words that they are the phones of."""
        if self.words is None:
            return list(symbols)
        return [DecodedSymbol(word.id, word.first, word.last, word.posterior) for word in words]


@dataclass(frozen=True)
class Decoding:
    """How a model's log-probabilities become text.

    Attributes:
        settings: the decoder and its numbers.
        language_model: over words, or None.
        hot_words: phrases, and the nats each gains; never kept in a model file.
        n_best: hypotheses a recording.
    """

    settings: DecodingSettings = field(default_factory=DecodingSettings)
    language_model: LanguageModel | None = None
    hot_words: Mapping[str, float] = field(default_factory=dict)
    n_best: int = 1

    def to_json(self) -> dict[str, Any]:
        """What `ModelCard.decoding` holds: the settings, and the language model's ARPA text, packed (zlib, base85)."""
        if self.settings.decoder == "greedy":
            return {}
        entry = asdict(self.settings)
        if self.language_model is not None:
            packed = zlib.compress(self.language_model.to_arpa().encode(), 9)
            entry["language_model"] = base64.b85encode(packed).decode()
        return entry


def decoding_of(card: ModelCard) -> Decoding:
    """The decoding that a model file asks for; greedy where it says nothing.

    Raises:
        ModelFileError: what it says cannot be read.
    """
    entry = dict(card.decoding)
    packed = entry.pop("language_model", None)
    try:
        model = None
        if packed is not None:
            text = zlib.decompress(base64.b85decode(packed)).decode()
            model = LanguageModel.from_arpa(text, "the model file's language model")
        return Decoding(DecodingSettings(**entry), model)
    except (TypeError, ValueError, zlib.error, binascii.Error, AudiornnError) as error:
        raise ModelFileError(
            f"the model file's decoding cannot be read ({error}); tune it again with `audiornn evaluate --tune`"
        ) from None


def choose_decoding(
    card: ModelCard,
    *,
    greedy: bool = False,
    beam: int | None = None,
    lm: str | Path | None = None,
    lm_weight: float | None = None,
    word_bonus: float | None = None,
    words: str | None = None,
    hot_words: str | Sequence[str] | Mapping[str, float] = (),
    n_best: int = 1,
) -> Decoding:
    """The model file's decoding, but for what the command line asks for; what takes a beam search asks for one.

    Args:
        card: of the model.
        greedy: the best path, whatever was tuned.
        beam: hypotheses a frame.
        lm: a language model in the ARPA format.
        lm_weight: its weight.
        word_bonus: nats a word.
        words: "open" or "closed".
        hot_words: each WORD or WORD:BOOST, or words with their boosts in nats.
        n_best: hypotheses a recording.

    Raises:
        SettingsError: options that contradict each other, or do not fit the model.
        CorpusError: the language model cannot be read.
    """
    chosen = {"beam_size": beam, "lm_weight": lm_weight, "word_bonus": word_bonus, "words": words}
    changes: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
    searches = bool(changes or hot_words or lm is not None or n_best > 1)
    if greedy and searches:
        raise SettingsError("--greedy takes the best path alone; leave out the options of the beam search, or --greedy")
    if (greedy or searches) and card.task != "transcribe":
        raise SettingsError(f"this model's task is {card.task!r}; only one that transcribes has a decoder to choose")
    if n_best < 1:
        raise SettingsError(f"--n-best {n_best} must be at least 1")
    decoding = Decoding() if greedy else decoding_of(card)
    if not searches:
        return decoding
    if lm is not None:
        decoding = replace(decoding, language_model=read_arpa(Path(lm)))
        _check_spelling(card.vocabulary, decoding.language_model, Path(lm))
    if decoding.language_model is None:
        if lm_weight is not None:
            raise SettingsError(
                "--lm-weight weighs a language model, and the model file holds none; name one with --lm"
            )
        if words == "closed" and card.vocabulary.unit == "character":
            raise SettingsError("a closed vocabulary is that of a language model; name one with --lm FILE.arpa")
    settings = replace(decoding.settings, decoder="beam", **changes)
    if isinstance(hot_words, Mapping):
        hot_words = [f"{word}:{boost}" for word, boost in hot_words.items()]
    boosts = dict(map(read_hot_word, [hot_words] if isinstance(hot_words, str) else hot_words))
    return replace(decoding, settings=settings, hot_words=boosts, n_best=n_best)


def _check_spelling(vocabulary: Vocabulary, model: LanguageModel | None, path: Path) -> None:
    """Raise a SettingsError for a language model none of whose words the model can write."""
    words = () if model is None else model.words
    if not words or any(spell_words([word], vocabulary)[0] for word in words):
        return
    spelled = (other for word in words for other in (word.upper(), word.lower()) if spell_words([other], vocabulary)[0])
    like = next((f"; the model writes {other!r}: change the case of all words" for other in spelled), "")
    raise SettingsError(f"{path}: the model can spell none of its {len(words):,} words ({words[0]!r} …){like}")


def read_hot_word(text: str) -> tuple[str, float]:
    """WORD or WORD:BOOST, as the command line takes it; a word may be a phrase.

    Raises:
        SettingsError: no word, or a boost that is not a finite number.
    """
    word, colon, boost = text.rpartition(":")
    if not colon:
        word, boost = text, str(HOT_WORD_BOOST)
    try:
        value = float(boost)
    except ValueError:
        value = math.nan
    if not word.strip() or not math.isfinite(value):
        raise SettingsError(
            f"--hot-word {text!r} is not WORD or WORD:BOOST, the boost in nats, e.g. YES:{HOT_WORD_BOOST:g}"
        )
    return word, value


def graph_of(vocabulary: Vocabulary, decoding: Decoding) -> SearchGraph:
    """The tables of a beam search; a closed vocabulary is the language model's words, of phones those in the lexicon.

    Raises:
        SettingsError: settings that do not fit the vocabulary.
        CorpusError: a hot word that cannot be spelled.
    """
    settings, model = decoding.settings, decoding.language_model
    lexicon = None
    if vocabulary.unit == "phone" and vocabulary.lexicon and (model is not None or settings.words == "closed"):
        known = vocabulary.lexicon if model is None else [word for word in model.words if word in vocabulary.lexicon]
        hot = [word for phrase in decoding.hot_words for word in phrase.split() if word in vocabulary.lexicon]
        lexicon, _ = spell_words(dict.fromkeys([*known, *hot]), vocabulary)
    elif vocabulary.unit == "character" and settings.words == "closed" and model is not None:
        lexicon, _ = spell_words(model.words, vocabulary)
    return SearchGraph(vocabulary, settings, language_model=model, lexicon=lexicon, hot_words=decoding.hot_words)


def decoder_maker(card: ModelCard, decoding: Decoding | None = None) -> Callable[[], Decoder]:
    """A function that makes a decoder for each recording; what they share is made once, here.

    Args:
        card: of a model that transcribes.
        decoding: instead of the model file's own.

    Raises:
        ModelFileError: the model file's decoding cannot be read.
        SettingsError: a decoding that does not fit the model.
    """
    chosen = decoding_of(card) if decoding is None else decoding
    if chosen.settings.decoder == "greedy":
        return lambda: GreedyDecoder()
    graph = graph_of(card.vocabulary, chosen)
    return lambda: BeamDecoder(graph, chosen.n_best)
