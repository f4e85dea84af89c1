"""A recording that may never end: its phrases as soon as they are over, its keywords as soon as they are heard."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from audiornn.audio import Waveform
from audiornn.errors import AudioError
from audiornn.listen.formats import PAUSE, Phrase, phrases
from audiornn.listen.results import TimedLabel
from audiornn.listen.sample_streams import Stream

__all__ = ["Found", "LivePhrases", "Stopped", "live_findings", "live_phrases"]


Found = TypeVar("Found")


class _Stream(Protocol[Found]):
    def push(self, samples: Any) -> list[Found]: ...
    def finish(self) -> list[Found]: ...


@dataclass(frozen=True)
class Stopped:
    """The recording broke off; what had been heard until then was given.

    Attributes:
        reason: why.
        heard: whether anything was; less than one window is nothing.
    """

    reason: AudioError
    heard: bool


def live_phrases(stream: Stream, blocks: Iterable[Waveform], *, name: str) -> Iterator[Phrase | Stopped]:
    """The phrases of a recording of words, each as soon as a pause shows that it is over.

    Args:
        stream: a new one.
        blocks: samples at its rate.
        name: what to call the recording in an error.
    """
    live = LivePhrases()
    for heard in _heard(stream, blocks, name):
        if isinstance(heard, Stopped):
            yield heard
        else:
            words, over = heard
            yield from live.push(words, math.inf if over else stream.settled)


def live_findings(stream: _Stream[Found], blocks: Iterable[Waveform], *, name: str) -> Iterator[Found | Stopped]:
    """What a stream finds, keywords or segments, each as soon as it is decided; arguments as of `live_phrases`."""
    for heard in _heard(stream, blocks, name):
        if isinstance(heard, Stopped):
            yield heard
        else:
            yield from heard[0]


def _heard(
    stream: _Stream[Found], blocks: Iterable[Waveform], name: str
) -> Iterator[tuple[list[Found], bool] | Stopped]:
    """What a stream gives of each block, and whether the recording is over; last, that it broke off, if it did."""
    reason: AudioError | None = None
    try:
        for samples in blocks:
            yield stream.push(samples), False
    except AudioError as error:
        reason = error
    except KeyboardInterrupt:  # the way to end a microphone; what it heard last is wanted all the same
        pass
    heard = True
    try:
        yield stream.finish(), True
    except AudioError as error:
        heard = False
        reason = reason or AudioError(str(error).replace("the stream", name))
    if reason is not None:
        yield Stopped(reason, heard)


class LivePhrases:
    """Words in as they are settled, phrases out as they are over: those of `phrases` of all words at once."""

    def __init__(self) -> None:
        self._words: list[TimedLabel] = []  # of the phrase that is not over

    def push(self, words: list[TimedLabel], settled: float) -> list[Phrase]:
        """Take the next words; no other begins before `settled` seconds."""
        self._words += words
        if not self._words:
            return []
        over = phrases(self._words)
        if over and settled - self._words[-1].end <= PAUSE:
            self._words = list(over.pop().words)
        else:
            self._words = []
        return over
