"""Long labelled recordings in stretches that a network can be trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from audiornn.audio import audio_info
from audiornn.corpus.manifest import Segment, Utterance

__all__ = ["cut_labelled"]


def cut_labelled(splits: Mapping[str, Sequence[Utterance]], seconds: float) -> dict[str, list[Utterance]]:
    """The splits with train and dev in stretches of equal length; test stays whole, as recordings will be.

    A segment that a cut goes through is in both stretches, each with its part.

    Args:
        splits: utterances by split.
        seconds: the longest stretch; zero cuts nothing.

    Raises:
        AudioError: a recording whose header cannot be read.
    """
    if not seconds:
        return {name: list(utterances) for name, utterances in splits.items()}
    return {
        name: [part for u in utterances for part in (_parts(u, seconds) if name != "test" else [u])]
        for name, utterances in splits.items()
    }


def _parts(utterance: Utterance, seconds: float) -> list[Utterance]:
    duration = utterance.duration or audio_info(utterance.audio).duration - utterance.start
    n = math.ceil(duration / seconds)
    if n <= 1:
        return [utterance]
    length = duration / n
    return [
        replace(
            utterance,
            id=f"{utterance.id}@{utterance.start + i * length:.3f}",
            start=round(utterance.start + i * length, 6),
            duration=round(length, 6),
            segments=_clipped(utterance.segments, i * length, (i + 1) * length, outside=(i == 0, i == n - 1)),
        )
        for i in range(n)
    ]


def _clipped(segments: Sequence[Segment], first: float, last: float, outside: tuple[bool, bool]) -> tuple[Segment, ...]:
    """Segments of a stretch; those that lie outside the recording stay with its first or last, for prep to name."""
    low = -math.inf if outside[0] else first
    high = math.inf if outside[1] else last
    return tuple(
        Segment(round(max(s.start, low) - first, 6), round(min(s.end, high) - first, 6), s.label)
        for s in segments
        if s.end > low and s.start < high
    )
