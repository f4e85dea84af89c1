"""Praat's TextGrid: the long and the short text format are one to who reads as Praat does.

Praat takes from a text file its quoted strings, its flags in angle brackets, and the numbers that stand free; all else
is a remark (the manual's page "Text files").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from audiornn.corpus.label_files.timed import Timed
from audiornn.errors import CorpusError

__all__ = ["BINARY", "STARTS", "read_textgrid"]

#: How Praat's binary files begin.
BINARY = b"ooBinaryFile"
_CHRONOLOGICAL = '"Praat chronological TextGrid text file"'
#: How its text files that hold a TextGrid may begin.
STARTS = ('File type = "ooTextFile', _CHRONOLOGICAL)

_TOKEN = re.compile(
    r'"(?P<string>(?:[^"]|"")*)"'
    r"|(?P<flag><\w+>)"
    r"|(?<!\S)(?P<number>[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)(?!\S)"
    r"|(?<!\S)![^\n]*"
)


def read_textgrid(text: str, path: Path) -> tuple[list[Timed], tuple[float, float]]:
    """All labels of all tiers, of a point tier without length; and the seconds from and to which the grid says it goes.

    Raises:
        CorpusError: no TextGrid, one in another format, or one that breaks off.
    """
    if not text.strip():
        raise CorpusError(f"{path}: is empty, which no TextGrid is; save it again with Praat, or delete it")
    if text.startswith(_CHRONOLOGICAL):
        raise CorpusError(f"{path}: a chronological TextGrid; open it in Praat and choose Save as text file")
    tokens = _tokens(text)
    try:
        header = [_string(tokens), _string(tokens)]
        if header[1] == "Collection":
            raise CorpusError(
                f"{path}: a Collection of Praat's objects; select one TextGrid in Praat, Save as text file"
            )
        if not header[0].startswith("ooTextFile") or header[1] != "TextGrid":
            raise CorpusError(f"{path}: no TextGrid, it begins {text[:40]!r}")
        span = (_number(tokens), _number(tokens))
        if next(tokens)[1] != "<exists>":
            return [], span
        return _told_apart([_tier(tokens) for _ in range(int(_number(tokens)))]), span
    except (StopIteration, ValueError, OverflowError):  # an infinite count overflows
        raise CorpusError(f"{path}: a TextGrid that breaks off or is damaged; save it again with Praat") from None


def _tier(tokens: Iterator[tuple[str, str]]) -> list[Timed]:
    kind, name = _string(tokens), _string(tokens)
    begin, _ = _number(tokens), _number(tokens)
    labels = []
    for i in range(1, int(_number(tokens)) + 1):
        start = _number(tokens)
        end = _number(tokens) if kind == "IntervalTier" else start
        labels.append(Timed(start, end, " ".join(_string(tokens).split()), name, where=f"tier {name!r}, {i}"))
    return labels or [Timed(begin, begin, "", name)]  # so that an empty tier is known by its name


def _told_apart(tiers: Sequence[Sequence[Timed]]) -> list[Timed]:
    """The labels of all tiers; of tiers of one name the second is called `name (2)`, and so on."""
    seen: Counter[str] = Counter()
    labels: list[Timed] = []
    for tier in tiers:
        seen[tier[0].tier] += 1
        number = seen[tier[0].tier]
        labels += tier if number == 1 else (replace(label, tier=f"{label.tier} ({number})") for label in tier)
    return labels


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup is not None:
            yield match.lastgroup, match[match.lastgroup]


def _string(tokens: Iterator[tuple[str, str]]) -> str:
    kind, value = next(tokens)
    if kind != "string":
        raise ValueError(value)
    return value.replace('""', '"')


def _number(tokens: Iterator[tuple[str, str]]) -> float:
    kind, value = next(tokens)
    if kind != "number":
        raise ValueError(value)
    return float(value.replace(",", "."))
