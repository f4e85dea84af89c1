"""What the audit knows of a recording: levels, clipping, silence, bandwidth, channels, and a fingerprint.

Measured once, while `prep` reads the recording for its features, and in blocks, so that an hour costs no more memory
than ten seconds do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiornn.audio import audio_blocks
from audiornn.corpus.manifest import Utterance
from audiornn.corpus.workers import run_in_workers
from audiornn.errors import AudioError

__all__ = ["MEASURES", "UTTERANCES_IN_FULL", "Measured", "Meter", "measure_recordings", "thinned"]

#: A row an utterance. Levels are decibels relative to full scale (dBFS), times seconds.
MEASURES = np.dtype(
    [
        ("sample_rate", np.int32),  # Hz, the recording's own
        ("n_channels", np.int16),
        ("duration", np.float64),
        ("peak", np.float32),  # of any channel, 1 is full scale
        ("level", np.float32),  # of its louder frames: the 95th percentile, in long ones the 20th loudest
        ("noise", np.float32),  # of its quieter frames: the 10th percentile
        ("dc", np.float32),  # mean sample, of the channel where it is largest
        ("flat_peaks", np.int32),  # runs of three or more samples at the highest or lowest value: clipping
        ("leading", np.float32),  # before the first loud frame
        ("trailing", np.float32),  # after the last
        ("first_level", np.float32),  # of the first 20 ms
        ("last_level", np.float32),
        ("dropout", np.float32),  # longest run of one value between two loud frames: lost packets
        ("bandwidth", np.float32),  # Hz up to which there is anything; half the rate where there is no cliff
        ("channel_gap", np.float32),  # decibels from the loudest channel down to the quietest
        ("channel_correlation", np.float32),  # of the first two: −1 cancels when mixed down; 1 where there is one
        ("identity", np.uint64),  # a hash of the samples, whatever the container; 0 of silence
    ]
)

#: Of a corpus with more utterances a share of the keys is kept, so that a million of them fit into memory.
UTTERANCES_IN_FULL = 100_000

_FRAMES_A_SECOND = 100
_WINDOW_SECONDS = 0.032
_SILENCE = -95.0  # dBFS: digital silence, and the rounding noise of 16 bits
_LOUD_RANGE = 25.0  # a frame is loud from so far below the loudest ones
_LOUDER_FRAMES = 20  # one word's, however long the recording goes on
_EDGE_SECONDS = 0.02
_BANDS = 64  # of equal width, for the spectrum's cliff
_BATCH = 64  # recordings a job of a worker

_CLIFF = 24.0  # decibels by which the mean spectrum falls within six bands
_LEAST_BANDWIDTH = 1800.0  # Hz; below it end vowels, not filters
_PEAK_CLIFF = 65.0  # and its loudest frame: no fricative, no click
_EMPTY = -105.0  # dB a band, or it holds no more than the rounding of 16 bits
_FLOOR_CLIFF = 6.0  # and that of the quiet frames with it
_KEY_BANDS = 12  # of a fingerprint: eleven differences
_KEY_RANGE = (200.0, 3600.0)  # Hz: what telephone speech has, too
_KEY_SMOOTHING = 11  # frames, so that half a hop's shift changes little
_MOST_KEYS = 36_000  # of a recording: two minutes of speech in full, an hour thinly
_KEY_STEP = 6  # frames between the two halves of a key
_BLOCK = 3000  # frames whose spectra are in memory at once


@dataclass(frozen=True)
class Measured:
    """A corpus as measured.

    Attributes:
        rows: an array of `MEASURES`, a row an utterance; all zero where the recording could not be read.
        keys: fingerprints of all, (keys, 2): key and frame.
        owners: index of the utterance of each key, (keys,).
    """

    rows: NDArray[Any]
    keys: NDArray[np.uint32]
    owners: NDArray[np.int64]


class Meter:
    """Measures a recording that is pushed to it in blocks."""

    def __init__(self) -> None:
        self._rate = 0
        self._hop = 1  # samples
        self._n_samples = 0
        self._rest = np.empty(0, np.float32)  # of the last block, less than a hop
        self._levels: list[NDArray[np.float32]] = []
        self._key_power: list[NDArray[np.float32]] = []
        self._spectra: list[NDArray[np.float32]] = []
        self._peaks: list[tuple[float, int]] = []
        self._sums = np.zeros(1)
        self._squares = np.zeros(1)
        self._cross = 0.0
        self._hash = hashlib.blake2b(digest_size=8)
        self._runs: list[_Run] = []

    def add(self, block: NDArray[np.float32], sample_rate: int) -> None:
        """Measure the next samples, (samples, channels)."""
        if not self._rate:
            self._rate, self._hop = sample_rate, max(1, sample_rate // _FRAMES_A_SECOND)
            self._sums, self._squares = np.zeros(block.shape[1]), np.zeros(block.shape[1])
        mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        self._sums += block.sum(axis=0, dtype=np.float64)
        self._squares += np.einsum("tc,tc->c", block, block, dtype=np.float64)
        if block.shape[1] > 1:
            self._cross += float(np.dot(block[:, 0].astype(np.float64), block[:, 1]))
        self._peaks.append(_flat_peaks(block))
        self._hash.update(np.rint(np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes())
        self._add_runs(mono)
        self._n_samples += len(block)
        mono = np.concatenate([self._rest, mono])
        n_whole = len(mono) // self._hop * self._hop
        self._rest = mono[n_whole:]
        whole = mono[:n_whole].reshape(-1, self._hop)
        if len(whole):
            power = np.einsum("th,th->t", whole, whole) / self._hop - np.square(whole.mean(axis=1))  # without offset
            self._levels.append(_decibels(power))
            for begin in range(0, n_whole, _BLOCK * self._hop):
                self._add_spectra(mono[begin : begin + _BLOCK * self._hop])

    def finish(self) -> tuple[NDArray[Any], NDArray[np.uint32]]:
        """The row of `MEASURES`, shape (), and the fingerprint: (keys, 2) of key and frame, 100 frames a second."""
        row = np.zeros((), MEASURES)
        if not self._n_samples:
            return row, np.empty((0, 2), np.uint32)
        rate, n = self._rate, self._n_samples
        levels = np.concatenate(self._levels) if self._levels else np.array([_SILENCE - 5], np.float32)
        sounding = levels[levels > _SILENCE]
        louder = 100 * (1 - min(0.05, _LOUDER_FRAMES / max(1, len(sounding))))
        level, noise = np.percentile(sounding, [louder, 10]) if len(sounding) else (_SILENCE - 5, _SILENCE - 5)
        loud = np.flatnonzero(levels > max(level - _LOUD_RANGE, min((level + noise) / 2, level - 6), _SILENCE))
        row["sample_rate"], row["n_channels"], row["duration"] = rate, len(self._sums), self._n_samples / rate
        row["peak"] = max(peak for peak, _ in self._peaks)
        row["flat_peaks"] = sum(runs for peak, runs in self._peaks if peak >= 0.98 * row["peak"])
        row["level"], row["noise"] = level, noise
        row["dc"] = self._sums[np.abs(self._sums).argmax()] / n
        row["leading"] = loud[0] * self._hop / rate if len(loud) else row["duration"]
        row["trailing"] = (len(levels) - 1 - loud[-1]) * self._hop / rate if len(loud) else row["duration"]
        n_edge = round(_EDGE_SECONDS * _FRAMES_A_SECOND)
        row["first_level"], row["last_level"] = levels[:n_edge].mean(), levels[-n_edge:].mean()
        row["dropout"] = self._dropout(loud) / rate
        row["bandwidth"] = self._bandwidth()
        powers = self._squares / n
        row["channel_gap"] = _decibels(powers.max()) - _decibels(powers.min())
        row["channel_correlation"] = 1.0
        if len(powers) > 1:
            row["channel_correlation"] = self._cross / max(1e-12, float(np.sqrt(self._squares[0] * self._squares[1])))
        silent = not len(sounding)
        row["identity"] = 0 if silent else int.from_bytes(self._hash.digest(), "little")
        return row, np.empty((0, 2), np.uint32) if silent else self._keys()

    def _add_spectra(self, mono: NDArray[np.float32]) -> None:
        window, n_fft, to_bands, to_key_bands = _transform(self._rate)
        if len(mono) < len(window):
            mono = np.concatenate([mono, np.zeros(len(window) - len(mono), np.float32)])
        frames = np.lib.stride_tricks.sliding_window_view(mono, len(window))[:: self._hop]
        spectra = np.fft.rfft(frames * window, n_fft)
        power = (np.square(spectra.real) + np.square(spectra.imag)).astype(np.float32)
        self._key_power.append(power @ to_key_bands)
        bands = power @ to_bands
        self._spectra.append(np.column_stack([power.mean(axis=0) @ to_bands, _floor(bands), bands.max(axis=0)]))

    def _add_runs(self, mono: NDArray[np.float32]) -> None:
        """Note stretches of one value; one that goes on from the last block is one."""
        for first, length in _constant_runs(mono, self._rate // 50):
            run = _Run(self._n_samples + first, length, float(mono[first]))
            last = self._runs[-1] if self._runs else None
            if last is not None and last.value == run.value and last.first + last.length == run.first:
                self._runs[-1] = _Run(last.first, last.length + run.length, run.value)
            else:
                self._runs.append(run)

    def _dropout(self, loud: NDArray[np.intp]) -> int:
        """Samples of the longest constant stretch that begins and ends among loud frames."""
        # A pause is quiet before and after, too; a lost packet begins and ends in the middle of sound.
        loud_frames = set(loud.tolist())
        longest = 0
        for first, length, _ in self._runs:
            before, after = first // self._hop, (first + length) // self._hop
            if length >= self._rate // 50 and {before - 1, before} & loud_frames and {after, after + 1} & loud_frames:
                longest = max(longest, length)
        return longest

    def _bandwidth(self) -> float:
        """Where the spectrum falls off a cliff that no voice makes, in its quiet frames too; else half the rate."""
        nyquist = self._rate / 2
        if not self._spectra:
            return nyquist
        mean, floor, _ = 10 * np.log10(np.mean(self._spectra, axis=0).T + 1e-20)
        most = 10 * np.log10(np.max(self._spectra, axis=0)[:, 2] + 1e-20)
        steepest, bandwidth = _CLIFF, nyquist
        first = max(4, int(_LEAST_BANDWIDTH / nyquist * _BANDS))
        for edge in range(first, _BANDS - 6):  # the last bands belong to the recorder's own filter
            below, above = slice(edge - 3, edge), slice(edge + 3, _BANDS - 3)
            cliff = mean[below].min() - mean[above].max()
            highest = most[above].max()
            empty = most[:edge].max() - highest > _PEAK_CLIFF or highest < _EMPTY
            if cliff > steepest and empty and floor[below].mean() - floor[above].mean() > _FLOOR_CLIFF:
                steepest, bandwidth = cliff, (edge + 1.5) * nyquist / _BANDS
        return float(bandwidth)

    def _keys(self) -> NDArray[np.uint32]:
        """Signs of the differences between bands and frames (Haitsma and Kalker 2002), two frames to a key."""
        power = np.concatenate(self._key_power)
        if len(power) < _KEY_SMOOTHING + _KEY_STEP + 2:
            return np.empty((0, 2), np.uint32)
        sums = np.cumsum(np.vstack([np.zeros((1, _KEY_BANDS), np.float64), power.astype(np.float64)]), axis=0)
        smooth = np.log(sums[_KEY_SMOOTHING:] - sums[:-_KEY_SMOOTHING] + 1e-12)
        change = np.diff(np.diff(smooth, axis=1), axis=0)
        bits = ((change > 0) @ (1 << np.arange(_KEY_BANDS - 1))).astype(np.uint32)
        loudness = np.log(power.sum(axis=1) + 1e-12)
        n_keys = len(bits) - _KEY_STEP
        centre = loudness[_KEY_SMOOTHING // 2 :][:n_keys]
        seconds = np.arange(n_keys) * self._hop / self._rate
        frames = np.rint(seconds * _FRAMES_A_SECOND).astype(np.uint32)
        heard = np.flatnonzero(centre > loudness.max() - np.log(10) * 2.5)
        keys = (bits[:n_keys] << np.uint32(_KEY_BANDS - 1)) | bits[_KEY_STEP:]
        # Each key again with either of its two least certain bits turned: noise turns those first.
        sure = np.hstack([np.abs(change)[_KEY_STEP:], np.abs(change)[:n_keys]])[heard]  # bit 0 first
        weakest = np.argsort(sure, axis=1)[:, :2].astype(np.uint32)
        own = keys[heard]
        turned = [own ^ (np.uint32(1) << weakest[:, i]) for i in range(2)]
        found = np.column_stack([np.concatenate([own, *turned]), np.tile(frames[heard], 3)]).astype(np.uint32)
        return thinned(found, -(-len(found) // _MOST_KEYS))


def thinned(keys: NDArray[np.uint32], share: int) -> NDArray[np.uint32]:
    """One in `share` keys (the next power of two), chosen by the key itself: two copies keep the same ones."""
    if share <= 1:
        return keys
    mixed = (keys[:, 0] * np.uint32(2654435761)) >> np.uint32(16)
    return keys[mixed % (1 << (share - 1).bit_length()) == 0]


class _Run(NamedTuple):
    """A stretch of equal samples."""

    first: int
    length: int
    value: float


@lru_cache(maxsize=8)
def _transform(rate: int) -> tuple[NDArray[np.float32], int, NDArray[np.float32], NDArray[np.float32]]:
    """The window, the length of its FFT, and the matrices from bins to bands and to the fingerprint's bands."""
    length = round(_WINDOW_SECONDS * rate)
    n_fft = length  # no power of two: the bins are the same ones at every rate
    frequencies = np.fft.rfftfreq(n_fft, 1 / rate)
    band = np.minimum((frequencies / (rate / 2) * _BANDS).astype(int), _BANDS - 1)
    to_bands = np.zeros((len(frequencies), _BANDS), np.float32)
    to_bands[np.arange(len(frequencies)), band] = 1
    to_bands /= np.maximum(1, to_bands.sum(axis=0))
    edges = np.geomspace(*_KEY_RANGE, _KEY_BANDS + 1)
    to_keys = np.array([(frequencies >= a) & (frequencies < b) for a, b in pairwise(edges)])
    window = np.hanning(length).astype(np.float32) / np.float32(length / 4)
    return window, n_fft, to_bands, to_keys.T.astype(np.float32)


