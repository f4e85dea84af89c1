"""Long recordings in stretches that a network can be trained on, and that splits can divide."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import replace

from audiornn.audio import audio_info
from audiornn.corpus.collection import Collection
from audiornn.corpus.manifest import Segment, Utterance
from audiornn.corpus.splitting import SOME_STRETCHES, are_of_few
from audiornn.errors import AudioError

__all__ = ["LONGEST", "STRETCH", "cut_few", "cut_long", "equal_parts"]

#: Seconds of a stretch, and of a recording that is left whole.
STRETCH, LONGEST = 20.0, 30.0

_SOME, _SHORTEST = 80, 2.0  # stretches of a few recordings, and seconds of one
_REACH = 0.25  # of a stretch, by which a cut may move: none gets longer than `LONGEST` so


def cut_long(splits: Mapping[str, Sequence[Utterance]], seconds: float) -> dict[str, list[Utterance]]:
    """The splits with train and dev in stretches of about equal length; test stays whole, as recordings will be.

    Cuts lie in pauses. Where there is none, a segment that a cut goes through is in both stretches, each with its part.

    Args:
        splits: utterances by split.
        seconds: the length of a stretch; recordings up to half as long again stay whole, and what cannot be read, for
            `prep` to name. Zero cuts nothing.
    """
    if not seconds:
        return {name: list(utterances) for name, utterances in splits.items()}
    return {
        name: [part for u in utterances for part in (_parts(u, seconds) if name != "test" else [u])]
        for name, utterances in splits.items()
    }


def cut_few(collection: Collection) -> Collection:
    """A collection of a few long recordings in stretches, so that `split` can divide one tape; else as it is.

    Few are those that leave none to hold out: by fewer than three known speakers, without splits of the source's own,
    and fewer than eight, or nearly each with a label that no other has. What is too short for thirty stretches stays
    whole.
    """
    if collection.task not in ("label", "regress") or collection.splits or not are_of_few(collection.utterances):
        return collection
    total = sum(_duration(u) for u in collection.utterances)
    seconds = max(_SHORTEST, min(STRETCH, total / _SOME))
    cut = tuple(part for u in collection.utterances for part in _parts(u, seconds))
    return replace(collection, utterances=cut) if len(cut) >= SOME_STRETCHES else collection


def equal_parts(utterance: Utterance, seconds: float, *, longest: float = 0.0) -> list[Utterance]:
    """A recording in equal parts of about `seconds`, wherever the cuts fall; whole if that is no more than `longest`.

    What cannot be read stays whole, too, for `prep` to name.
    """
    duration = _duration(utterance)
    n = round(duration / seconds)
    if n < 2 or duration <= longest:
        return [utterance]
    length = int(1000 * duration / n) / 1000  # whole milliseconds, and never beyond the end
    starts = [round(utterance.start + i * length, 3) for i in range(n)]
    return [replace(utterance, id=f"{utterance.id}@{start:.3f}", start=start, duration=length) for start in starts]


def _duration(utterance: Utterance) -> float:
    """In seconds; zero if the recording cannot be read."""
    try:
        return utterance.duration or audio_info(utterance.audio).duration - utterance.start
    except AudioError:
        return 0.0


def _parts(utterance: Utterance, seconds: float) -> list[Utterance]:
    duration = _duration(utterance)
    if duration <= seconds * LONGEST / STRETCH:
        return [utterance]
    cuts = _cuts(utterance.segments, duration, math.ceil(duration / seconds))
    track_start = utterance.track_start
    if utterance.track is not None and track_start is None:
        track_start = utterance.start
    return [
        replace(
            utterance,
            id=f"{utterance.id}@{utterance.start + first:.3f}",
            start=round(utterance.start + first, 6),
            duration=round(last - first, 6),
            segments=_clipped(utterance.segments, first, last, outside=(not first, last == duration)),
            track_start=track_start,
        )
        for first, last in zip([0.0, *cuts], [*cuts, duration], strict=True)
    ]


def _cuts(segments: Sequence[Segment], duration: float, n: int) -> list[float]:
    """Where n stretches of `duration` seconds meet: evenly spread, but in a pause where one is near."""
    length = duration / n
    pauses = _pauses(segments)
    cuts = []
    for even in (i * length for i in range(1, n)):
        after = bisect(pauses, even)
        nearest = min(pauses[max(0, after - 1) : after + 1], key=lambda pause: abs(pause - even), default=math.inf)
        cuts.append(nearest if abs(nearest - even) <= _REACH * length else even)
    return cuts


def _pauses(segments: Sequence[Segment]) -> list[float]:
    """The middles of what lies between segments, and where one ends as the next begins."""
    pauses, end = [], -math.inf
    for segment in sorted(segments):
        if end <= segment.start + 1e-6 and end > -math.inf:
            pauses.append((end + segment.start) / 2)
        end = max(end, segment.end)
    return pauses


def _clipped(segments: Sequence[Segment], first: float, last: float, outside: tuple[bool, bool]) -> tuple[Segment, ...]:
    """Segments of a stretch; those that lie outside the recording stay with its first or last, for prep to name."""
    low = -math.inf if outside[0] else first
    high = math.inf if outside[1] else last
    found = []
    for s in segments:
        start, end = (round(second - first, 6) for second in (max(s.start, low), min(s.end, high)))
        if s.end > low and s.start < high and (end > start or s.end <= s.start):  # no part that rounding leaves empty
            found.append(Segment(start, end, s.label))
    return tuple(found)
