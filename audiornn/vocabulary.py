"""The vocabulary: symbols and their ids, and the rules that turn a transcript into symbols."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from audiornn.errors import CorpusError, SettingsError, check_choices, nearest
from audiornn.text import apply_rules, text_changes

__all__ = ["BLANK", "NO_LABEL", "Vocabulary", "VocabularySettings", "ctc_length", "is_background"]

#: The CTC blank, always id 0 of a vocabulary that has one.
BLANK = "<blank>"

#: The label of a stretch where none of the labels holds.
NO_LABEL = "_none_"

_BACKGROUND = re.compile(
    r"^_|background|noise|silence|unknown|^others?$|^negatives?$|^not[_\- ]|^no[nt]?[_\- ]?wake", re.I
)

_MOST_WAYS = 64  # to say a phrase: of six words that each have two

Unit = Literal["character", "word", "phone", "label", "track"]


def is_background(label: str) -> bool:
    """Whether a label stands, by its name, for all that is not meant: noise, silence, other speech."""
    return _BACKGROUND.search(label) is not None


@dataclass(frozen=True)
class VocabularySettings:
    """How transcripts become symbols. Unicode NFC and single spaces always; the rest as the recipe says.

    Attributes:
        unit: "character", "word", or "phone"; a task that assigns labels always takes each whole text as one.
        lower_case: whether transcripts are lower-cased first.
        punctuation: "remove" takes out marks of punctuation, but not those in a word (it's), in a number (3.5), or read
            aloud (%); labels keep theirs.
        language: a BCP 47 tag such as "tr", where lower case depends on it.
        lexicon: for unit "phone" the file of pronunciations, relative to the recipe's folder or to the corpus.
        several: whether labels are independent of each other, each with a probability of its own: a recording has any
            number of them, parted by commas ("dog, rain"), or none; the segments of frame labels, of one label each,
            may overlap.
    """

    unit: Literal["character", "word", "phone"] = "character"
    lower_case: bool = False
    punctuation: Literal["keep", "remove"] = "keep"
    language: str = ""
    lexicon: str = ""
    several: bool = False

    def __post_init__(self) -> None:
        check_choices("vocabulary", self)
        if (self.unit == "phone") != bool(self.lexicon):
            raise SettingsError(
                "vocabulary.unit = 'phone' and vocabulary.lexicon = 'FILE' go together: phones come from a lexicon"
            )


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in the order of their ids, and the rules that make symbols of a text.

    Attributes:
        symbols: unique and sorted, so that ids do not change from run to run; `BLANK` first where CTC needs it.
        unit: what a symbol is: a character, a word, a phone, the label of a whole recording or segment, or the name of
            a track of values.
        lower_case: whether texts are lower-cased before they are encoded.
        punctuation: whether marks of punctuation are kept or removed.
        language: whose rules of case.
        lexicon: for unit "phone" each word's pronunciations, their phones joined by spaces; the first is what a network
            learns to write, and any of them is the word.
        several: whether a text holds any number of labels, parted by commas.
    """

    symbols: tuple[str, ...]
    unit: Unit
    lower_case: bool = False
    punctuation: str = "keep"
    language: str = ""
    lexicon: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    several: bool = False

    def __post_init__(self) -> None:
        if len(set(self.symbols)) != len(self.symbols):
            raise SettingsError("vocabulary: a symbol stands in it twice")

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        *,
        unit: Unit,
        lower_case: bool = False,
        punctuation: str = "keep",
        language: str = "",
        lexicon: Mapping[str, tuple[str, ...]] | None = None,
        several: bool = False,
    ) -> Vocabulary:
        """The vocabulary of a training set's texts.

        Raises:
            CorpusError: no text holds any symbol, or a word is missing in the lexicon.
        """
        reader = cls((), unit, lower_case, punctuation, language, lexicon or {}, several)
        symbols = sorted({symbol for text in texts for symbol in reader.split(text)})
        if not symbols:
            if unit == "label":
                raise CorpusError("nothing of the training set has a label; are its labels in dev and test only?")
            raise CorpusError("no transcript of the training set holds a symbol; are the texts empty?")
        if BLANK in symbols:
            raise CorpusError(
                f"{BLANK} stands in a transcript, but CTC keeps that symbol for itself; spell it otherwise"
            )
        return replace(reader, symbols=tuple(symbols) if unit == "label" else (BLANK, *symbols))

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Vocabulary:
        """What `dataclasses.asdict` wrote, read back from JSON.

        Raises:
            KeyError, TypeError: something else was written, as one pronunciation a word by an earlier version.
        """
        for word, pronunciations in entry.get("lexicon", {}).items():
            if not isinstance(pronunciations, list) or not pronunciations:
                raise TypeError(f"the lexicon has no list of pronunciations of {word!r}")
        lexicon = {word: tuple(pronunciations) for word, pronunciations in entry.get("lexicon", {}).items()}
        return cls(**{**entry, "symbols": tuple(entry["symbols"]), "lexicon": lexicon})

    def of_words(self, words: Sequence[str]) -> Vocabulary:
        """A vocabulary of these whole words, by the same rules: what a search writes that reads their phones."""
        return replace(self, symbols=tuple(words), unit="word", lexicon={})

    def normalise(self, text: str) -> str:
        """The text by the vocabulary's rules; labels keep their punctuation, which is part of their name."""
        punctuation = "keep" if self.unit == "label" else self.punctuation
        return apply_rules(text, lower_case=self.lower_case, punctuation=punctuation, language=self.language)

    def changes(self, text: str) -> set[str]:
        """What `normalise` changes in a text: some of `text.CHANGES`."""
        punctuation = "keep" if self.unit == "label" else self.punctuation
        return text_changes(text, lower_case=self.lower_case, punctuation=punctuation, language=self.language)

    def split(self, text: str) -> Sequence[str]:
        """The symbols of a text.

        Raises:
            CorpusError: a word that the lexicon lacks.
        """
        text = self.normalise(text)
        if self.unit == "label":
            labels = [label.strip() for label in text.split(",")] if self.several else [text]
            return [label for label in dict.fromkeys(labels) if label]
        if self.unit == "phone":
            return [phone for word in text.split() for phone in self._pronunciations(word)[0].split()]
        return text.split() if self.unit == "word" else list(text)

    def reference(self, text: str) -> str:
        """What a perfect listener would give for a text: the text by the rules, or its phones."""
        return " ".join(self.split(text)) if self.unit == "phone" else self.normalise(text)

    def encode(self, text: str) -> list[int]:
        """Ids of a text's symbols.

        Raises:
            CorpusError: a symbol the vocabulary lacks, named with the nearest it has.
        """
        try:
            return [self._ids[symbol] for symbol in self.split(text)]
        except KeyError as error:
            raise CorpusError(f"{self._unknown(error.args[0])} (in the text {text!r})") from None

    def spellings(self, text: str) -> list[list[int]]:
        """Ids of a text's symbols in each way to say it, as `encode` has them first: several only of a lexicon's words.

        Pronunciations that need a phone which the vocabulary lacks are no way; of a long text 64 ways are enough.

        Raises:
            CorpusError: as of `encode`.
        """
        if self.unit != "phone":
            return [self.encode(text)]
        words = self.normalise(text).split()
        of_words = [[said.split() for said in self._pronunciations(word)] for word in words]
        known = [[said for said in ways if self._ids.keys() >= set(said)] for ways in of_words]
        if not all(known):
            return [self.encode(text)]  # which says what is missing
        ways = itertools.islice(itertools.product(*known), _MOST_WAYS)
        return [[self._ids[phone] for said in way for phone in said] for way in ways]

    def spell(self, phrase: str) -> list[list[int]]:
        """As `spellings`; and what is no word of a lexicon may be phones itself ("Y EH S").

        Raises:
            CorpusError: a symbol the vocabulary lacks, named with the nearest it has.
        """
        try:
            return self.spellings(phrase)
        except CorpusError:
            phones = phrase.split()
            unknown = [phone for phone in phones if phone not in self._ids]
            if self.unit != "phone" or 2 * len(unknown) >= len(phones):
                raise
            if unknown:  # a wrong phone among right ones: its neighbours are no words
                raise CorpusError(self._unknown(unknown[0])) from None
            return [[self._ids[phone] for phone in phones]]

    def label_id(self, label: str) -> int:
        """Id of one label, that of a segment, whose name may hold a comma.

        Raises:
            CorpusError: a label the vocabulary lacks, named with the nearest it has.
        """
        try:
            return self._ids[self.normalise(label)]
        except KeyError as error:
            raise CorpusError(self._unknown(error.args[0])) from None

    def join(self, ids: Iterable[int]) -> str:
        """The text of symbol ids; blanks are left out."""
        symbols = [self.symbols[i] for i in ids if self.symbols[i] != BLANK]
        return ("" if self.unit == "character" else " ").join(symbols)

    def _unknown(self, symbol: str) -> str:
        known = [symbol for symbol in self.symbols if symbol not in (BLANK, NO_LABEL)]
        other = next((case for case in (symbol.upper(), symbol.lower()) if case in known), "")
        hint = f"; it writes {other!r}" if other else nearest(symbol, known)
        return f"{self.unit} {symbol!r} is not among the {len(known)} the model knows{hint}"

    def _pronunciations(self, word: str) -> tuple[str, ...]:
        try:
            return self.lexicon[word]
        except KeyError:
            raise CorpusError(
                f"the word {word!r} is not in the lexicon{nearest(word, self.lexicon)}; add a line with its phones"
            ) from None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols) if symbol != BLANK}


def ctc_length(ids: Sequence[int]) -> int:
    """Frames that CTC needs for a target: one a symbol, and a blank between two that are the same."""
    return len(ids) + sum(a == b for a, b in itertools.pairwise(ids))
