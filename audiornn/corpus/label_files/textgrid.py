"""Praat's TextGrid: the long and the short text format are one to who reads as Praat does.

Praat takes from a text file its quoted strings, its flags in angle brackets, and the numbers that stand free; all else
is a remark (the manual's page "Text files").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from audiornn.corpus.label_files.timed import Timed
from audiornn.errors import CorpusError

__all__ = ["read_textgrid"]

_TOKEN = re.compile(
    r'"(?P<string>(?:[^"]|"")*)"'
    r"|(?P<flag><\w+>)"
    r"|(?<!\S)(?P<number>[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)(?!\S)"
    r"|(?<!\S)![^\n]*"
)


def read_textgrid(text: str, path: Path) -> list[Timed]:
    """All labels of all tiers; of a point tier without length.

    Raises:
        CorpusError: no TextGrid, or one that breaks off.
    """
    if text.startswith("ooBinaryFile"):
        raise CorpusError(f"{path}: a TextGrid in Praat's binary format; save it as a text file")
    tokens = _tokens(text)
    try:
        header = [_string(tokens), _string(tokens)]
        if not header[0].startswith("ooTextFile") or header[1] != "TextGrid":
            raise CorpusError(f"{path}: no TextGrid, it begins {text[:40]!r}")
        _number(tokens), _number(tokens)
        if next(tokens)[1] != "<exists>":
            return []
        return [label for _ in range(int(_number(tokens))) for label in _tier(tokens)]
    except (StopIteration, ValueError):
        raise CorpusError(f"{path}: a TextGrid that breaks off or is damaged; save it again with Praat") from None


def _tier(tokens: Iterator[tuple[str, str]]) -> list[Timed]:
    kind, name = _string(tokens), _string(tokens)
    _number(tokens), _number(tokens)
    labels = []
    for i in range(1, int(_number(tokens)) + 1):
        start = _number(tokens)
        end = _number(tokens) if kind == "IntervalTier" else start
        labels.append(Timed(start, end, " ".join(_string(tokens).split()), name, where=f"tier {name!r}, {i}"))
    return labels or [Timed(0.0, 0.0, "", name)]  # so that an empty tier is known by its name


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
