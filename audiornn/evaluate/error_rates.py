"""Error counts and their intervals.

Conventions: the reference is what was said, the hypothesis what the model heard. An error rate is
(substitutions + deletions + insertions) / reference length, over all utterances together, so it may exceed 1.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiornn.evaluate.bootstrap import percentile_interval, resampled_totals

__all__ = [
    "Confusion",
    "EditCounts",
    "ErrorRate",
    "bootstrap_interval",
    "costliest",
    "count_edits",
    "error_rate",
    "interval_of_counts",
    "interval_of_mean",
    "right_words",
    "wilson_interval",
]

_FEW = 20  # recordings, from which on a bootstrap over them holds about what it says

Confusion = tuple[str, str]  # reference, hypothesis; one of them is empty for a deletion or an insertion


@dataclass(frozen=True)
class EditCounts:
    """The edits between one reference and one hypothesis, of least total number."""

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int
    confusions: tuple[Confusion, ...] = ()

    @property
    def errors(self) -> int:
        """Edits of any kind."""
        return self.substitutions + self.deletions + self.insertions


@dataclass(frozen=True)
class ErrorRate:
    """Errors over a set of utterances, with a 95 % interval of the rate."""

    errors: int
    reference_length: int
    rate: float
    interval: tuple[float, float]


def count_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> EditCounts:
    """Align two sequences of symbols (jiwer's Levenshtein alignment) and count the edits."""
    confusions: list[Confusion] = []
    n_edits = {"substitute": 0, "delete": 0, "insert": 0}
    for chunk in _alignment(reference, hypothesis):
        left, right = reference[chunk.references], hypothesis[chunk.hypotheses]
        width = max(len(left), len(right))
        if chunk.kind != "equal":
            n_edits[chunk.kind] += width
            confusions += zip([*left, *[""] * (width - len(left))], [*right, *[""] * (width - len(right))], strict=True)
    return EditCounts(n_edits["substitute"], n_edits["delete"], n_edits["insert"], len(reference), tuple(confusions))


def right_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bool]:
    """Of each symbol of the hypothesis, whether the alignment finds it in the reference."""
    right = [False] * len(hypothesis)
    for chunk in _alignment(reference, hypothesis):
        right[chunk.hypotheses] = [chunk.kind == "equal"] * len(right[chunk.hypotheses])
    return right


class _Chunk(NamedTuple):
    """Neighbouring symbols with the same fate: "equal", "substitute", "delete" or "insert"."""

    kind: str
    references: slice
    hypotheses: slice


def _alignment(reference: Sequence[str], hypothesis: Sequence[str]) -> list[_Chunk]:
    everything = slice(0, len(reference)), slice(0, len(hypothesis))
    if list(reference) == list(hypothesis):
        return [_Chunk("equal", *everything)]
    if not reference or not hypothesis:
        return [_Chunk("delete" if reference else "insert", *everything)]
    import jiwer

    # jiwer splits at spaces; symbols travel as private characters, so that a space is a symbol like any other.
    codes: dict[str, str] = {}
    for symbol in [*reference, *hypothesis]:
        codes.setdefault(symbol, chr(0xF0000 + len(codes)))
    as_words = jiwer.Compose([jiwer.ReduceToListOfListOfWords(word_delimiter=" ")])
    result = jiwer.process_words(
        " ".join(codes[symbol] for symbol in reference),
        " ".join(codes[symbol] for symbol in hypothesis),
        reference_transform=as_words,
        hypothesis_transform=as_words,
    )
    return [
        _Chunk(
            chunk.type,
            slice(chunk.ref_start_idx, chunk.ref_end_idx),
            slice(chunk.hyp_start_idx, chunk.hyp_end_idx),
        )
        for chunk in result.alignments[0]
    ]


def error_rate(counts: Sequence[EditCounts], *, seed: int = 0) -> ErrorRate:
    """Pool the counts of utterances; the interval is a bootstrap over utterances."""
    errors = [count.errors for count in counts]
    lengths = [count.reference_length for count in counts]
    rate = sum(errors) / sum(lengths) if sum(lengths) else (math.inf if sum(errors) else 0.0)
    return ErrorRate(sum(errors), sum(lengths), rate, bootstrap_interval(errors, lengths, seed=seed))


