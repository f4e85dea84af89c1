"""The threshold of a keyword for a number of false alarms an hour, from the loudest that was heard of all else.

Hours of dev are mostly few: where no false alarm is allowed in them at all, the loudest peak says little of what an
hour brings. So the rate at which peaks exceed a threshold is carried on beyond them, as their log-odds thin out:
exponentially, as tails do (Pickands 1975), by the mean excess of the loudest ones (Hill 1975).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["APART", "FEW", "Onset", "choose_onset", "excursion", "loudest_peaks"]

APART = 1.0  # seconds from a false alarm to the next
FEW = 3.0  # allowed false alarms from which on they are counted and not extrapolated
_TAIL = 12  # of the loudest peaks, that say how the tail goes on
#: Of the way from there to the words: a few people's tail says too little of what others bring, synthetic voices' less.
_OF_PEOPLE, _OF_SYNTHETIC_VOICES = 0.5, 0.75
_LEAST_EXCESS = 1e-3
_SURE = 1e-6  # log-odds end here: float32 posteriors say no more


@dataclass(frozen=True)
class Onset:
    """A keyword's threshold, the false alarms an hour to expect, and whether those were counted or extrapolated."""

    threshold: float
    per_hour: float
    is_counted: bool

    def warning(
        self,
        keyword: str,
        false_alarms_per_hour: float,
        answers: NDArray[np.float64],
        alarms: NDArray[np.float64],
        hours: float,
    ) -> str:
        """What to say where the threshold misses all, or will not keep to the target; empty where all is well.

        The arguments are those that `choose_onset` had.
        """
        if len(answers) and not (answers >= self.threshold).any():
            half = float(np.median(answers))
            return (
                f"{keyword}: no threshold finds it at {false_alarms_per_hour:g} false alarms an hour: all "
                f"{len(answers)} are missed at {self.threshold:g}, and at {half:.4g}, which finds half, "
                f"{(alarms >= half).sum() / hours:.3g} false alarms an hour are heard; is the word said in the "
                "background? else more recordings of it, more background to train on, or a longer training"
            )
        if self.per_hour <= 1.5 * false_alarms_per_hour:
            return ""
        return (
            f"{keyword}: expect up to {self.per_hour:.2g} false alarms an hour, "
            f"more than the {false_alarms_per_hour:g} asked for: the best there is, or half the words may be missed; "
            "more background to train on, more recordings of the word, or a longer training"
        )


def choose_onset(
    answers: NDArray[np.float64],
    alarms: NDArray[np.float64],
    hours: float,
    false_alarms_per_hour: float,
    synthetic: float = 0.0,
) -> Onset:
    """A keyword's threshold that keeps to so many false alarms an hour, as far as these hours can tell.

    Where they allow three or more, those are counted: the threshold lies half-way between the last that is allowed and
    the next. Where they allow fewer, the tail is extrapolated; and since a few voices' tail says too little of what
    others bring, the threshold lies half-way, in log-odds, from there to what every other of the keyword's own answers
    reaches, those apart that lie below the loudest peak: it is above that in any case. Where only synthetic voices were
    heard it lies three quarters of the way, and where they were heard for a part of the time, in between
    (docs/ablation.md).

    Args:
        answers: the highest score each time that the keyword was said.
        alarms: the peaks of all else, the highest first.
        hours: in which both were heard.
        false_alarms_per_hour: the target, above 0.
        synthetic: share of those hours that synthetic voices speak.
    """
    n_allowed = false_alarms_per_hour * hours
    if n_allowed >= FEW and len(alarms) > n_allowed:
        n = int(n_allowed)
        threshold = _rounded_up(max((alarms[n - 1] + alarms[n]) / 2, alarms[n] + _SURE))  # above the next, if they tie
        return Onset(threshold, float((alarms >= threshold).sum()) / hours, True)
    loudest = _log_odds(float(alarms[0]) + _SURE if len(alarms) else 0.5)
    heard = _log_odds(answers)
    heard = heard[heard > loudest]  # the others are lost in any case
    typical = float(np.median(heard)) if len(heard) else loudest
    tail = _Tail(_log_odds(alarms[: _TAIL + 1])) if len(alarms) > _TAIL else None
    place = max(0.0, loudest) if tail is None else tail.place(n_allowed)
    place = min(max(place, loudest), (loudest + typical) / 2)
    way = _OF_PEOPLE + synthetic * (_OF_SYNTHETIC_VOICES - _OF_PEOPLE)
    threshold = _rounded_up(1 / (1 + math.exp(-(place + way * (typical - place)))))
    expected = float((alarms >= threshold).sum())
    if tail is not None:
        expected = max(expected, tail.number_beyond(_log_odds(threshold)))
    return Onset(threshold, expected / hours, False)


class _Tail:
    """How the number of peaks beyond a place in log-odds falls off; `odds` are those of the loudest, highest first."""

    def __init__(self, odds: NDArray[np.float64]) -> None:
        self._begin = float(odds[_TAIL])
        self._excess = max(_LEAST_EXCESS, float(np.mean(odds[:_TAIL] - odds[_TAIL])))

    def place(self, n_peaks: float) -> float:
        """Beyond which so many peaks lie."""
        return self._begin + self._excess * math.log(_TAIL / max(1e-9, n_peaks))

    def number_beyond(self, place: float) -> float:
        """Peaks beyond a place, mostly less than one."""
        return _TAIL * math.exp(-(place - self._begin) / self._excess)


def loudest_peaks(
    values: NDArray[np.float64], n_apart: int, least: float = 1e-4, *, over_below: float = 1.0
) -> list[tuple[int, float]]:
    """Frame and value of the peaks of (frames,), the highest first, none nearer than `n_apart` frames to a higher.

    Args:
        values: scores, (frames,).
        n_apart: frames from a peak to a lower one.
        least: a quieter one is none.
        over_below: the share of a peak below which it is over: what has not sunk so far is the same peak.
    """
    rest = values.copy()
    peaks = []
    loud = np.flatnonzero(values > least)
    for frame in loud[np.argsort(-values[loud], kind="stable")].tolist():
        if (value := float(rest[frame])) <= least:
            continue  # within reach of a higher one
        peaks.append((frame, value))
        first, last = excursion(rest, frame, over_below)
        rest[max(0, min(first, frame - n_apart)) : max(last, frame + n_apart + 1)] = 0.0
    return peaks


def excursion(values: NDArray[np.float64], frame: int, over_below: float) -> tuple[int, int]:
    """The first frame, and one past the last, of the run around a frame that stays above a share of its value."""
    least = over_below * values[frame]
    return frame - _run(values[: frame + 1][::-1], least) + 1, frame + _run(values[frame:], least)


def _run(values: NDArray[np.float64], least: float) -> int:
    """How many values from the first on are no lower; bit by bit, for most runs are short and the rest is long."""
    n, step = 0, 64
    while n < len(values):
        low = np.flatnonzero(values[n : n + step] < least)
        if len(low):
            return n + int(low[0])
        n, step = n + step, 2 * step
    return len(values)


def _rounded_up(threshold: float) -> float:
    return math.ceil(1e6 * min(1 - _SURE, max(0.01, threshold))) / 1e6


@overload
def _log_odds(p: float) -> float: ...


@overload
def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]: ...


def _log_odds(p: float | NDArray[np.float64]) -> float | NDArray[np.float64]:
    """Ln p / (1 − p), within what float32 tells apart."""
    within = np.clip(p, _SURE, 1 - _SURE)
    odds = np.log(within / (1 - within))
    return float(odds) if isinstance(p, float) else odds
