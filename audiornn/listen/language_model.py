"""Word n-gram language models: built from texts, read and written in the ARPA format, scored a word at a time.

Log-probabilities are natural (nats) here and base 10 in files. The estimate is modified Kneser-Ney, interpolated (Chen
and Goodman 1999), with the counts at a sentence's start as KenLM takes them (Heafield et al. 2013).
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiornn.errors import CorpusError, SettingsError
from audiornn.files import write_atomically

__all__ = [
    "BEGIN",
    "END",
    "UNKNOWN",
    "LanguageModel",
    "Perplexity",
    "State",
    "build_language_model",
    "read_arpa",
    "read_texts",
]

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"

#: The words that the next word's probability still depends on; a hypothesis carries one of these.
State = tuple[str, ...]
#: An n-gram's log-probability and the log of its back-off weight, nats.
Entry = tuple[float, float]

_LN10 = math.log(10)
#: The least log-probability: KenLM's 1e-100, so that one word cannot end a search.
_NEVER = -100 * _LN10
#: What parts words in a file, as KenLM takes it; a no-break space is a part of its word.
_GAP = re.compile(r"[ \t\r\v\f]+")
#: Where counts of counts tell nothing, as in a thousand short texts; KenLM's --discount_fallback.
_FALLBACK = (0.5, 1.0, 1.5)
_CACHED = 500_000


@dataclass(frozen=True)
class Perplexity:
    """How well a model foresees texts.

    Attributes:
        perplexity: per known word, the ends of sentences among them.
        words: in the texts, without the ends.
        unknown: words among them that the model does not know; they are not in the perplexity.
    """

    perplexity: float
    words: int
    unknown: int


class LanguageModel:
    """A back-off n-gram model; it may be used from several threads.

    Attributes:
        order: the length of its longest n-grams.
        ngrams: of each length from 1, the entries by n-gram.
        start: the state at a sentence's beginning.
    """

    def __init__(self, ngrams: Sequence[Mapping[State, Entry]]) -> None:
        self.ngrams = tuple(ngrams)
        self.order = len(self.ngrams)
        self._cache: dict[tuple[State, str], tuple[float, State]] = {}
        known = [score for (word,), (score, _) in self.ngrams[0].items() if word not in (BEGIN, END, UNKNOWN)]
        self._rarest = min(known, default=_NEVER)
        self.start: State = self._shortened((BEGIN,))

    @property
    def words(self) -> tuple[str, ...]:
        """All words it knows, in alphabetical order, without the marks `<s>`, `</s>` and `<unk>`."""
        return tuple(sorted(word for (word,) in self.ngrams[0] if word not in (BEGIN, END, UNKNOWN)))

    def __contains__(self, word: str) -> bool:
        return (word,) in self.ngrams[0]

    def score(self, state: State, word: str) -> tuple[float, State]:
        """The log-probability of a word after a state, in nats, and the state after the word.

        A word it does not know counts as `<unk>`; of a model without one (SRILM's, mostly) as its rarest word: that
        there are others is certain. The end of a sentence is the word `</s>`.
        """
        found = self._cache.get((state, word))
        if found is None:
            if len(self._cache) > _CACHED:
                self._cache.clear()
            found = self._cache[state, word] = self._score(state, word)
        return found

    def _score(self, state: State, word: str) -> tuple[float, State]:
        if (word,) not in self.ngrams[0]:
            word = UNKNOWN
        score, history = 0.0, state[max(0, len(state) - self.order + 1) :]
        while True:
            entry = self.ngrams[len(history)].get((*history, word))
            if entry is not None:
                score += entry[0]
                break
            if not history:
                score += self._rarest
                break
            score += self.ngrams[len(history) - 1].get(history, (0.0, 0.0))[1]
            history = history[1:]
        return score, self._shortened((*state, word))

    def _shortened(self, words: State) -> State:
        """The longest end of some words that a longer n-gram could begin with: all a future score depends on."""
        words = words[max(0, len(words) - self.order + 1) :]
        while words and words not in self.ngrams[len(words) - 1]:
            words = words[1:]
        return words

    def perplexity(self, texts: Iterable[str]) -> Perplexity:
        """How well it foresees texts, a sentence each, of words parted by spaces."""
        total, n_scored, n_words, n_unknown = 0.0, 0, 0, 0
        for text in texts:
            state = self.start
            for word in [*text.split(), END]:
                known = word in self
                score, state = self.score(state, word)
                n_words += word != END
                n_unknown += word != END and not known
                if known:
                    total += score
                    n_scored += 1
        return Perplexity(math.exp(-total / n_scored) if n_scored else math.inf, n_words, n_unknown)

    def to_arpa(self) -> str:
        """The text of an ARPA file, its n-grams in alphabetical order."""
        lines = ["\\data\\", *(f"ngram {n}={len(entries)}" for n, entries in enumerate(self.ngrams, start=1))]
        for n, entries in enumerate(self.ngrams, start=1):
            lines += ["", f"\\{n}-grams:"]
            for ngram, (score, back_off) in sorted(entries.items()):
                line = f"{score / _LN10:.7g}\t{' '.join(ngram)}"
                lines.append(line if n == self.order or not back_off else f"{line}\t{back_off / _LN10:.7g}")
        return "\n".join([*lines, "", "\\end\\", ""])

    @classmethod
    def from_arpa(cls, text: str, where: str) -> LanguageModel:
        """Read the text of an ARPA file; `where` names the file in errors.

        Raises:
            CorpusError: not in the ARPA format; the line is named.
        """
        return cls(_parse(text, where))

    def write(self, path: Path) -> None:
        """Write an ARPA file, packed with gzip where its name ends so.

        Raises:
            AudiornnError: it cannot be written.
        """
        content = self.to_arpa().encode()
        with write_atomically(path) as out:
            out.write(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_arpa(path: Path) -> LanguageModel:
    """Read a language model in the ARPA format, also packed with gzip.

    Raises:
        CorpusError: missing, not UTF-8, or not in the ARPA format; the line is named.
    """
    try:
        return LanguageModel.from_arpa(_unpacked(path).decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:
        raise CorpusError(
            f"{path}: not a language model in the ARPA format: it is not UTF-8 text (a binary of KenLM? "
            "take the .arpa it was made of)"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(f"{path}: the language model cannot be read ({reason})") from None


def read_texts(path: Path) -> list[str]:
    """The lines of a text file that are not empty, also packed with gzip.

    Raises:
        CorpusError: missing, cut off, or not UTF-8.
    """
    try:
        return [line for line in _unpacked(path).decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path}: the text cannot be read ({getattr(error, 'strerror', None) or error})") from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path}: the text is not UTF-8; convert it, e.g. iconv -f latin1 -t utf-8") from None


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _parse(text: str, where: str) -> list[dict[State, Entry]]:
    announced: list[int] = []
    ngrams: list[dict[State, Entry]] = []
    section, number = "", 0
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        line = line.strip(" \t\r\v\f")
        place = f"{where}, line {number}"
        if not line or (not section and line != "\\data\\"):
            continue  # a head of comments is allowed before \data\
        if line == "\\end\\":
            section = line
            break
        if line == "\\data\\":
            section = line
        elif line.startswith("\\"):
            n = len(ngrams) + 1
            if line != f"\\{n}-grams:" or n > len(announced):
                expected = f"\\{n}-grams:" if n <= len(announced) else "\\end\\"
                raise CorpusError(
                    f"{place}: {line!r} where {expected} was expected; was the file put together by hand?"
                )
            section = line
            ngrams.append({})
        elif section == "\\data\\":
            name, _, count = line.removeprefix("ngram ").partition("=")
            if (
                not line.startswith("ngram ")
                or name.strip() != str(len(announced) + 1)
                or not count.strip().isdecimal()
            ):
                raise CorpusError(f"{place}: {line!r} is not 'ngram {len(announced) + 1}=COUNT'; write the file again")
            announced.append(int(count))
        else:
            ngram, entry = _entry(line, len(ngrams), place)
            if ngram in ngrams[-1]:
                raise CorpusError(f"{place}: the n-gram {' '.join(ngram)!r} stands there twice; keep one of them")
            if len(ngram) > 1:
                _check_parts(ngram, ngrams, place)
            ngrams[-1][ngram] = entry
    if not section:
        raise CorpusError(f"{where}: not a language model in the ARPA format: it has no line \\data\\")
    if section != "\\end\\":
        raise CorpusError(f"{where}, line {number}: ends without \\end\\; was it cut off? copy or write it again")
    counts = [len(entries) for entries in ngrams]
    if counts != announced or not counts or not counts[0]:
        raise CorpusError(
            f"{where}: its head announces {announced} n-grams, it holds {counts}; was it cut off? copy it again"
        )
    return ngrams


def _check_parts(ngram: State, ngrams: Sequence[Mapping[State, Entry]], place: str) -> None:
    """Raise a CorpusError where an n-gram's context or last word stands nowhere: it would never be found by them."""
    for part, entries in ((ngram[:-1], ngrams[len(ngram) - 2]), (ngram[-1:], ngrams[0])):
        if part not in entries:
            raise CorpusError(
                f"{place}: the n-gram {' '.join(ngram)!r} stands there, but {' '.join(part)!r} does not; was the file "
                "pruned by hand? keep what longer n-grams are made of, as SRILM and KenLM do"
            )


def _entry(line: str, n: int, place: str) -> tuple[State, Entry]:
    fields = _GAP.split(line)
    if not n + 1 <= len(fields) <= n + 2:
        raise CorpusError(
            f"{place}: has {len(fields)} columns, an n-gram of {n} words takes {n + 1} or {n + 2}: "
            "log10 of its probability, its words, and its back-off"
        )
    try:
        score, back_off = float(fields[0]), float(fields[n + 1]) if len(fields) > n + 1 else 0.0
    except ValueError:
        raise CorpusError(f"{place}: {fields[0]!r} or {fields[-1]!r} is not a number; write the file again") from None
    if not score <= 1e-4:  # rounding may lift a probability of one a hair above
        raise CorpusError(f"{place}: log10 of a probability is at most 0, this is {fields[0]}; write the file again")
    if not back_off < math.inf:
        raise CorpusError(f"{place}: the back-off weight {fields[-1]!r} is not finite; write the file again")
    ngram = tuple(UNKNOWN if word == "<UNK>" else word for word in fields[1 : n + 1])  # as SRILM may write it
    return ngram, (max(score, -100.0) * _LN10, max(back_off, -100.0) * _LN10)


def build_language_model(texts: Iterable[str], order: int = 3) -> LanguageModel:
    """Estimate a model by interpolated modified Kneser-Ney (Chen and Goodman 1999, § 4.1.6).

    An n-gram of full length keeps its count, a shorter one counts the words it follows, and one at a sentence's start,
    which follows none, keeps its count. Unigrams are interpolated with the uniform distribution, which is where `<unk>`
    has its probability from. After every context, seen or not, the probabilities of all words, `</s>` and `<unk>` sum
    to one.

    Args:
        texts: a sentence each, of words parted by spaces.
        order: the length of the longest n-grams, from 1.

    Raises:
        SettingsError: an order below 1.
        CorpusError: no text holds a word, or one holds a mark such as `<s>`.
    """
    if order < 1:
        raise SettingsError(f"order = {order} must be at least 1")
    counts = _adjusted_counts(texts, order)
    vocabulary = [word for (word,) in counts[0]]
    if vocabulary == [END] or not vocabulary:
        raise CorpusError("no text holds a word; a language model is built from a sentence a line")
    below: dict[State, float] = {(): 1 / (len(vocabulary) + 1)}  # uniform, over <unk> as well
    probabilities: list[dict[State, float]] = []
    back_offs: list[dict[State, float]] = []
    for n, of_length in enumerate(counts, start=1):
        discounts = _discounts(Counter(of_length.values()))
        totals: dict[State, int] = defaultdict(int)
        for ngram, count in of_length.items():
            totals[ngram[:-1]] += count
        kept: dict[State, float] = defaultdict(float)
        for ngram, count in of_length.items():
            kept[ngram[:-1]] += (count - discounts[min(count, 3) - 1]) / totals[ngram[:-1]]
        freed = {context: 1 - share for context, share in kept.items()}
        probabilities.append(
            {
                ngram: (count - discounts[min(count, 3) - 1]) / totals[ngram[:-1]]
                + freed[ngram[:-1]] * (below[()] if n == 1 else below[ngram[1:]])
                for ngram, count in of_length.items()
            }
        )
        if n == 1:
            probabilities[0][UNKNOWN,] = freed[()] * below[()]
        else:
            back_offs.append(freed)
        below = probabilities[-1]
    ngrams: list[dict[State, Entry]] = []
    for n, of_length_n in enumerate(probabilities):
        weights = back_offs[n] if n < len(back_offs) else {}
        ngrams.append({ngram: (_log(p), _log(weights.get(ngram, 1.0))) for ngram, p in of_length_n.items()})
    ngrams[0][BEGIN,] = (-99 * _LN10, _log(back_offs[0].get((BEGIN,), 1.0)) if back_offs else 0.0)
    return LanguageModel(ngrams)


def _adjusted_counts(texts: Iterable[str], order: int) -> list[dict[State, int]]:
    """The counts of each length that the estimate takes; `<s>` alone is no word, and is not among them."""
    raw: list[Counter[State]] = [Counter() for _ in range(order)]
    for text in texts:
        words = text.split()
        if marks := {BEGIN, END, UNKNOWN}.intersection(words):
            raise CorpusError(f"{sorted(marks)[0]} stands in the text {text!r}; language models keep it for themselves")
        sentence = (BEGIN, *words, END)
        for n in range(1, order + 1):
            raw[n - 1].update(sentence[i : i + n] for i in range(len(sentence) - n + 1))
    adjusted: list[dict[State, int]] = []
    for n, of_length in enumerate(raw, start=1):
        if n < order:
            followed = Counter(longer[1:] for longer in raw[n])
            counts = {g: count if g[0] == BEGIN else followed[g] for g, count in of_length.items()}
        else:
            counts = dict(of_length)
        adjusted.append({g: count for g, count in counts.items() if g != (BEGIN,)})
    while len(adjusted) > 1 and not adjusted[-1]:  # no text is as long as the order
        adjusted.pop()
    return adjusted


def _discounts(counts_of_counts: Mapping[int, int]) -> tuple[float, float, float]:
    """What is taken from counts of one, of two, and of more (Chen and Goodman 1999, eq. 26)."""
    n = [counts_of_counts.get(count, 0) for count in (1, 2, 3, 4)]
    if not all(n[:3]):
        return _FALLBACK
    y = n[0] / (n[0] + 2 * n[1])
    first, second, third = (k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3))
    if not (0 < first <= 1 and 0 < second <= 2 and 0 < third <= 3):
        return _FALLBACK
    return first, second, third


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else -99 * _LN10
