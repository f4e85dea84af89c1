"""Recordings that are being made: samples in, what is found in them out as soon as it is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Resampler, Waveform, to_mono
from audiornn.errors import AudioError
from audiornn.features import FeatureExtractor
from audiornn.listen.feature_blocks import Samples, check_length
from audiornn.listen.results import KeywordSpot, TimedLabel, TrackPoint
from audiornn.listen.streaming import LogProbStream
from audiornn.listen.words import Reader
from audiornn.model_file import ModelCard

if TYPE_CHECKING:
    from audiornn.listen.keywords import Spotter

__all__ = ["SpotStream", "Stream", "TrackStream"]

Found = TypeVar("Found")


class _Finder(Protocol[Found]):
    """Log-probabilities in, whatever is found in them out."""

    def push(self, log_probs: NDArray[np.float32]) -> list[Found]:
        """Take frames (output frames, symbols), any number; returns what is settled now."""

    def finish(self, duration: float) -> list[Found]:
        """Say that the recording ends here, after so many seconds; returns the rest."""


class _SampleStream(Generic[Found]):
    """A recording that is being made: samples in, whatever is found in them out as soon as it is settled."""

    def __init__(
        self,
        card: ModelCard,
        extractor: FeatureExtractor,
        log_probs: LogProbStream,
        sample_rate: int,
        finder: _Finder[Found],
    ) -> None:
        self._settings = card.features
        self._resample = Resampler(sample_rate, card.features.sample_rate)
        self._features = extractor.stream()
        self._log_probs = log_probs
        self._finder = finder
        self._n_samples = 0
        self._is_over = False

    @property
    def duration(self) -> float:
        """Seconds so far."""
        return self._n_samples / self._settings.sample_rate

    def push(self, samples: Samples) -> list[Found]:
        """Take samples, (samples,) or (samples, channels), any number; returns what is settled now.

        Raises:
            AudioError: of another shape, not finite, or after the end.
        """
        if not len(samples):
            return []
        if self._is_over:
            raise AudioError("the stream: is finished; begin another for another recording")
        return self._hear(self._resample(to_mono(samples, name="the stream"), last=False))

    def finish(self) -> list[Found]:
        """Say that the recording ends here; returns the rest.

        Raises:
            AudioError: it was shorter than one window, or is finished already.
        """
        if self._is_over:
            raise AudioError("the stream: is finished already")
        self._is_over = True
        found = self._hear(self._resample(np.empty(0, np.float32), last=True))
        check_length(self._n_samples, self._settings, "the stream")
        self._ends()
        found += self._finder.push(self._log_probs.push(self._features.finish()))
        found += self._finder.push(self._log_probs.finish())
        return found + self._finder.finish(self.duration)

    def _hear(self, waveform: Waveform) -> list[Found]:
        self._n_samples += len(waveform)
        features = self._features.push(waveform)
        return self._finder.push(self._log_probs.push(features)) if len(features) else []

    def _ends(self) -> None:
        """Tell who finds things that the samples end here, if it makes a difference."""


class Stream(_SampleStream[TimedLabel]):
    """Samples in, words or segments out as soon as they are settled.

    Whatever the blocks, all that it gives is what `transcribe` gives of the whole recording with the same look-ahead;
    labels that overlap come as they are over, not as they begin.
    """

    _finder: Reader

    @property
    def settled(self) -> float:
        """Seconds up to which all words are given; no other begins before."""
        return self._finder.settled

    @property
    def partial(self) -> str:
        """What was heard of the word that is not over yet; it may still change."""
        return self._finder.partial


class SpotStream(_SampleStream[KeywordSpot]):
    """Samples in, hits out as soon as they are decided.

    Whatever the blocks, all that it gives is what `spot` gives of the whole recording with the same look-ahead.
    """

    _finder: Spotter

    def _ends(self) -> None:
        self._finder.ends(self.duration)


class TrackStream(_SampleStream[TrackPoint]):
    """Samples in, the values of each frame out as soon as they are known.

    Whatever the blocks, all that it gives is what `track` gives of the whole recording with the same look-ahead.
    """
