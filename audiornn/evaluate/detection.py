"""Counts of a spotter: what it missed, how often it fired by mistake, and what the hours tested can show.

A miss rate is a proportion and has a binomial interval; false alarms come at a rate an hour and have a Poisson one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import gammaincinv

from audiornn.evaluate.error_rates import wilson_interval

__all__ = [
    "TOLERANCE",
    "DetPoint",
    "DetectionCount",
    "KeywordRow",
    "Matches",
    "Span",
    "choose_threshold",
    "hours_needed",
    "keyword_row",
    "match_hits",
    "poisson_interval",
    "poisson_upper",
]

#: Seconds by which the middle of a hit may lie outside the word (NIST's spoken term detection, Fiscus et al. 2007).
TOLERANCE = 0.5
Span = tuple[float, float]  # start and end, in seconds


@dataclass(frozen=True)
class Matches:
    """Hits laid against references of one recording.

    Attributes:
        pairs: numbers of a hit and of the reference it found; each is in one pair at most.
        missed: numbers of references that no hit found.
        false_alarms: numbers of hits that found none.
    """

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    false_alarms: tuple[int, ...]


def match_hits(hits: Sequence[Span], references: Sequence[Span], tolerance: float = TOLERANCE) -> Matches:
    """Match as many hits as can be: the middle of a hit lies in its reference, or `tolerance` seconds beside it.

    A second hit at a word that was found already is a false alarm.
    """
    middles = [(start + end) / 2 for start, end in hits]
    free = set(range(len(references)))
    pairs = []
    # Hits in order, each to the reference that is over first: no matching of points to stretches has more pairs.
    for hit in sorted(range(len(hits)), key=lambda i: middles[i]):
        near = [r for r in free if references[r][0] - tolerance <= middles[hit] <= references[r][1] + tolerance]
        if near:
            found = min(near, key=lambda r: (references[r][1], references[r][0], r))
            free.remove(found)
            pairs.append((hit, found))
    taken = {hit for hit, _ in pairs}
    return Matches(tuple(sorted(pairs)), tuple(sorted(free)), tuple(i for i in range(len(hits)) if i not in taken))


@dataclass(frozen=True)
class DetectionCount:
    """A keyword's hits over recordings: how often it was said, found, and heard where it was not."""

    said: int
    found: int
    false_alarms: int

    @property
    def missed(self) -> int:
        """How often it was said and not found."""
        return self.said - self.found


@dataclass(frozen=True)
class DetPoint:
    """One threshold of a detection error trade-off curve (Martin et al. 1997)."""

    threshold: float
    missed: int
    false_alarms: int
    miss_rate: float
    false_alarms_per_hour: float


@dataclass(frozen=True)
class KeywordRow:
    """How well a keyword is spotted.

    Attributes:
        keyword: which; or "all".
        threshold: its onset; None of all together.
        said: how often it was said.
        missed: and not found.
        miss_rate: missed / said; None if it was never said.
        miss_interval: 95 %, Wilson's.
        false_alarms: hits where it was not said.
        hours: of the recordings, in which it might have been heard by mistake.
        false_alarms_per_hour: false_alarms / hours.
        false_alarm_interval: 95 %, exact Poisson limits.
        shows_under: what the rate is shown to be under: its one-sided 95 % limit.
        latency: seconds from a word's end to when its hit is told, median and 95th percentile, where times are known.
        det: its curve.
    """

    keyword: str
    threshold: float | None
    said: int
    missed: int
    miss_rate: float | None
    miss_interval: tuple[float, float]
    false_alarms: int
    hours: float
    false_alarms_per_hour: float
    false_alarm_interval: tuple[float, float]
    shows_under: float
    latency: tuple[float, float] | None = None
    det: tuple[DetPoint, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def keyword_row(
    keyword: str,
    threshold: float | None,
    count: DetectionCount,
    hours: float,
    latencies: Sequence[float] = (),
    det: Sequence[DetPoint] = (),
) -> KeywordRow:
    """A row of a report from its counts; `latencies` in seconds."""
    low, high = poisson_interval(count.false_alarms)
    latency = None
    if len(latencies):
        median, late = np.percentile(latencies, [50, 95])
        latency = (round(float(median), 4), round(float(late), 4))
    return KeywordRow(
        keyword=keyword,
        threshold=threshold,
        said=count.said,
        missed=count.missed,
        miss_rate=count.missed / count.said if count.said else None,
        miss_interval=wilson_interval(count.missed, count.said),
        false_alarms=count.false_alarms,
        hours=hours,
        false_alarms_per_hour=count.false_alarms / hours,
        false_alarm_interval=(low / hours, high / hours),
        shows_under=poisson_upper(count.false_alarms) / hours,
        latency=latency,
        det=tuple(det),
    )


def choose_threshold(curve: Sequence[DetPoint], false_alarms_per_hour: float) -> tuple[DetPoint, bool]:
    """The threshold with the fewest misses among those whose false alarms an hour are at most so many.

    Several with as few misses are alike on these recordings; the middle one is farthest from doing worse on others.

    Returns:
        The point, and whether it keeps to the target; if none does, the one with the fewest false alarms.
    """
    within = [point for point in curve if point.false_alarms_per_hour <= false_alarms_per_hour]
    if not within:
        fewest = min(point.false_alarms for point in curve)
        within = [point for point in curve if point.false_alarms == fewest]
        reached = False
    else:
        reached = True
    least = min(point.missed for point in within)
    best = sorted((point for point in within if point.missed == least), key=lambda point: point.threshold)
    return best[len(best) // 2], reached


def poisson_interval(n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact two-sided limits of a Poisson mean of which n events were seen (Garwood 1936)."""
    tail = (1 - level) / 2
    return (float(gammaincinv(n, tail)) if n else 0.0), float(gammaincinv(n + 1, 1 - tail))


def poisson_upper(n: int, level: float = 0.95) -> float:
    """The mean that is so large that n events or fewer would have had a probability of only 1 − level."""
    return float(gammaincinv(n + 1, level))


def hours_needed(per_hour: float, n: int = 0, level: float = 0.95) -> float:
    """Hours that show a rate to be under `per_hour` if n false alarms come in them; with none, 3 / per_hour."""
    return poisson_upper(n, level) / per_hour