def bootstrap_interval(errors: Sequence[float], lengths: Sequence[int], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of Σ errors / Σ lengths over utterances, by `interval_of_counts`; without any 0 to 1."""
    counts = np.array([errors, lengths], np.float64).T
    return interval_of_counts(counts, lambda total: total[0] / total[1], seed=seed)


def interval_of_counts(
    counts: ArrayLike, figure: Callable[[NDArray[np.float64]], float], *, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of an error rate, a share or an F1 that is made of counts summed over recordings.

    The percentiles of what it is when the recordings are drawn anew (Bisani and Ney 2004). A bootstrap takes the spread
    of a few for less than it is: its interval of F1 holds the true one of two recordings 48 times of 100, of five 80 to
    85. So of fewer than 20 it is Student's over jackknifed values (Tukey 1958), which holds 95 and 91 to 93.

    Where all recordings are alike, as where none has an error or all are wholly wrong, neither knows a spread, and
    Wilson's bounds of so many recordings are given: words and frames of one are no independent witnesses. Of one
    recording nothing is known: 0 to 1, or to more errors than words.

    Args:
        counts: of each recording, (recordings, …); one of zeros is no witness.
        figure: of summed counts; not finite where it is of nothing.
        seed: of the draws.
    """
    table = np.asarray(counts, np.float64)
    witnesses = table[table.reshape(len(table), -1).any(axis=1)] if len(table) else table
    n = len(witnesses)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = float(figure(witnesses.sum(axis=0))) if n else 0.0
        if n < _FEW:
            own = (float(figure(each)) for each in witnesses)
            most = max(value for value in (1.0, whole, *own) if math.isfinite(value))
            low, high = _jackknifed_interval(witnesses, figure, whole) if n > 1 else (0.0, most)
            low, high = max(0.0, low), min(most, high)
        else:
            draws = (float(figure(total)) for total in resampled_totals(table, seed=seed))
            low, high = percentile_interval(value for value in draws if math.isfinite(value)) or (0.0, 1.0)
    return wilson_interval(whole * n, n) if low == high and whole <= 1 else (low, high)


def _jackknifed_interval(
    table: NDArray[np.float64], figure: Callable[[NDArray[np.float64]], float], whole: float
) -> tuple[float, float]:
    """By Student's t; without bounds where one recording alone has what the figure is of."""
    from scipy.special import stdtrit

    total, n = table.sum(axis=0), len(table)
    values = [n * whole - (n - 1) * float(figure(total - own)) for own in table]
    if not all(map(math.isfinite, values)):
        return -math.inf, math.inf
    spread = statistics.stdev(values)
    half = 0.0 if spread < 1e-12 * max(1.0, whole) else float(stdtrit(n - 1, 0.975)) * spread / math.sqrt(n)
    return whole - half, whole + half


def wilson_interval(successes: float, n: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    z = 1.959963984540054
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # at the ends the bound is exact; floating point would leave it a hair off
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def interval_of_mean(figures: Sequence[float], *, most: float = math.inf) -> tuple[float, float]:
    """95 % interval of the mean of figures that are at least 0, by Student's t: of all speakers there might be.

    Speakers are few, and a bootstrap takes their spread for less than it is: of two it holds the mean every other time,
    of six 85 times of 100. Where all figures are alike they tell no spread, and Wilson's bounds of so many are given.

    Args:
        figures: two at least.
        most: that a figure may be.
    """
    from scipy.special import stdtrit

    n = len(figures)
    if min(figures) == max(figures) <= 1:
        return wilson_interval(figures[0] * n, n)
    mean, half = statistics.fmean(figures), stdtrit(n - 1, 0.975) * statistics.stdev(figures) / math.sqrt(n)
    return max(0.0, float(mean - half)), min(most, float(mean + half))


def costliest(confusions: Sequence[Confusion], n: int = 10) -> list[tuple[str, str, int]]:
    """The most frequent confusions: (reference, hypothesis, count), ties in alphabetical order."""
    counts = Counter(confusions)
    return [(a, b, count) for (a, b), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]]
