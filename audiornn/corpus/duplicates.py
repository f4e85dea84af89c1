"""Recordings that are the same, though their files are not: copies at another level, rate, or cut, with noise on them.

Fingerprints (`measure.Meter`) find the candidates without comparing every pair; the samples themselves decide: two
different recordings of a word, by the same mouth, do not correlate, while a copy does at the right shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import load_audio
from audiornn.corpus.manifest import Utterance
from audiornn.errors import AudioError

__all__ = ["Duplicate", "find_duplicates"]

_MOST_HOLDERS = 30  # of a key that more utterances have, a steady vowel's, only neighbours are paired
_LEAST_SHARED = 4  # keys at one shift that make a candidate
_MOST_CANDIDATES = 3000
_RATE = 8000  # Hz, of the comparison
_LONGEST = 8.0  # seconds compared
_LEAST_OVERLAP = 0.25  # seconds, and half of the shorter recording
_SLACK = 400  # samples to either side of the shift that the fingerprints name
_FINE = 4  # steps a sample
_PERIOD = 8  # samples, the shortest period looked for
_PERIODIC = 0.95  # correlation at another shift, as a share of that at the best
_SAME = 0.75  # correlation of whitened samples from which two recordings are one
_SAME_SHORT = 0.9  # of less than a word: a few periods of one vowel look alike
_SHORT = 0.6  # seconds


@dataclass(frozen=True)
class Duplicate:
    """Two utterances with one sound.

    Attributes:
        first: index of the one that comes first.
        second: index of the other.
        similarity: 1 where the samples are the same; else the correlation at the best shift.
        overlap: seconds that they share; NaN where all samples are the same.
    """

    first: int
    second: int
    similarity: float
    overlap: float


def find_duplicates(
    utterances: Sequence[Utterance],
    identities: NDArray[np.uint64],
    keys: NDArray[np.uint32],
    owners: NDArray[np.int64],
) -> list[Duplicate]:
    """Pairs of utterances that hold the same sound, though neither stretch nor file is the same.

    Args:
        utterances: of the whole corpus.
        identities: a hash of each one's samples; 0 of those that are left out.
        keys: fingerprints of all, (keys, 2): key and frame.
        owners: index of the utterance of each key.

    Returns:
        One for each utterance that repeats another's samples, and one for each near-identical pair.
    """
    found = _identical(identities)
    again = {d.second for d in found}
    candidates = _candidates(keys, owners, again)
    for (first, second), shift in candidates.items():
        if utterances[first].audio == utterances[second].audio:
            continue  # stretches of one file: the manifest itself tells whether they overlap
        similarity, overlap = _compare(utterances[first], utterances[second], shift / 100)
        if similarity >= (_SAME_SHORT if overlap < _SHORT else _SAME):
            found.append(Duplicate(first, second, similarity, overlap))
    return sorted(found, key=lambda d: (d.first, d.second))


def _identical(identities: NDArray[np.uint64]) -> list[Duplicate]:
    """Each utterance whose samples another had before it, with the first that had them."""
    order = np.argsort(identities, kind="stable")
    found, first = [], -1
    for i in order.tolist():
        if first < 0 or not identities[i] or identities[i] != identities[first]:
            first = i
        else:
            found.append(Duplicate(first, i, 1.0, float("nan")))
    return found


def _candidates(
    keys: NDArray[np.uint32], owners: NDArray[np.int64], left_out: set[int]
) -> Mapping[tuple[int, int], int]:
    """Pairs that share keys at one shift, and that shift in frames; those that share the most first."""
    if left_out:
        kept = ~np.isin(owners, np.fromiter(left_out, np.int64))
        keys, owners = keys[kept], owners[kept]
    order = np.lexsort((owners, keys[:, 0]))
    key, frame, owner = keys[order, 0], keys[order, 1].astype(np.int64), owners[order]
    common = np.unique(key[_MOST_HOLDERS:][key[_MOST_HOLDERS:] == key[:-_MOST_HOLDERS]])
    pairs = []
    for step in range(1, _MOST_HOLDERS):
        same = np.flatnonzero((key[step:] == key[:-step]) & (owner[step:] != owner[:-step]))
        if step > 1:
            same = same[~np.isin(key[same], common)]
        shift = frame[same + step] - frame[same]
        pairs.append(_packed(owner[same], owner[same + step], shift))  # sorted: the first comes first
    return _most_shared(np.concatenate(pairs))


#: A pair and its shift in one number, which sorts and counts in a third of the memory: two million utterances, and
#: shifts of up to three hours.
_BITS = 21


def _packed(first: NDArray[np.int64], second: NDArray[np.int64], shift: NDArray[np.int64]) -> NDArray[np.int64]:
    middle = 1 << (_BITS - 1)
    near = np.abs(shift) < middle
    packed: NDArray[np.int64] = (((first << _BITS) | second) << _BITS | (shift + middle))[near]
    return packed


def _most_shared(pairs: NDArray[np.int64]) -> dict[tuple[int, int], int]:
    """Of packed (first, second, shift) the pairs that occur most at one shift, give or take a frame."""
    codes, counts = np.unique(pairs, return_counts=True)
    follows = np.diff(codes) == 1  # the next shift of the same pair: a frame's rounding
    counts[:-1] += np.where(follows, counts[1:], 0)
    enough = counts >= _LEAST_SHARED
    best: dict[tuple[int, int], tuple[int, int]] = {}
    mask = (1 << _BITS) - 1
    for code, count in zip(codes[enough].tolist(), counts[enough].tolist(), strict=True):
        pair, shift = (code >> 2 * _BITS, (code >> _BITS) & mask), (code & mask) - (1 << (_BITS - 1))
        if count > best.get(pair, (0, 0))[0]:
            best[pair] = (count, shift)
    ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:_MOST_CANDIDATES]
    return {pair: shift for pair, (_, shift) in ranked}


def _compare(a: Utterance, b: Utterance, shift: float) -> tuple[float, float]:
    """Correlation of two recordings at their best shift near `shift` (b is later by it), and the seconds they share."""
    try:
        begin_a, begin_b = max(0.0, -shift), max(0.0, shift)
        x = _whitened(a, begin_a)
        y = _whitened(b, begin_b)
    except AudioError:
        return 0.0, 0.0
    n = 1 << int(np.ceil(np.log2(len(x) + len(y))))
    spectrum = np.fft.rfft(x, n).conj() * np.fft.rfft(y, n)
    correlation = _FINE * np.fft.irfft(spectrum, _FINE * n)  # between the samples, too: a cut falls where it likes
    lags = np.arange(-_FINE * _SLACK, _FINE * _SLACK + 1)
    best = int(np.argmax(np.abs(correlation[lags])))
    away = np.abs(lags - lags[best]) > _FINE * _PERIOD
    if np.abs(correlation[lags[away]]).max() > _PERIODIC * np.abs(correlation[lags[best]]):
        return 0.0, 0.0  # a tone is like every tone of its pitch
    lag = round(lags[best] / _FINE)
    overlap = min(len(x) + min(0, lag), len(y) - max(0, lag))
    shorter = min(_LONGEST, begin_a + len(x) / _RATE, begin_b + len(y) / _RATE)
    if overlap < max(_LEAST_OVERLAP, 0.5 * shorter) * _RATE:
        return 0.0, 0.0
    x, y = x[max(0, -lag) :][:overlap], y[max(0, lag) :][:overlap]
    scale = float(np.sqrt(np.dot(x, x) * np.dot(y, y)))
    return (min(0.999, abs(float(correlation[lags[best]])) / scale) if scale else 0.0), overlap / _RATE


def _whitened(utterance: Utterance, begin: float) -> NDArray[np.float32]:
    """Samples with their spectral slope and hum taken off: what tells one recording from the next."""
    remaining = None if utterance.duration is None else max(0.0, utterance.duration - begin)
    length = _LONGEST if remaining is None else min(_LONGEST, remaining)
    try:
        samples = load_audio(utterance.audio, _RATE, start=utterance.start + begin, duration=length)
    except AudioError:
        samples = load_audio(utterance.audio, _RATE, start=utterance.start + begin)[: round(_LONGEST * _RATE)]
    return np.diff(samples, prepend=samples[:1]).astype(np.float32)
