"""The vocabulary: symbols and their ids, and the rules that turn a transcript into symbols."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from audiornn.errors import CorpusError, SettingsError, nearest

__all__ = ["BLANK", "Vocabulary", "VocabularySettings", "ctc_length"]

#: The CTC blank, always id 0 of a vocabulary that has one.
BLANK = "<blank>"

Unit = Literal["character", "word", "label"]


@dataclass(frozen=True)
class VocabularySettings:
    """How transcripts become symbols.

    Attributes:
        unit: "character" or "word"; a task that assigns labels always takes each whole text as one.
        lower_case: whether transcripts are lower-cased first.
    """

    unit: Literal["character", "word"] = "character"
    lower_case: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in the order of their ids.

    Attributes:
        symbols: unique and sorted, so that ids do not change from run to run; `BLANK` first where CTC needs it.
        unit: what a symbol is: a character, a word, or the label of a whole recording or segment.
        lower_case: whether texts are lower-cased before they are encoded.
    """

    symbols: tuple[str, ...]
    unit: Unit
    lower_case: bool = False

    def __post_init__(self) -> None:
        if len(set(self.symbols)) != len(self.symbols):
            raise SettingsError("vocabulary: a symbol stands in it twice")

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def build(cls, texts: Iterable[str], *, unit: Unit, lower_case: bool = False) -> Vocabulary:
        """The vocabulary of a training set's texts.

        Raises:
            CorpusError: no text holds any symbol.
        """
        reader = cls((), unit, lower_case)
        symbols = sorted({symbol for text in texts for symbol in reader.split(text)})
        if not symbols:
            raise CorpusError("no transcript of the training set holds a symbol; are the texts empty?")
        if BLANK in symbols:
            raise CorpusError(
                f"{BLANK} stands in a transcript, but CTC keeps that symbol for itself; spell it otherwise"
            )
        return cls(tuple(symbols) if unit == "label" else (BLANK, *symbols), unit, lower_case)

    def normalise(self, text: str) -> str:
        """The text as it is compared and encoded: Unicode NFC, single spaces, lower case if so set."""
        text = " ".join(unicodedata.normalize("NFC", text).split())
        return text.lower() if self.lower_case else text

    def split(self, text: str) -> Sequence[str]:
        """The symbols of a text."""
        text = self.normalise(text)
        if self.unit == "label":
            return [text] if text else []
        return text.split() if self.unit == "word" else list(text)

    def encode(self, text: str) -> list[int]:
        """Ids of a text's symbols.

        Raises:
            CorpusError: a symbol the vocabulary lacks, named with the nearest it has.
        """
        ids = self._ids()
        try:
            return [ids[symbol] for symbol in self.split(text)]
        except KeyError as error:
            unknown = error.args[0]
            raise CorpusError(
                f"{self.unit} {unknown!r} is not among the {len(self)} the model knows"
                f"{nearest(unknown, self.symbols)} (in the text {text!r})"
            ) from None

    def join(self, ids: Iterable[int]) -> str:
        """The text of symbol ids; blanks are left out."""
        symbols = [self.symbols[i] for i in ids if self.symbols[i] != BLANK]
        return ("" if self.unit == "character" else " ").join(symbols)

    def _ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols) if symbol != BLANK}


def ctc_length(ids: Sequence[int]) -> int:
    """Frames that CTC needs for a target: one a symbol, and a blank between two that are the same."""
    return len(ids) + sum(a == b for a, b in pairwise(ids))
