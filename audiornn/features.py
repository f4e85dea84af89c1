"""Features: waveform → log-mel spectrogram → MFCCs, librosa's numbers with `top_db=None`; or → autocorrelation.

librosa's default clips every frame against the loudest one of the recording, so that one loud second changes all that
came before it and no stream could ever equal the whole file; without it a frame depends on its own samples only.

The transform is a double-precision rfft, as librosa's is. In single precision the loud low frequencies of speech leave
rounding noise in its quiet high bands, worth 0.002 in an MFCC; the rest is single precision, which costs 6e-5.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import Waveform
from audiornn.errors import AudioError, SettingsError, check_choices

__all__ = [
    "DELTA_WIDTH",
    "LOG_MEL_FLOOR",
    "POWER_FLOOR",
    "VARIANCE_FLOOR",
    "FeatureExtractor",
    "FeatureSettings",
    "FeatureStream",
    "Features",
    "append_deltas",
    "dct_matrix",
    "delta_weights",
    "lag_matrix",
    "mel_filters",
    "mel_middles",
    "mel_widths",
    "window",
]

Features = NDArray[np.float32]

POWER_FLOOR = 1e-10  # librosa's amin: −100 dB
VARIANCE_FLOOR = 1e-5  # under each coefficient's variance when it is normalised; one that never varies is not blown up
LOG_MEL_FLOOR = -100.0  # dB, what digital silence becomes
_BLOCK_FRAMES = 512  # fewer leave numpy's overhead a call showing, more fall out of the second-level cache
_LONG_FRAMES = 12_000  # from two minutes on, two threads are worth starting
_BATCH_WAVEFORMS = 16  # a temporary of their log-mel frames stays small
DELTA_WIDTH = 9  # frames, librosa's default
_PERIODS = 2  # that a window must hold, or its own autocorrelation is nearly zero at the longest lag


@dataclass(frozen=True)
class FeatureSettings:
    """What a frame is. Names and defaults of the transform are librosa's; times are in samples.

    Attributes:
        kind: "mfcc"; "log_mel" for the spectrogram in decibels; or "autocorrelation" of what the bands hold, in which a
            voice's pitch stands as a peak, after the level.
        sample_rate: Hz; recordings at other rates are resampled.
        n_fft: samples a transform.
        win_length: samples under the Hann window, centred in `n_fft`; 400 is 25 ms at 16 kHz.
        hop_length: samples from a frame to the next; 160 is 10 ms at 16 kHz.
        n_mels: mel bands (Slaney's scale and normalisation).
        n_mfcc: cepstral coefficients kept, the first is the level.
        n_lags: of the autocorrelation, evenly in the logarithm of the pitch.
        lowest_pitch: Hz, whose period is the longest lag.
        highest_pitch: Hz, whose period is the shortest.
        fmin: lowest frequency of the lowest band, Hz.
        fmax: highest frequency of the highest band, Hz; None is half the sample rate.
        deltas: 0, 1 (velocities appended) or 2 (and accelerations).
        normalisation: "global" subtracts the training set's mean and divides by its deviation, a coefficient at a
            time; "utterance" uses each utterance's own; "none" does neither. It happens inside the network.
        engine: "audiornn", or "librosa" to have librosa itself compute the training features.
    """

    kind: Literal["mfcc", "log_mel", "autocorrelation"] = "mfcc"
    sample_rate: int = 16000
    n_fft: int = 400
    win_length: int = 400
    hop_length: int = 160
    n_mels: int = 40
    n_mfcc: int = 20
    n_lags: int = 128
    lowest_pitch: float = 50.0
    highest_pitch: float = 550.0
    fmin: float = 0.0
    fmax: float | None = None
    deltas: int = 0
    normalisation: Literal["global", "utterance", "none"] = "global"
    engine: Literal["audiornn", "librosa"] = "audiornn"

    def __post_init__(self) -> None:
        check_choices("features", self)
        fmax = self.sample_rate / 2 if self.fmax is None else self.fmax
        pitches_rise = 1 <= self.lowest_pitch < self.highest_pitch < math.inf
        least_window = math.ceil(_PERIODS * self.sample_rate / self.lowest_pitch) if pitches_rise else 0
        for holds, complaint in (
            (self.sample_rate >= 100, f"sample_rate = {self.sample_rate} is below 100 Hz"),
            (self.hop_length >= 1, f"hop_length = {self.hop_length} must be at least 1"),
            (1 < self.win_length <= self.n_fft, f"win_length = {self.win_length} must lie in 2…n_fft ({self.n_fft})"),
            (self.n_mels >= 1, f"n_mels = {self.n_mels} must be at least 1"),
            (
                self.kind != "mfcc" or 1 <= self.n_mfcc <= self.n_mels,
                f"n_mfcc = {self.n_mfcc} must lie in 1…n_mels ({self.n_mels})",
            ),
            (
                0 <= self.fmin < fmax <= self.sample_rate / 2,
                f"fmin = {self.fmin} and fmax = {fmax} must rise and lie in 0…{self.sample_rate / 2:g} Hz",
            ),
            (self.deltas in (0, 1, 2), f"deltas = {self.deltas} must be 0, 1 or 2"),
            (self.n_lags >= 2, f"n_lags = {self.n_lags} must be at least 2"),
            (
                pitches_rise,
                f"lowest_pitch = {self.lowest_pitch} and highest_pitch = {self.highest_pitch} must rise, from 1 Hz on",
            ),
            (
                self.kind != "autocorrelation" or self.win_length >= least_window,
                f"win_length = {self.win_length} holds less than {_PERIODS} periods of lowest_pitch = "
                f"{self.lowest_pitch} Hz, so that its autocorrelation says nothing; {least_window} would do",
            ),
        ):
            if not holds:
                raise SettingsError(f"features: {complaint}")

    @property
    def n_features(self) -> int:
        """Coefficients a frame."""
        static = {"mfcc": self.n_mfcc, "log_mel": self.n_mels, "autocorrelation": 1 + self.n_lags}[self.kind]
        return static * (1 + self.deltas)

    @property
    def frame_seconds(self) -> float:
        """Seconds from a frame to the next."""
        return self.hop_length / self.sample_rate

    def n_frames(self, n_samples: int) -> int:
        """Frames that a waveform of `n_samples` yields; the only place where samples become frames.

        Frame t is centred on sample t · hop_length; zeros stand beyond both ends (librosa's `center=True`).
        """
        return 1 + (n_samples + 2 * (self.n_fft // 2) - self.n_fft) // self.hop_length

    def frames_to_seconds(self, frames: int) -> float:
        """The time of a frame's centre; the only place where frames become seconds."""
        return frames * self.hop_length / self.sample_rate


class FeatureExtractor:
    """Computes features whole, in a batch, or as a stream; every way gives the same frames.

    One extractor may be used from several threads.
    """

    def __init__(self, settings: FeatureSettings) -> None:
        self.settings = settings
        self._half = settings.n_fft // 2
        self._window = window(settings)
        self._mel = _in_groups(mel_filters(settings))
        self._dct = dct_matrix(settings.n_mels, settings.n_mfcc)
        self._lags = lag_matrix(settings) if settings.kind == "autocorrelation" else None
        self._widths = mel_widths(settings)
        self._local = threading.local()  # work space, a set a thread

    def __call__(self, waveform: Waveform) -> Features:
        """Features of a whole waveform.

        Args:
            waveform: float32, (samples,), at the settings' sample rate.

        Returns:
            (frames, n_features).

        Raises:
            AudioError: no samples, or more than one channel.
        """
        return self.from_log_mel(self.log_mel(waveform))

    def batch(self, waveforms: Sequence[Waveform]) -> list[Features]:
        """Features of several waveforms, each as if it were alone; short ones share blocks, which is faster."""
        if self.settings.engine == "librosa" or self.settings.deltas:
            return [self(waveform) for waveform in waveforms]
        batch: list[Features] = []
        for begin in range(0, len(waveforms), _BATCH_WAVEFORMS):
            stretches = [self._whole(waveform) for waveform in waveforms[begin : begin + _BATCH_WAVEFORMS]]
            features = self.from_log_mel(self._frames_from(*stretches))
            batch += np.split(features, np.cumsum([stretch.n_frames for stretch in stretches])[:-1])
        return batch

    def stream(self) -> FeatureStream:
        """A stream that takes samples as they come and gives frames as soon as they are complete."""
        return FeatureStream(self)

    def log_mel(self, waveform: Waveform) -> Features:
        """The log-mel spectrogram in decibels, (frames, n_mels), floored at −100 dB."""
        whole = self._whole(waveform)
        if self.settings.engine == "librosa":
            return _librosa_log_mel(waveform, self.settings)
        if whole.n_frames < _LONG_FRAMES:
            return self._frames_from(whole)
        half = whole.n_frames // 2
        halves = (
            whole._replace(n_frames=half),
            whole._replace(first=whole.first + half * self.settings.hop_length, n_frames=whole.n_frames - half),
        )
        with ThreadPoolExecutor(2) as pool:
            return np.concatenate(list(pool.map(self._frames_from, halves)))

    def from_log_mel(self, log_mel: Features) -> Features:
        """What follows the spectrogram: cepstra or autocorrelation, then deltas if wanted; (frames, n_features)."""
        static = log_mel
        if self.settings.kind == "mfcc":
            static = log_mel @ self._dct
        elif self._lags is not None:
            # Against the loudest band: no level is too high or too low for single precision.
            loudest = log_mel.max(axis=1, keepdims=True)
            power = np.power(np.float32(10), (log_mel - loudest) / 10)
            whole = (power @ self._widths)[:, None]
            static = np.concatenate([loudest + 10 * np.log10(whole), (power @ self._lags) / whole], axis=1)
        return append_deltas(static, self.settings.deltas)

    def _whole(self, waveform: Waveform) -> _Stretch:
        if waveform.ndim != 1 or not len(waveform):
            raise AudioError(f"a waveform has shape (samples,) with at least one sample, not {waveform.shape}")
        return _Stretch(waveform, -self._half, self.settings.n_frames(len(waveform)))

    def _frames_from(self, *stretches: _Stretch) -> Features:
        """Log-mel frames of one stretch after the other."""
        hop, n_fft = self.settings.hop_length, self.settings.n_fft
        work = self._work_space()
        log_mel = np.empty((sum(stretch.n_frames for stretch in stretches), self.settings.n_mels), np.float32)
        n_done = n_filled = 0
        if len(stretches) == 1 and stretches[0].is_inside(hop, n_fft) and stretches[0].n_frames <= _BLOCK_FRAMES:
            samples, first, n_filled = stretches[0]  # a stream's few frames, which need no gathering
            strides = (hop * samples.itemsize, samples.itemsize)
            frames = np.ndarray((n_filled, n_fft), np.float32, samples, first * samples.itemsize, strides)
            np.copyto(work.block(n_filled, self._mel).windowed, frames)
            stretches = ()
        for samples, first, n_frames in stretches:
            for begin, n in _parts(n_frames, _BLOCK_FRAMES - n_filled):
                start = first + begin * hop
                stop = start + (n - 1) * hop + n_fft
                left, right = max(0, -start), max(0, min(stop, len(samples)) - start)
                work.samples[:left] = 0.0
                work.samples[left:right] = samples[start + left : start + right]
                work.samples[right : stop - start] = 0.0
                np.copyto(work.windowed[n_filled : n_filled + n], work.frames[:n])
                n_filled += n
                if n_filled == _BLOCK_FRAMES:
                    self._transform(work, log_mel[n_done : n_done + n_filled])
                    n_done, n_filled = n_done + n_filled, 0
        if n_filled:
            self._transform(work, log_mel[n_done:] if n_done else log_mel)
        np.maximum(log_mel, POWER_FLOOR, out=log_mel)
        np.log10(log_mel, out=log_mel)
        log_mel *= 10.0
        return log_mel

    def _transform(self, work: _WorkSpace, mel_power: Features) -> None:
        """The mel bands' power in the frames gathered, (frames, n_mels)."""
        block = work.block(len(mel_power), self._mel)
        np.multiply(block.windowed, block.window, out=block.windowed)
        np.fft.rfft(block.windowed, out=block.spectrum)
        np.multiply(block.parts, block.parts, out=block.parts)
        np.add(block.parts[:, ::2], block.parts[:, 1::2], out=block.power, casting="same_kind")
        for power, (_, bands, filters) in zip(block.powers, self._mel, strict=True):
            np.matmul(power, filters, out=mel_power[:, bands])

    def _work_space(self) -> _WorkSpace:
        if not hasattr(self._local, "work"):
            hop, n_fft = self.settings.hop_length, self.settings.n_fft
            samples = np.zeros((_BLOCK_FRAMES - 1) * hop + n_fft, np.float32)
            n_bins = 1 + n_fft // 2
            self._local.work = _WorkSpace(
                samples=samples,
                frames=np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop],
                windowed=np.empty((_BLOCK_FRAMES, n_fft)),
                window=np.tile(self._window, (_BLOCK_FRAMES, 1)),
                spectrum=np.empty((_BLOCK_FRAMES, n_bins), np.complex128),
                power=np.empty((_BLOCK_FRAMES, n_bins), np.float32),
                blocks={},
            )
        work: _WorkSpace = self._local.work
        return work


class _Stretch(NamedTuple):
    """Frames to compute: the first begins at sample `first`; zeros stand where there are no samples."""

    samples: Waveform
    first: int
    n_frames: int

    def is_inside(self, hop_length: int, n_fft: int) -> bool:
        """Whether every frame's samples are there."""
        return self.first >= 0 and self.first + (self.n_frames - 1) * hop_length + n_fft <= len(self.samples)


class _Block(NamedTuple):
    """The buffers of a block as far as it is filled. A stream's blocks are small, and looking them up is most of it."""

    windowed: NDArray[np.float64]
    window: NDArray[np.float64]
    spectrum: NDArray[np.complex128]
    parts: NDArray[np.float64]  # real and imaginary, by turns
    power: Features
    powers: list[Features]  # of each group of bins


class _WorkSpace(NamedTuple):
    """The buffers of a block. The window stands there once a frame: numpy multiplies whole blocks faster than rows."""

    samples: Waveform
    frames: Waveform  # a view of them, (frames, n_fft)
    windowed: NDArray[np.float64]
    window: NDArray[np.float64]
    spectrum: NDArray[np.complex128]
    power: Features
    blocks: dict[int, _Block]

    def block(self, n_frames: int, groups: list[tuple[slice, slice, Features]]) -> _Block:
        """The first frames of the buffers."""
        if n_frames not in self.blocks:
            spectrum, power = self.spectrum[:n_frames], self.power[:n_frames]
            self.blocks[n_frames] = _Block(
                self.windowed[:n_frames],
                self.window[:n_frames],
                spectrum,
                spectrum.view(np.float64),
                power,
                [power[:, bins] for bins, _, _ in groups],
            )
        return self.blocks[n_frames]


def _parts(n_frames: int, room: int) -> Iterator[tuple[int, int]]:
    """First frame and number of frames of the parts that fill blocks, of which the first has some room left."""
    begin = 0
    while begin < n_frames:
        n = min(room, n_frames - begin)
        yield begin, n
        begin, room = begin + n, _BLOCK_FRAMES if n == room else room - n


def _in_groups(filters: Features) -> list[tuple[slice, slice, Features]]:
    """The mel filters as bins, bands, and the matrix between them: a third of the bins reaches a third of the bands."""
    last_bins = filters.shape[0] - np.argmax(filters[::-1] > 0, axis=0)
    borders = [int(b) for b in np.searchsorted(last_bins, filters.shape[0] / 3 * np.arange(1, 3))]
    groups = []
    for begin, end in itertools.pairwise([0, *borders, filters.shape[1]]):
        if begin < end:
            bins = np.flatnonzero(filters[:, begin:end].any(axis=1))
            reached = slice(int(bins[0]), int(bins[-1]) + 1)
            groups.append((reached, slice(begin, end), np.ascontiguousarray(filters[reached, begin:end])))
    return groups


class FeatureStream:
    """Samples in as they come, frames out as soon as all their samples (and their deltas' neighbours) are there."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        if extractor.settings.engine != "audiornn":
            raise SettingsError("features: a stream is computed by engine = 'audiornn' only")
        self._extractor = extractor
        self._settings = extractor.settings
        self._pending: list[Waveform] = []  # samples not yet framed, oldest first
        self._n_pending = 0
        self._position = -(self._settings.n_fft // 2)  # of the next frame, against the first pending sample
        self._n_samples = 0
        self._n_framed = 0
        # With deltas, frames wait for their right-hand neighbours; five already given are kept as left-hand ones.
        self._held: Features = np.empty((0, self._settings.n_mels), np.float32)
        self._n_held_given = 0

    def push(self, samples: Waveform) -> Features:
        """Take samples (samples,), any number; returns the frames now complete, (frames, n_features), maybe none."""
        if len(samples):
            self._pending.append(np.array(samples, np.float32))  # a copy: callers fill their buffer again
            self._n_pending += len(samples)
            self._n_samples += len(samples)
        available = self._n_pending - self._position - self._settings.n_fft
        n_ready = 1 + available // self._settings.hop_length if available >= 0 else 0
        # The last frames of a recording may reach beyond its end, but none is centred beyond it.
        return self._give(self._frame(n_ready), last=False)

    def finish(self) -> Features:
        """Say that the recording ends here; returns its last frames.

        Raises:
            AudioError: nothing was pushed.
        """
        if not self._n_samples:
            raise AudioError("the stream ended before its first sample")
        return self._give(self._frame(self._settings.n_frames(self._n_samples) - self._n_framed), last=True)

    def _frame(self, n_frames: int) -> Features:
        if n_frames <= 0:
            return np.empty((0, self._settings.n_mels), np.float32)
        samples = np.concatenate(self._pending)
        log_mel = self._extractor._frames_from(_Stretch(samples, self._position, n_frames))
        self._n_framed += n_frames
        self._position += n_frames * self._settings.hop_length
        n_spent = min(max(0, self._position), len(samples))
        self._pending = [samples[n_spent:].copy()]
        self._n_pending = len(samples) - n_spent
        self._position -= n_spent
        return log_mel

    def _give(self, log_mel: Features, *, last: bool) -> Features:
        if not self._settings.deltas:
            return self._extractor.from_log_mel(log_mel)
        self._held = np.concatenate([self._held, log_mel])
        half = DELTA_WIDTH // 2
        n_ready = len(self._held) if last else len(self._held) - half if len(self._held) >= DELTA_WIDTH else 0
        if n_ready <= self._n_held_given:
            return np.empty((0, self._settings.n_features), np.float32)
        features = self._extractor.from_log_mel(self._held)[self._n_held_given : n_ready]
        n_dropped = max(0, n_ready - half - 1)
        self._held = self._held[n_dropped:]
        self._n_held_given = n_ready - n_dropped
        return features


def append_deltas(static: Features, order: int) -> Features:
    """Append velocities (order 1) and accelerations (order 2): `librosa.feature.delta` with width 9.

    A delta is the derivative of the polynomial of that order fitted to nine frames (Savitzky and Golay 1964); the four
    frames at either end take it from the nearest full window, as librosa's `mode="interp"` does. Fewer than nine
    frames, which librosa refuses, are continued by their outermost ones.

    Args:
        static: (frames, coefficients).
        order: 0, 1 or 2.

    Returns:
        (frames, coefficients · (1 + order)).
    """
    if order == 0:
        return static
    n_frames = len(static)
    half = DELTA_WIDTH // 2
    short = n_frames < DELTA_WIDTH
    source = np.pad(static, ((half, half), (0, 0)), mode="edge") if short else static
    neighbours = np.lib.stride_tricks.sliding_window_view(source, DELTA_WIDTH, axis=0)
    parts = [static]
    for derivative in range(1, order + 1):
        inner = (neighbours @ delta_weights(derivative)).astype(np.float32)
        parts.append(inner if short else np.pad(inner, ((half, half), (0, 0)), mode="edge"))
    return np.concatenate(parts, axis=1)


@lru_cache
def delta_weights(derivative: int) -> NDArray[np.float64]:
    """The weights (9,) of a frame and its neighbours in its velocity (1) or acceleration (2)."""
    offsets = np.arange(DELTA_WIDTH) - DELTA_WIDTH // 2
    powers = np.vander(offsets, derivative + 1, increasing=True).astype(np.float64)
    weights: NDArray[np.float64] = np.linalg.pinv(powers)[derivative] * math.factorial(derivative)
    return weights


def window(settings: FeatureSettings) -> NDArray[np.float64]:
    """The periodic Hann window of `win_length` samples in the middle of (n_fft,)."""
    samples = np.zeros(settings.n_fft)
    left = (settings.n_fft - settings.win_length) // 2
    angles = 2 * np.pi * np.arange(settings.win_length) / settings.win_length
    samples[left : left + settings.win_length] = 0.5 - 0.5 * np.cos(angles)
    return samples


def mel_filters(settings: FeatureSettings) -> Features:
    """The triangular mel filters of `librosa.filters.mel` (Slaney 1998), transposed: (1 + n_fft // 2, n_mels).

    Raises:
        SettingsError: a filter so narrow that no bin of the transform falls into it.
    """
    bins = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate)
    edges = _mel_edges(settings)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    if not filters.any(axis=0).all():
        empty = int(np.argmin(filters.any(axis=0)))
        raise SettingsError(
            f"features: mel band {empty} of {settings.n_mels} is narrower than a bin of n_fft = {settings.n_fft}; "
            "lower n_mels or raise n_fft"
        )
    return filters.astype(np.float32)


def mel_middles(settings: FeatureSettings) -> NDArray[np.float64]:
    """Hz of the middle of each mel band, (n_mels,), where its filter peaks."""
    return _mel_edges(settings)[1:-1]


def mel_widths(settings: FeatureSettings) -> Features:
    """Hz of each mel band, (n_mels,): half of its filter's foot, by which its mean power counts."""
    edges = _mel_edges(settings)
    return ((edges[2:] - edges[:-2]) / 2).astype(np.float32)


def lag_matrix(settings: FeatureSettings) -> Features:
    """From the mel bands' power to the autocorrelation at `n_lags` lags, a matrix to multiply from the right.

    The autocorrelation is the power spectrum's cosine transform (Wiener and Khinchin), here of the bands' middles, so
    that a lag need not be a whole number of samples. What the window takes from the long lags is given back to them
    (Boersma 1993, "Accurate short-term analysis of the fundamental frequency"). What comes out is still to be divided
    by the power, Σ widths · power: a steady voice has 1 at its period.

    Returns:
        (n_mels, n_lags); the first lag is that of the lowest pitch.
    """
    middles = mel_middles(settings)
    lags = 1 / np.geomspace(settings.lowest_pitch, settings.highest_pitch, settings.n_lags)  # seconds
    own = window(settings)
    spectrum = np.abs(np.fft.rfft(own, 2 * len(own))) ** 2
    of_window = np.fft.irfft(spectrum)[: len(own)]
    kept = np.interp(lags * settings.sample_rate, np.arange(len(own)), of_window / of_window[0])
    cosines = np.cos(2 * np.pi * middles[:, None] * lags) * mel_widths(settings)[:, None]
    return (cosines / kept).astype(np.float32)


def dct_matrix(n_mels: int, n_mfcc: int) -> Features:
    """The orthonormal DCT-II as a matrix to multiply from the right, (n_mels, n_mfcc)."""
    angles = np.pi / n_mels * (np.arange(n_mels)[:, None] + 0.5) * np.arange(n_mfcc)
    matrix = np.cos(angles) * math.sqrt(2.0 / n_mels)
    matrix[:, 0] *= math.sqrt(0.5)
    return matrix.astype(np.float32)


# Slaney's mel scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998).
_HZ_PER_MEL = 200.0 / 3
_LOG_STEP = math.log(6.4) / 27.0


def _mel_edges(settings: FeatureSettings) -> NDArray[np.float64]:
    """Hz where the triangular filters begin, peak and end, (n_mels + 2,): each begins where the last one peaks."""
    fmax = settings.sample_rate / 2 if settings.fmax is None else settings.fmax
    return _mel_to_hz(np.linspace(_hz_to_mel(settings.fmin), _hz_to_mel(fmax), settings.n_mels + 2))


def _hz_to_mel(hz: float) -> float:
    return hz / _HZ_PER_MEL if hz < 1000 else 15 + math.log(hz / 1000) / _LOG_STEP


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * _HZ_PER_MEL, 1000 * np.exp(_LOG_STEP * (mel - 15)))


def _librosa_log_mel(waveform: Waveform, settings: FeatureSettings) -> Features:
    """The same by librosa itself, for those who want its very numbers; needs audiornn[train]."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        win_length=settings.win_length,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
        fmin=settings.fmin,
        fmax=settings.fmax,
    )
    return np.ascontiguousarray(librosa.power_to_db(power, amin=POWER_FLOOR, top_db=None).T, np.float32)