def _floor(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """The quiet frames' spectrum: each band's first quintile, of the frames that are no digital silence."""
    sounding = power[power.sum(axis=1) > 10 ** (_SILENCE / 10)]
    if not len(sounding):
        return np.zeros(power.shape[1], np.float32)
    k = len(sounding) // 5
    quiet: NDArray[np.float32] = np.partition(sounding, k, axis=0)[k]
    return quiet


def _decibels(power: Any) -> Any:
    return 10 * np.log10(np.maximum(power, 1e-10))


def _flat_peaks(block: NDArray[np.float32]) -> tuple[float, int]:
    """The highest absolute sample, and how many runs of three or more lie at the highest or the lowest value."""
    peak, runs = 0.0, 0
    for samples in block.T:
        high, low = float(samples.max()), float(samples.min())
        peak = max(peak, high, -low)
        for value in (high, low):
            if abs(value) > 0.05:
                at = np.flatnonzero(np.abs(samples - value) < 2e-4 * abs(value))
                if len(at) >= 3:
                    runs += int(np.count_nonzero((at[2:] - at[:-2] == 2) & np.append(at[3:] - at[:-3] != 3, True)))
    return peak, runs


def _constant_runs(mono: NDArray[np.float32], least: int) -> list[tuple[int, int]]:
    """(first, length) of stretches of at least `least` equal samples, and of those at the ends, which may go on."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(mono)) + 1, [len(mono)]])
    lengths = np.diff(edges)
    long = lengths >= max(2, least)
    long[[0, -1]] = True
    return [(int(edges[i]), int(lengths[i])) for i in np.flatnonzero(long & (lengths > 0))]


def measure_recordings(
    utterances: Sequence[Utterance], *, n_jobs: int, progress: Callable[[int], None] = lambda n_done: None
) -> tuple[Measured, dict[str, str]]:
    """Measure recordings that no features are wanted of.

    Args:
        utterances: of a corpus.
        n_jobs: worker processes.
        progress: called with the number of recordings just done.

    Returns:
        What was measured, and by utterance id why a recording cannot be read.
    """
    batches = [utterances[i : i + _BATCH] for i in range(0, len(utterances), _BATCH)]
    rows = np.zeros(len(utterances), MEASURES)
    keys: list[NDArray[np.uint32]] = [np.empty((0, 2), np.uint32)] * len(utterances)
    problems = {}
    for i, measured in run_in_workers(_measure, batches, n_jobs if len(batches) > 4 else 1):
        for place, (utterance, (row, fingerprint, problem)) in enumerate(
            zip(batches[i], measured, strict=True), start=_BATCH * i
        ):
            rows[place], keys[place] = row, thinned(fingerprint, len(utterances) // UTTERANCES_IN_FULL)
            if problem:
                problems[utterance.id] = problem
        progress(len(measured))
    owners = np.repeat(np.arange(len(keys)), [len(k) for k in keys])
    return Measured(rows, np.concatenate([np.empty((0, 2), np.uint32), *keys]), owners), problems


def _measure(batch: Sequence[Utterance]) -> list[tuple[NDArray[Any], NDArray[np.uint32], str]]:
    measured = []
    for utterance in batch:
        meter, problem = Meter(), ""
        try:
            blocks = audio_blocks(
                utterance.audio, start=utterance.start, duration=utterance.duration, observe=meter.add
            )
            for _ in blocks:
                pass
        except AudioError as error:
            meter, problem = Meter(), str(error)
        measured.append((*meter.finish(), problem))
    return measured
