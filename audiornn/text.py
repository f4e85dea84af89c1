"""Text rules: how a transcript as somebody wrote it becomes a transcript as it is learnt and compared.

The rules know letters, marks and digits by their Unicode category, never by an English list, and numbers stay as they
stand: "3,5" is not "three and a half" here, and not "35" either.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

__all__ = ["CHANGES", "apply_rules", "lower", "plain_words", "removed_marks", "text_changes", "word_places"]

#: What normalisation may have changed in a text, in the order in which it is applied.
CHANGES = ("unicode", "invisible characters", "case", "punctuation", "spaces")

#: Marks of punctuation that are read aloud; a rule that drops them would part the text from its audio.
_SPOKEN = frozenset("%‰&@#§*+=")
#: Marks that belong to a word where they stand between two letters, and what they are written as.
_IN_WORDS = {"'": "'", "’": "'", "-": "-", "‐": "-", "‑": "-", "·": "·", "‧": "·", "׳": "׳", "״": "״", "་": "་"}
#: Marks that belong to a number where they stand between two digits.
_IN_NUMBERS = frozenset(".,:/-٫٬")
_JOINERS = frozenset("\u200c\u200d")  # they spell words in Persian, Hindi and others


def apply_rules(text: str, *, lower_case: bool = False, punctuation: str = "keep", language: str = "") -> str:
    """A text by the rules: Unicode NFC, no invisible characters, single spaces; and case and punctuation if so set.

    Args:
        text: as it was written.
        lower_case: whether letters become small.
        punctuation: "keep", or "remove" all marks but those inside a word (l'an, so-so), inside a number (3.5, 10:30),
            or read aloud (%, &).
        language: a BCP 47 tag, for languages with letters of their own: "tr" and "az" have a dotless ı.
    """
    text = unicodedata.normalize("NFC", text)
    if not text.isascii():
        text = _visible(text)
    if lower_case:
        text = lower(text, language)
    if punctuation == "remove":
        text = _without_punctuation(text)
    return " ".join(text.split())


def plain_words(text: str) -> str:
    """A name or a phrase as two of them are compared, however they are written: small letters, words parted by spaces.

    >>> plain_words("Hey_Computer, don't!")
    "hey computer don't"
    """
    return " ".join("".join(c if _is_of_a_word(c) else " " for c in lower(text)).split())


def word_places(phrase: str, part: str) -> list[int]:
    """At which of a phrase's words the words of another one begin in it, however both are written.

    >>> word_places("happy-up happy", "Happy")
    [0, 2]
    """
    words, wanted = plain_words(phrase).split(), plain_words(part).split()
    last = len(words) - len(wanted)
    return [i for i in range(last + 1) if wanted and words[i : i + len(wanted)] == wanted]


def text_changes(text: str, *, lower_case: bool = False, punctuation: str = "keep", language: str = "") -> set[str]:
    """Which of `CHANGES` the rules of the same names made in a text."""
    changes = set()
    composed = unicodedata.normalize("NFC", text)
    visible = composed if composed.isascii() else _visible(composed)
    cased = lower(visible, language) if lower_case else visible
    bare = _without_punctuation(cased) if punctuation == "remove" else cased
    steps = zip(CHANGES, (text, composed, visible, cased), (composed, visible, cased, bare), strict=False)
    changes = {change for change, before, after in steps if before != after}
    if " ".join(cased.split()) != cased:  # not after the marks are gone, which leave their spaces
        changes.add("spaces")
    return changes


def removed_marks(text: str) -> list[str]:
    """The marks that `punctuation = "remove"` takes out of a text."""
    return [mark for i, mark in enumerate(text) if _is_punctuation(mark) and not _is_kept(text, i)]


def lower(text: str, language: str = "") -> str:
    """Small letters; those of Turkish and Azerbaijani where the language says so."""
    if language.partition("-")[0] in ("tr", "az"):
        text = text.replace("I\u0307", "i").replace("İ", "i").replace("I", "ı")
    # Python lowers İ to i and a combining dot; composed again, so that the rules' result is NFC.
    return unicodedata.normalize("NFC", text.lower())


def _visible(text: str) -> str:
    """Without soft hyphens, byte-order marks and signs of direction, which no one sees and no one says."""
    return "".join(c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf")


def _without_punctuation(text: str) -> str:
    if text.isalnum():
        return text
    kept = []
    for i, mark in enumerate(text):
        if not _is_punctuation(mark):
            kept.append(mark)
        else:
            kept.append(_IN_WORDS.get(mark, mark) if _is_kept(text, i) else " ")
    return "".join(kept)


@lru_cache(maxsize=4096)
def _is_punctuation(mark: str) -> bool:
    return mark not in _SPOKEN and unicodedata.category(mark)[0] == "P"


def _is_of_a_word(character: str) -> bool:
    """Letters, digits, and what spells a word with them, as the vowels of नमस्ते do."""
    return character.isalnum() or character == "'" or character in _JOINERS or _category(character) == "M"


def _is_kept(text: str, i: int) -> bool:
    before, after = text[i - 1 : i], text[i + 1 : i + 2]
    if text[i] in _IN_WORDS and _category(before) in "LM" and _category(after) in "LM":
        return True
    return text[i] in _IN_NUMBERS and _category(before) == "N" and _category(after) == "N"


def _category(character: str) -> str:
    return unicodedata.category(character)[0] if character else "-"
