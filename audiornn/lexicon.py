"""A pronunciation lexicon: a word a line, and its phones; CMUdict's, Kaldi's and Sphinx' files are read as they are."""

from __future__ import annotations

import re
from pathlib import Path

from audiornn.errors import CorpusError

__all__ = ["read_lexicon"]

_ALTERNATIVE = re.compile(r"(.+)\(\d+\)")  # WORD(2): another way to say it


def read_lexicon(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a lexicon: each word with its pronunciations as they come, the phones of each joined by single spaces.

    Comments (`;;;`, `#`) and empty lines are skipped.

    Raises:
        CorpusError: the file is missing, not UTF-8, or a line has a word but no phones.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise CorpusError(f"{path}: the lexicon cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: the lexicon is not UTF-8; convert it, e.g. iconv -f latin1 -t utf-8") from None
    lexicon: dict[str, dict[str, None]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith((";;;", "#")):
            continue
        word, *phones = line.split()
        if phones and re.fullmatch(r"[0-9.]+", phones[0]) and len(phones) > 1:
            phones = phones[1:]  # Kaldi's lexiconp.txt has a probability there
        if not phones:
            raise CorpusError(f"{path}, line {number}: {word!r} has no phones; a line is a word and its phones")
        alternative = _ALTERNATIVE.fullmatch(word)
        lexicon.setdefault(alternative.group(1) if alternative else word, {})[" ".join(phones)] = None
    if not lexicon:
        raise CorpusError(f"{path}: the lexicon holds no word")
    return {word: tuple(pronunciations) for word, pronunciations in lexicon.items()}
