"""Recordings in blocks: samples at any rate in, features out, and through a network block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Resampler, Waveform, to_mono
from audiornn.errors import AudioError
from audiornn.features import FeatureExtractor, Features, FeatureSettings
from audiornn.listen.streaming import LogProbStream

__all__ = ["FeatureBlocks", "Samples", "at_rate", "check_length", "through"]

Samples = NDArray[Any]


class FeatureBlocks:
    """The features of a recording whose samples come in blocks, and when all have come its duration."""

    def __init__(self, extractor: FeatureExtractor, blocks: Iterable[Waveform], name: str) -> None:
        self._settings = extractor.settings
        self._stream = extractor.stream()
        self._blocks, self._name = iter(blocks), name
        self._n_samples = 0
        self.ended = False

    @property
    def duration(self) -> float:
        """Seconds so far."""
        return self._n_samples / self._settings.sample_rate

    def __iter__(self) -> Iterator[Features]:
        while not self.ended:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
                check_length(self._n_samples, self._settings, self._name)
                yield self._stream.finish()
            else:
                self._n_samples += len(block)
                yield self._stream.push(block)

    def first(self, seconds: float) -> Features:
        """The features of the beginning: of all, or of somewhat more than so many seconds."""
        beginning = [np.empty((0, self._settings.n_features), np.float32)]
        for features in self:
            beginning.append(features)
            if self.duration > seconds:
                break
        return np.concatenate(beginning)


def through(
    stream: LogProbStream,
    blocks: Iterable[Features],
    heard: FeatureBlocks,
    progress: Callable[[float], None],
) -> Iterator[NDArray[np.float32]]:
    """What a stream gives of blocks of features; `heard` knows the seconds so far."""
    for block in blocks:
        yield stream.push(block)
        progress(heard.duration)
    yield stream.finish()


def check_length(n_samples: int, settings: FeatureSettings, name: str) -> None:
    """A recording holds one window at least.

    Raises:
        AudioError: it is shorter.
    """
    if n_samples < settings.win_length:
        raise AudioError(
            f"{name}: too short: {1000 * n_samples / settings.sample_rate:.3g} ms, one window takes "
            f"{1000 * settings.win_length / settings.sample_rate:g} ms; was the recording cut off?"
        )


def at_rate(blocks: Iterable[Samples], sample_rate: int, target_rate: int, channel: int | None) -> Iterator[Waveform]:
    """Blocks of samples as the model takes them."""
    resample = Resampler(sample_rate, target_rate)
    for block in blocks:
        if np.asarray(block).size:
            yield resample(to_mono(block, channel=channel, name="the blocks"), last=False)
    yield resample(np.empty(0, np.float32), last=True)
