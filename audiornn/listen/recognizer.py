"""The recogniser: a model file that listens.

A ladder, each step calling the one below:

transcribe(file, samples, or blocks) → blocks of features → blocks of log-probabilities → words, a label, or segments

and beside it a stream, which takes samples as they come: stream() → push(samples) → finish(). Keywords have the same
two ways in: spot(file, samples, or blocks), and spotter() → push(samples) → finish(); and values over time: track(…)
and tracker().
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import AudioSource, Waveform, audio_blocks, is_file, is_one_array, source_name, to_waveform
from audiornn.errors import AudioError, CorpusError, ModelFileError, SettingsError
from audiornn.features import FeatureExtractor, Features, FeatureSettings
from audiornn.listen.feature_blocks import FeatureBlocks, Samples, at_rate
from audiornn.listen.hearing import Hearing, untold
from audiornn.listen.results import (
    Alignment,
    Classification,
    KeywordSpot,
    Labelling,
    Recognition,
    TimedLabel,
    TrackPoint,
    Tracks,
    Transcript,
)
from audiornn.listen.sample_streams import SpotStream, Stream, TrackStream
from audiornn.listen.tracks import TrackReader
from audiornn.listen.words import reader_of
from audiornn.model_file import ModelCard, open_model_file
from audiornn.vocabulary import Vocabulary

if TYPE_CHECKING:  # what only some recordings need is loaded when one does
    from audiornn.listen.decoders import Decoder, Decoding
    from audiornn.listen.keywords import KeywordScorer, Scores, SpotSettings, Spotter
    from audiornn.listen.segments import SegmentSettings

__all__ = ["Recognizer", "load_model"]

Source = AudioSource | Samples | Iterable[Samples]


def load_model(path: str | Path, *, threads: int = 1) -> Recognizer:
    """Load a model file.

    Args:
        path: of the file that `audiornn train` wrote.
        threads: that may listen to one long recording; several short ones are best given to threads of the caller's.

    Raises:
        ModelFileError: missing, not a model file, or of another version.
        SettingsError: a number of threads that is none.
    """
    if not isinstance(threads, int) or threads < 1:
        raise SettingsError(f"threads = {threads!r} must be a number of them, at least 1")
    if not os.fspath(path):
        raise ModelFileError("an empty name of a model file; is a variable of the shell not set?")
    session, card = open_model_file(path)
    return Recognizer(session, card, threads=threads, path=Path(path).absolute())


class Recognizer:
    """A loaded model; it may be used from several threads, and sent to other processes, which load its file again.

    Attributes:
        card: what the model file says of itself.
    """

    def __init__(
        self,
        session: Any,
        card: ModelCard,
        *,
        threads: int = 1,
        decoding: Decoding | None = None,
        path: Path | None = None,
    ) -> None:
        self.card = card
        self._path = path
        self._decoding = decoding
        self._session = session
        self._threads = threads
        self._hearing = Hearing(session, card, threads)
        self._extractor = FeatureExtractor(_listening(card))

    def decode_with(self, decoding: Decoding) -> Recognizer:
        """The same model, whose outputs become text otherwise than its file says.

        Raises:
            SettingsError: a decoding that does not fit the model.
            CorpusError: a hot word that cannot be spelled.
        """
        if self.card.task != "transcribe":
            raise SettingsError(f"this model's task is {self.card.task!r}; only one that transcribes decodes")
        other = Recognizer(self._session, self.card, threads=self._threads, decoding=decoding, path=self._path)
        _ = other._make_decoder  # made now, so that what is wrong with it is said once, and of no recording
        return other

    def __copy__(self) -> Recognizer:
        return Recognizer(self._session, self.card, threads=self._threads, decoding=self._decoding, path=self._path)

    def __reduce__(self) -> tuple[Callable[..., Recognizer], tuple[Any, ...]]:
        if self._path is None:
            raise TypeError("a recogniser that was not loaded from a file cannot be sent elsewhere: use load_model")
        return _loaded_again, (self._path, self._threads, self._decoding)

    @property
    def spot_settings(self) -> SpotSettings:
        """When scores become hits: what the model file says.

        >>> model.spot_settings.with_onset(0.9, ["do"]).threshold("do")
        (0.9, 0.45)
        """
        from audiornn.listen.keywords import settings_of

        return settings_of(self.card)

    @cached_property
    def written(self) -> Vocabulary:
        """What its transcripts are made of: the network's symbols, or a lexicon's words where it searches for these."""
        words = self._make_decoder().words if self._make_decoder is not None else None
        return self.card.vocabulary if words is None else self.card.vocabulary.of_words(words)

    @cached_property
    def _make_decoder(self) -> Callable[[], Decoder] | None:
        if self.card.task != "transcribe" or (self._decoding is None and not self.card.decoding):
            return None  # greedy
        from audiornn.listen.decoders import decoder_maker

        return decoder_maker(self.card, self._decoding)

    def transcribe(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        channel: int | None = None,
        look_ahead: float | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Recognition:
        """Listen to a recording, of any length, in memory that does not grow with it; a classifier hears it whole.

        >>> model.transcribe("strings.wav").text
        'sol do mi'
        >>> model.transcribe(samples, 8000).words[0]
        TimedLabel(label='sol', start=..., end=..., confidence=0.9...)

        Args:
            source: a path, `-` for standard input, a binary file object; or samples (samples,) or (samples, channels);
                or an iterable of such arrays, the blocks of one recording.
            sample_rate: Hz, of samples and blocks; a file knows its own.
            channel: the channel to take, from 1; None mixes all of them down.
            look_ahead: seconds that a bidirectional network may see beyond what it says, as a stream would; None lets
                it see all it needs.
            progress: called now and then with the seconds heard so far.

        Returns:
            A `Transcript`, a `Classification`, a `Labelling` or `Tracks`, as the model's task is.

        Raises:
            AudioError: the recording cannot be read, is shorter than one window, or its rate is not said.
            ModelFileError: a look-ahead, but the model cannot stream.
            SettingsError: a look-ahead below 0.
        """
        blocks, name = self._blocks(source, sample_rate, channel)
        return self._listen(blocks, name, look_ahead, progress)

    def label(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        settings: SegmentSettings | None = None,
        channel: int | None = None,
        look_ahead: float | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Labelling:
        """Which label holds when in a recording of any length, in memory that does not grow with it.

        >>> [segment.label for segment in labeller.label("strings.wav").segments]
        ['sol', 'do', 'mi']

        Args:
            source: as `transcribe` takes it.
            sample_rate: Hz, of samples and blocks; a file knows its own.
            settings: thresholds, filter and least durations; None takes what the model file says.
            channel: the channel to take, from 1; None mixes all of them down.
            look_ahead: seconds that a bidirectional network may see beyond what it says, as a stream would.
            progress: called now and then with the seconds heard so far.

        Raises:
            AudioError: the recording cannot be read, is shorter than one window, or its rate is not said.
            ModelFileError: the model does not label, or a look-ahead, but the model cannot stream.
        """
        self.card.check_task("label", "gives a label a frame")
        features = self._features(source, sample_rate, channel)
        reader = reader_of(self.card, segments=settings)
        found = [s for block in self._hearing.blocks(features, look_ahead, progress) for s in reader.push(block)]
        return self._labelling([*found, *reader.finish(features.duration)], features.duration)

    def align(
        self, source: Source, text: str, sample_rate: int | None = None, *, channel: int | None = None
    ) -> Alignment:
        """Lay a text along the recording that it was read from: when each word and symbol is said, and whether it is.

        >>> [(word.label, word.fits) for word in model.align("strings.wav", "sol do mi").words]
        [('sol', True), ('do', True), ('mi', True)]

        Args:
            source: as `transcribe` takes it.
            text: what is said, all of it.
            sample_rate: Hz, of samples and blocks.
            channel: the channel to take, from 1; None mixes all of them down.

        Raises:
            CorpusError: a symbol that the model does not know, no text, or more of it than the recording has room for.
            ModelFileError: the model does not transcribe.
        """
        from audiornn.listen.alignment import align_text

        if not isinstance(text, str):
            raise CorpusError(f"a text is a string, not {type(text).__name__}: align(source, text, sample_rate)")
        self.card.check_task("transcribe", "can align a text")
        features = self._features(source, sample_rate, channel)
        log_probs = np.concatenate(list(self._hearing.blocks(features, None)))
        return align_text(self.card, log_probs, text, features.duration)

    def transcribe_waveform(
        self,
        samples: Samples,
        sample_rate: int,
        *,
        channel: int | None = None,
        look_ahead: float | None = None,
        name: str = "the waveform",
    ) -> Recognition:
        """Listen to samples in memory, (samples,) or (samples, channels), at any rate in Hz.

        Raises:
            AudioError: empty, not finite, or shorter than one window.
        """
        waveform = to_waveform(samples, sample_rate, self.card.features.sample_rate, channel=channel, name=name)
        return self._listen([waveform], name, look_ahead)

    def transcribe_features(self, features: Features, *, duration: float | None = None) -> Recognition:
        """Listen to features, (frames, n_features), of a recording of `duration` seconds, in one pass."""
        if duration is None:
            duration = self.card.features.frames_to_seconds(len(features))
        return self._result([self.log_probs(features)], lambda: duration)

    def features(self, waveform: Waveform) -> Features:
        """What the network hears of samples at the model's own rate: (frames, n_features)."""
        return self._extractor(waveform)

    def log_probs(self, features: Features) -> NDArray[np.float32]:
        """The network's log-probabilities in one pass: (output frames, symbols), or (labels,) of a classifier.

        Raises:
            ModelFileError: features of another shape than the model's.
        """
        return self._hearing.log_probs(features)

    def delay(self, look_ahead: float | None) -> float:
        """Seconds from a sound to the network's output for it, at most: of a stream that sees so far ahead.

        A network that hears whole recordings only, or is given no look-ahead, has no delay.
        """
        return self._hearing.delay(look_ahead)

    def stream(
        self,
        sample_rate: int | None = None,
        *,
        look_ahead: float | None = None,
        step: float | None = None,
        segments: SegmentSettings | None = None,
    ) -> Stream:
        """Start listening to samples as they come.

        >>> stream = model.stream(8000)
        >>> words = [word.label for block in blocks for word in stream.push(block)]
        >>> words + [word.label for word in stream.finish()]
        ['sol', 'do', 'mi']

        Args:
            sample_rate: Hz of the samples; None says they are at the model's own.
            look_ahead: seconds that a bidirectional network sees beyond what it says; None takes three. One of one
                direction needs none.
            step: seconds that a bidirectional network says at once, which come on top; None takes a fifth of the
                look-ahead, at least 0.1.
            segments: how labels of frames become segments; None takes what the model file says.

        Raises:
            ModelFileError: a classifier, or a model that normalises each recording as a whole, or regresses.
            SettingsError: `segments`, but the model does not label frames; a look-ahead below 0.
        """
        if self.card.task == "regress":
            raise ModelFileError("this model gives values, not words: tracker() streams them")
        if segments is not None and self.card.task != "label":
            raise SettingsError(f"this model's task is {self.card.task!r}: it has no segments to settle")
        return Stream(
            self.card,
            self._extractor,
            self._hearing.stream(look_ahead, step),
            self.card.features.sample_rate if sample_rate is None else sample_rate,
            reader_of(self.card, self._make_decoder, segments),
        )

    def spot(
        self,
        source: Source,
        keywords: Sequence[str] | None = None,
        sample_rate: int | None = None,
        *,
        settings: SpotSettings | None = None,
        inside_words: bool = False,
        channel: int | None = None,
        look_ahead: float | None = None,
        progress: Callable[[float], None] = untold,
    ) -> tuple[KeywordSpot, ...]:
        """Where keywords are said in a recording of any length, in memory that does not grow with it.

        >>> [(spot.keyword, round(spot.start, 1)) for spot in model.spot("strings.wav", ["do", "mi"])]
        [('do', 0.3), ('mi', 0.5)]

        Args:
            source: as `transcribe` takes it.
            keywords: what to spot; None takes what the model was trained or tuned for.
            sample_rate: Hz, of samples and blocks; a file knows its own.
            settings: when a score becomes a hit; None takes what the model file says.
            inside_words: of a model of characters, whether a keyword may be a part of a longer word.
            channel: the channel to take, from 1; None mixes all of them down.
            look_ahead: seconds that a bidirectional network may see beyond what it says, as a stream would.
            progress: called now and then with the seconds heard so far.

        Raises:
            AudioError: the recording cannot be read, is shorter than one window, or its rate is not said.
            SettingsError: a keyword that the model cannot spot; the message names the nearest that it can. A
                look-ahead, but a classifier, whose windows see half of themselves ahead.
            ModelFileError: a model of values, or a look-ahead, but the model cannot stream.
        """
        return tuple(
            self.spots(
                source,
                keywords,
                sample_rate,
                settings=settings,
                inside_words=inside_words,
                channel=channel,
                look_ahead=look_ahead,
                progress=progress,
            )
        )

    def spots(
        self,
        source: Source,
        keywords: Sequence[str] | None = None,
        sample_rate: int | None = None,
        *,
        settings: SpotSettings | None = None,
        inside_words: bool = False,
        channel: int | None = None,
        look_ahead: float | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Iterator[KeywordSpot]:
        """What `spot` gives, each as soon as it is decided."""
        spotter = self._spotter(keywords, settings, inside_words)
        features = self._features(source, sample_rate, channel)

        def found() -> Iterator[KeywordSpot]:
            for log_probs in self._hearing.spotting_blocks(features, look_ahead, progress):
                if features.ended:
                    spotter.ends(features.duration)
                yield from spotter.push(log_probs)
            yield from spotter.finish(features.duration)

        return found()  # what is asked for wrongly is an error at once

    def keyword_scores(
        self,
        source: Source,
        keywords: Sequence[str] | None = None,
        sample_rate: int | None = None,
        *,
        inside_words: bool = False,
        channel: int | None = None,
        look_ahead: float | None = None,
    ) -> tuple[Scores, float]:
        """What `spot` decides on, of every output frame of a recording, and its duration in seconds.

        Arguments and errors are those of `spot`. A character model's scores end in frames of the silence after it.
        """
        from audiornn.listen.keywords import Scores

        scorer = self._scorer(keywords, inside_words)
        features = self._features(source, sample_rate, channel)
        parts = [scorer.push(log_probs) for log_probs in self._hearing.spotting_blocks(features, look_ahead)]
        parts.append(scorer.finish())
        return Scores(*(np.concatenate(columns) for columns in zip(*parts, strict=True))), features.duration

    def spotter(
        self,
        keywords: Sequence[str] | None = None,
        sample_rate: int | None = None,
        *,
        settings: SpotSettings | None = None,
        inside_words: bool = False,
        look_ahead: float | None = None,
        step: float | None = None,
    ) -> SpotStream:
        """Start spotting in samples as they come.

        >>> stream = model.spotter(["mi"], 8000)
        >>> spots = [spot for block in blocks for spot in stream.push(block)]
        >>> [spot.keyword for spot in spots + stream.finish()]
        ['mi']

        Args:
            keywords: what to spot; None takes what the model was trained or tuned for.
            sample_rate: Hz of the samples; None says they are at the model's own.
            settings: when a score becomes a hit; None takes what the model file says.
            inside_words: of a model of characters, whether a keyword may be a part of a longer word.
            look_ahead: as `stream` takes it.
            step: as `stream` takes it.

        Raises:
            SettingsError: a keyword that the model cannot spot; the message names the nearest that it can. A
                look-ahead, but a classifier, whose windows see half of themselves ahead.
            ModelFileError: a model of values, or one that normalises each recording as a whole.
        """
        return SpotStream(
            self.card,
            self._extractor,
            self._hearing.spotting_stream(look_ahead, step),
            self.card.features.sample_rate if sample_rate is None else sample_rate,
            self._spotter(keywords, settings, inside_words),
        )

    def track(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        channel: int | None = None,
        look_ahead: float | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Tracks:
        """Values over time of a recording, by a model that regresses; arguments and errors are those of `transcribe`.

        >>> tracks = model.track("speech.wav")  # doctest: +SKIP
        >>> tracks.names, tracks.points[50]  # doctest: +SKIP
        (('log2_f0', 'voicing'), TrackPoint(time=1.0, values=(6.9..., 0.98...)))

        Raises:
            ModelFileError: the model's task is another.
        """
        self.card.check_task("regress", "gives values over time")
        found = self.transcribe(source, sample_rate, channel=channel, look_ahead=look_ahead, progress=progress)
        assert isinstance(found, Tracks)
        return found

    def track_points(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        channel: int | None = None,
        look_ahead: float | None = None,
        progress: Callable[[float], None] = untold,
    ) -> Iterator[TrackPoint]:
        """The points of `track`, each as soon as it is known, in memory that does not grow with the recording."""
        self.card.check_task("regress", "gives values over time")
        reader = TrackReader(self.card)
        features = self._features(source, sample_rate, channel)
        for values in self._hearing.blocks(features, look_ahead, progress):
            yield from reader.push(values)

    def tracker(
        self, sample_rate: int | None = None, *, look_ahead: float | None = None, step: float | None = None
    ) -> TrackStream:
        """Start tracking in samples as they come; arguments are those of `stream`.

        Raises:
            ModelFileError: the model's task is another, or it normalises each recording as a whole.
        """
        self.card.check_task("regress", "gives values over time")
        return TrackStream(
            self.card,
            self._extractor,
            self._hearing.stream(look_ahead, step),
            self.card.features.sample_rate if sample_rate is None else sample_rate,
            TrackReader(self.card),
        )

    def _scorer(self, keywords: Sequence[str] | None, inside_words: bool) -> KeywordScorer:
        from audiornn.listen.keywords import default_keywords, scorer_of

        chosen = default_keywords(self.card) if keywords is None else keywords
        return scorer_of(self.card, chosen, inside_words=inside_words)

    def _spotter(self, keywords: Sequence[str] | None, settings: SpotSettings | None, inside_words: bool) -> Spotter:
        from audiornn.listen.keywords import Spotter

        scorer = self._scorer(keywords, inside_words)
        return Spotter(self.card, scorer, self.spot_settings if settings is None else settings)

    def _features(self, source: Source, sample_rate: int | None, channel: int | None) -> FeatureBlocks:
        """What the network hears of a source, block by block."""
        return FeatureBlocks(self._extractor, *self._blocks(source, sample_rate, channel))

    def _blocks(self, source: Source, sample_rate: int | None, channel: int | None) -> tuple[Iterable[Waveform], str]:
        """A source's samples at the model's rate, block by block, and what to call it in an error."""
        rate = self.card.features.sample_rate
        if is_file(source):
            file: AudioSource = source  # type: ignore[assignment]
            return audio_blocks(file, rate, channel=channel), source_name(file)
        if sample_rate is None:
            raise AudioError("samples do not say their rate: give it in Hz, e.g. sample_rate=16000")
        if is_one_array(source):
            return [to_waveform(source, sample_rate, rate, channel=channel)], "the waveform"  # type: ignore[arg-type]
        if isinstance(source, (str, bytes)) or not isinstance(source, Iterable):
            raise AudioError(f"expected a path, a file, samples or blocks of samples, not {type(source).__name__}")
        return at_rate(source, sample_rate, rate, channel), "the blocks"  # type: ignore[arg-type]

    def _listen(
        self,
        blocks: Iterable[Waveform],
        name: str,
        look_ahead: float | None,
        progress: Callable[[float], None] = untold,
    ) -> Recognition:
        """Listen to blocks of samples at the model's rate."""
        features = FeatureBlocks(self._extractor, blocks, name)
        return self._result(self._hearing.blocks(features, look_ahead, progress), lambda: features.duration)

    def _result(self, log_probs: Iterable[NDArray[np.float32]], duration: Callable[[], float]) -> Recognition:
        """What blocks of log-probabilities say; the duration is asked for when all have come."""
        if self.card.task == "classify":
            (scores,) = log_probs
            return self._classification(scores, duration())
        if self.card.task == "regress":
            points = TrackReader(self.card)
            values = tuple(point for block in log_probs for point in points.push(block))
            return Tracks(self.card.vocabulary.symbols, values, duration())
        reader = reader_of(self.card, self._make_decoder)
        found = [label for block in log_probs for label in reader.push(block)]
        found += reader.finish(duration())
        if self.card.task == "label":
            return self._labelling(found, duration())
        text = " ".join(word.label for word in found)
        return Transcript(text, tuple(found), duration(), reader.alternatives(duration()))

    def _labelling(self, found: Sequence[TimedLabel], duration: float) -> Labelling:
        place = self.card.vocabulary.symbols.index
        return Labelling(tuple(sorted(found, key=lambda segment: (segment.start, place(segment.label)))), duration)

    def _classification(self, log_probs: NDArray[np.float32], duration: float) -> Classification:
        probabilities = np.exp(log_probs.astype(np.float64))
        best = int(log_probs.argmax())
        labels = self.card.vocabulary.symbols
        holding = None
        if self.card.vocabulary.several:
            thresholds = self.card.thresholds
            order = np.argsort(-log_probs, kind="stable")
            holding = tuple(labels[i] for i in order if probabilities[i] >= thresholds.get(labels[i], 0.5))
        return Classification(
            labels[best],
            float(probabilities[best]),
            dict(zip(labels, probabilities.tolist(), strict=True)),
            duration,
            holding,
        )


def _loaded_again(path: Path, threads: int, decoding: Decoding | None) -> Recognizer:
    """What another process got."""
    recognizer = load_model(path, threads=threads)
    return recognizer if decoding is None else recognizer.decode_with(decoding)


def _listening(card: ModelCard) -> FeatureSettings:
    """Listening computes features itself, also for a model trained on librosa's; they are the same."""
    return replace(card.features, engine="audiornn")
