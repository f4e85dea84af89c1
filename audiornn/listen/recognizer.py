"""The recogniser: a model file that listens.

A ladder, each step calling the one below:

transcribe(file) → transcribe_waveform(samples, rate) → transcribe_features(features) → log_probs(features)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import load_audio, source_name, to_waveform
from audiornn.errors import AudioError, ModelFileError
from audiornn.features import FeatureExtractor, Features, FeatureSettings
from audiornn.listen.decoding import DecodedSymbol, greedy_ctc, label_runs
from audiornn.model_file import ModelCard, open_model_file

__all__ = ["Classification", "Labelling", "Recognizer", "Result", "TimedLabel", "Transcript", "load_model"]


@dataclass(frozen=True)
class TimedLabel:
    """A word or a label with its place in the recording.

    Attributes:
        label: the word, or the label.
        start: seconds.
        end: seconds.
        posterior: the network's probability, averaged over the frames it was read from; not calibrated.
    """

    label: str
    start: float
    end: float
    posterior: float


@dataclass(frozen=True)
class Transcript:
    """What was said: the text, its words in time, and the recording's length in seconds."""

    text: str
    words: tuple[TimedLabel, ...]
    duration: float


@dataclass(frozen=True)
class Classification:
    """What kind of recording it is.

    Attributes:
        label: the most probable.
        probability: of that label.
        probabilities: of every label, summing to 1.
        duration: the recording's length in seconds.
    """

    label: str
    probability: float
    probabilities: dict[str, float]
    duration: float


@dataclass(frozen=True)
class Labelling:
    """Which label holds when: segments that tile the recording, and its length in seconds."""

    segments: tuple[TimedLabel, ...]
    duration: float


Result = Transcript | Classification | Labelling


def load_model(path: str | Path, *, threads: int = 1) -> Recognizer:
    """Load a model file.

    Args:
        path: of the file that `audiornn train` wrote.
        threads: onnxruntime may use for one recording.

    Raises:
        ModelFileError: missing, not a model file, or from a newer version.
    """
    session, card = open_model_file(path, threads=threads)
    return Recognizer(session, card)


class Recognizer:
    """A loaded model; it may be used from several threads.

    Attributes:
        card: what the model file says of itself.
    """

    def __init__(self, session: Any, card: ModelCard) -> None:
        self.card = card
        self._session = session
        self._extractor = FeatureExtractor(_listening(card))

    def transcribe(self, source: str | Path | IO[bytes], *, channel: int | None = None) -> Result:
        """Listen to a recording.

        Args:
            source: a path, `-` for standard input, or a binary file object.
            channel: the channel to take, from 1; None mixes all of them down.

        Returns:
            A `Transcript`, a `Classification` or a `Labelling`, as the model's task is.

        Raises:
            AudioError: the recording cannot be read, or is shorter than one window.
        """
        sample_rate = self.card.features.sample_rate
        waveform = load_audio(source, sample_rate, channel=channel)
        return self.transcribe_waveform(waveform, sample_rate, name=source_name(source))

    def transcribe_waveform(self, samples: NDArray[Any], sample_rate: int, *, name: str = "the waveform") -> Result:
        """Listen to samples in memory, (samples,) or (samples, channels), at any rate in Hz.

        Raises:
            AudioError: empty, not finite, or shorter than one window.
        """
        settings = self.card.features
        waveform = to_waveform(samples, sample_rate, settings.sample_rate, name=name)
        if len(waveform) < settings.win_length:
            raise AudioError(
                f"{name}: too short: {1000 * len(waveform) / settings.sample_rate:.3g} ms, one window takes "
                f"{1000 * settings.win_length / settings.sample_rate:g} ms; was the recording cut off?"
            )
        return self.transcribe_features(self._extractor(waveform), duration=len(waveform) / settings.sample_rate)

    def transcribe_features(self, features: Features, *, duration: float | None = None) -> Result:
        """Listen to features, (frames, n_features), of a recording of `duration` seconds."""
        if duration is None:
            duration = self.card.features.frames_to_seconds(len(features))
        log_probs = self.log_probs(features)
        if self.card.task == "classify":
            return self._classification(log_probs, duration)
        if self.card.task == "label":
            segments = self._timed(label_runs(log_probs), duration)
            return Labelling((*segments[:-1], replace(segments[-1], end=duration)), duration)
        symbols = greedy_ctc(log_probs)
        text = " ".join(self.card.vocabulary.join(symbol.id for symbol in symbols).split())
        return Transcript(text, self._words(symbols, duration), duration)

    def log_probs(self, features: Features) -> NDArray[np.float32]:
        """The network's log-probabilities: (output frames, symbols), or (labels,) of a classifier.

        Raises:
            ModelFileError: features of another shape than the model's.
        """
        expected = self.card.features.n_features
        if features.ndim != 2 or features.shape[1] != expected or not len(features):
            raise ModelFileError(f"features have shape {features.shape}, the model wants (frames, {expected})")
        inputs = {
            "features": np.ascontiguousarray(features[None], np.float32),
            "lengths": np.array([len(features)], np.int64),
        }
        log_probs: NDArray[np.float32] = self._session.run(["log_probs"], inputs)[0][0]
        return log_probs

    def _classification(self, log_probs: NDArray[np.float32], duration: float) -> Classification:
        probabilities = np.exp(log_probs.astype(np.float64))
        best = int(log_probs.argmax())
        labels = self.card.vocabulary.symbols
        return Classification(
            labels[best],
            float(probabilities[best]),
            dict(zip(labels, probabilities.tolist(), strict=True)),
            duration,
        )

    def _words(self, symbols: list[DecodedSymbol], duration: float) -> tuple[TimedLabel, ...]:
        """Join symbols to words; characters are parted by spaces."""
        if self.card.vocabulary.unit != "character":
            return self._timed(symbols, duration)
        words, current = [], []
        names = self.card.vocabulary.symbols
        for symbol in [*symbols, None]:
            if symbol is not None and names[symbol.id] != " ":
                current.append(symbol)
            elif current:
                letters = self._timed(current, duration)
                words.append(
                    TimedLabel(
                        "".join(letter.label for letter in letters),
                        letters[0].start,
                        letters[-1].end,
                        sum(letter.posterior for letter in letters) / len(letters),
                    )
                )
                current = []
        return tuple(words)

    def _timed(self, symbols: list[DecodedSymbol], duration: float) -> tuple[TimedLabel, ...]:
        """Frames to seconds: a frame reaches half a hop to either side of its centre."""
        to_seconds = self.card.features.frames_to_seconds
        stride, half = self.card.stride, self.card.output_seconds / 2
        return tuple(
            TimedLabel(
                self.card.vocabulary.symbols[symbol.id],
                round(max(0.0, to_seconds(symbol.first * stride) - half), 6),
                round(min(duration, to_seconds(symbol.last * stride) + half), 6),
                symbol.posterior,
            )
            for symbol in symbols
        )


def _listening(card: ModelCard) -> FeatureSettings:
    """Listening computes features itself, also for a model trained on librosa's; they are the same."""
    return replace(card.features, engine="audiornn")
