"""What is decided once a network is trained: a keyword's threshold, and how sure a word is."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["aligned_confidence", "confidence_loss", "onset"]

Array = NDArray[np.float64]

TAIL = 12  # of the loudest peaks, that say how the tail goes on


def log_odds(p: Array) -> Array:
    """The log of p / (1 − p), at most that of 1 − 10⁻⁶."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return np.log(p / (1 - p))


def onset(answers: Array, alarms: Array, hours: float, per_hour: float, synthetic: float = 0.0) -> float:
    """A keyword's threshold for so many false alarms an hour.

    Args:
        answers: its scores, one for each time that it was said.
        alarms: peaks of all else, in any order.
        hours: in which they were heard.
        per_hour: false alarms allowed.
        synthetic: share of the hours that synthetic voices speak.

    Where the hours allow three or more these are counted. Where they allow fewer, the log-odds of the loudest peaks are
    taken to thin out exponentially beyond them (Pickands 1975), by their mean excess (Hill 1975); and the threshold
    lies half-way from there to the median of the words, or nearer to the words where synthetic voices speak.
    """
    peaks, n_allowed = np.sort(alarms)[::-1], per_hour * hours
    if n_allowed >= 3 and len(peaks) > n_allowed:
        n = math.floor(n_allowed)
        return max(0.01, float(peaks[n - 1] + peaks[n]) / 2)
    loudest = float(log_odds(peaks[:1])[0]) if len(peaks) else 0.0
    heard = np.array([odds for odds in log_odds(np.sort(answers)) if odds > loudest + 1e-9])
    words = float(np.median(heard)) if len(heard) else loudest
    place = max(0.0, loudest)
    if len(peaks) > TAIL:
        odds = log_odds(peaks[: TAIL + 1])
        excess = max(1e-3, float((odds[:TAIL] - odds[TAIL]).mean()))
        place = odds[TAIL] + excess * math.log(TAIL / n_allowed)
    place = min(max(place, loudest), (loudest + words) / 2)
    way = (2 + synthetic) / 4
    return max(0.01, 1 / (1 + math.exp(-(1 - way) * place - way * words)))


def confidence_loss(curve: Array, p: Array, right: Array) -> tuple[float, Array]:
    """What a word's calibration minimises, with its gradient to the curve (slope, intercept) of log-odds (Platt 1999).

    Args:
        curve: (2,).
        p: words' probabilities as their symbols have them, (words,).
        right: 1 where the word was right, 0 where not.

    Ten words' belief in (1, 0) is added: a curve's difference from it is weighed at typical words, by ¼, the steepest
    that σ is; and a little by itself, for words that are all alike.
    """
    x = np.stack([log_odds(p), np.ones(len(p))], axis=1)
    a, away = x @ curve, curve - [1.0, 0.0]
    loss = np.logaddexp(0.0, a).sum() - right @ a + 10 * np.square(x @ away).mean() / 8 + 1e-3 * (away @ away) / 2
    said = 1 / (1 + np.exp(-a))
    return float(loss), x.T @ (said - right) + 10 * x.T @ (x @ away) / len(x) / 4 + 1e-3 * away


def aligned_confidence(log_y: Array, path: NDArray[np.int64], stretch: tuple[int, int], n_symbols: int) -> float:
    """How well a word of a text fits where it was aligned.

    Args:
        log_y: (T, K) log-probabilities.
        path: (T,) the aligned path's symbols.
        stretch: the word's first frame and one past its last, from the middle of the gap before it to that after.
        n_symbols: of the word.
    """
    score = sum(log_y[t, path[t]] - log_y[t].max() for t in range(*stretch)) / (n_symbols + 1)
    return 1 / (1 + math.exp(-1.5 * (score + 2.5)))
