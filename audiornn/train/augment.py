"""Augmentation of log-mel frames: speed, tempo, vocal tract, level, room, noise, position, masks (SpecAugment), mixup.

In decibels a gain is an addition, exact down to the floor; noise and echoes add up in power; a longer vocal tract
shifts the bands; so none of this needs the waveform, and all of it together takes less time than reading it would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiornn.features import LOG_MEL_FLOOR, Features
from audiornn.settings import AugmentSettings

__all__ = [
    "add_echoes",
    "add_noise",
    "augment",
    "change_tempo",
    "loud_part",
    "mask",
    "mix",
    "other_noise",
    "overlay",
    "scale_frequencies",
    "shift",
    "warp_bands",
]

_FLOOR = np.float32(LOG_MEL_FLOOR)
_NOISE_COLOUR = 15.0  # dB
_OTHER_COLOUR = 30.0  # dB
_OTHER_LEVEL = 15.0  # dB
_WAVES = 3
_WAVE_HZ = (0.5, 6.0)  # a syllable's pace and slower
_FADE_FROM = 0.5  # of the bands; the lower half always stays
_FADE = (10.0, 60.0)  # dB over all bands that fade
_TRIM_DEPTH = (10.0, 40.0)  # dB below the loudest frame
_LEAST_TRIMMED = 5  # frames that are left
_ECHO_SECONDS = (0.1, 0.8)  # until echoes are 60 dB down: a furnished room, a hall
_ECHO_LEVEL = (-15.0, 0.0)  # dB, all of them against the direct sound


def augment(
    log_mel: Features,
    settings: AugmentSettings,
    *,
    frame_seconds: float,
    rng: np.random.Generator,
    may_cut: bool,
    least_frames: int = 1,
    draw_noise: Callable[[], Features] | None = None,
    middles: NDArray[np.float64] | None = None,
    timing: np.random.Generator | None = None,
) -> tuple[Features, NDArray[np.float64]]:
    """A varied copy of an utterance, and where each of its frames was before.

    Args:
        log_mel: (frames, n_mels) in decibels.
        settings: how much.
        frame_seconds: from a frame to the next.
        rng: the only source of chance, unless there is `timing`.
        may_cut: whether a shift may push frames out at the other end; speech of a transcript must not be lost.
        least_frames: that the target needs; a faster tempo stops there.
        draw_noise: gives log-mel frames of a recording of noise, any number.
        middles: Hz of the bands' middles, which `speed` and `vocal_tract` need.
        timing: the source of chance of what moves frames: copies that share its state show the same at each frame.

    Returns:
        The copy, (frames, n_mels), of another length maybe; and its places (frames,): the frame of `log_mel`, or a
        point between two, that each one shows, so that labels of frames can move along with the sound.
    """
    varied, places = log_mel, np.arange(len(log_mel), dtype=np.float64)
    timing = timing or rng
    if settings.trim and may_cut and timing.random() < settings.trim:
        kept = loud_part(varied, timing.uniform(*_TRIM_DEPTH))
        varied, places = varied[kept], places[kept]
    if (settings.speed or settings.vocal_tract) and middles is None:
        raise ValueError("augment.speed and augment.vocal_tract need to know the bands' middles")
    speed = 1 + timing.uniform(-settings.speed, settings.speed) if settings.speed else 1.0
    if settings.speed or settings.tempo:
        factor = speed * (1 + timing.uniform(-settings.tempo, settings.tempo) if settings.tempo else 1.0)
        n_frames = max(least_frames, round(len(varied) / factor))
        steps = np.linspace(0, len(varied) - 1, n_frames)
        varied, places = change_tempo(varied, n_frames), np.interp(steps, np.arange(len(varied)), places)
    if settings.speed or settings.vocal_tract:
        assert middles is not None, "asked for above"
        tract = 1 + rng.uniform(-settings.vocal_tract, settings.vocal_tract) if settings.vocal_tract else 1.0
        varied = scale_frequencies(varied, middles, speed * tract)
    if settings.warp:
        varied = warp_bands(varied, 1 + rng.uniform(-settings.warp, settings.warp))
    gain: Features = np.float32(rng.uniform(-settings.gain, settings.gain))
    if settings.channel:
        gain = gain + _smooth_curve(varied.shape[1], settings.channel, rng).astype(np.float32)
    if settings.wobble:
        gain = gain + _waves(varied.shape, settings.wobble, frame_seconds, rng)
    if rng.random() < settings.band_limit:
        gain = gain - _fade(varied.shape[1], rng)
    varied = np.where(varied > _FLOOR, np.maximum(varied + gain, _FLOOR), _FLOOR)  # digital silence stays silent
    if rng.random() < settings.reverb:
        seconds, level = rng.uniform(*_ECHO_SECONDS), rng.uniform(*_ECHO_LEVEL)
        varied = add_echoes(varied, decay=60 * frame_seconds / seconds, level=level)
    if rng.random() < settings.noise:
        recorded = draw_noise() if draw_noise is not None and rng.random() < 0.5 else None
        varied = add_noise(varied, rng.uniform(settings.least_snr, settings.most_snr), rng, recorded)
    if settings.time_shift:
        furthest = round(settings.time_shift / frame_seconds)
        n_frames = int(timing.integers(-furthest, furthest + 1))
        varied = shift(varied, n_frames, may_cut=may_cut)
        places = shift(places[:, None], n_frames, may_cut=may_cut)[:, 0]
    longest = min(round(settings.time_mask_seconds / frame_seconds), len(varied) // 5)
    widest = round(settings.band_mask_share * varied.shape[1])
    mean = varied.mean(axis=0)
    for _ in range(settings.time_masks):
        mask(varied, mean, longest, axis=0, rng=rng)
    for _ in range(settings.band_masks):
        mask(varied, mean, widest, axis=1, rng=rng)
    return varied, places


def other_noise(log_mel: Features, rng: np.random.Generator) -> Features:
    """A recording of noise, (frames, n_mels), as of another source: its colour and level another, its course its own.

    A few minutes of noise are soon learnt by heart; that something is noise is not a matter of its spectrum.
    """
    curve = _smooth_curve(log_mel.shape[1], _OTHER_COLOUR, rng) + rng.uniform(-_OTHER_LEVEL, _OTHER_LEVEL)
    return np.where(log_mel > _FLOOR, np.maximum(log_mel + curve.astype(np.float32), _FLOOR), _FLOOR)


def _smooth_curve(n_mels: int, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """A tilt and a slow wave over the bands, (n_mels,), each half of `decibels` from its middle at most."""
    place = np.linspace(-0.5, 0.5, n_mels)
    wave = np.cos(np.pi * (rng.uniform(0, 4) * place + rng.uniform(0, 2)))
    return rng.uniform(-decibels, decibels) * place + rng.uniform(0, decibels / 2) * wave


def _waves(shape: tuple[int, ...], decibels: float, frame_seconds: float, rng: np.random.Generator) -> Features:
    """Slow waves over time and bands, (frames, n_mels), together no further than `decibels` from level."""
    n_frames, n_mels = shape
    time = frame_seconds * np.arange(n_frames)[:, None]
    place = np.linspace(0, 1, n_mels)
    total = np.zeros(shape)
    for _ in range(_WAVES):
        turns = rng.uniform(*_WAVE_HZ) * time + rng.uniform(-1, 1) * place + rng.uniform()
        total += rng.uniform(0, decibels / _WAVES) * np.cos(2 * np.pi * turns)
    return total.astype(np.float32)


def _fade(n_mels: int, rng: np.random.Generator) -> Features:
    """Decibels that the bands lose, (n_mels,): none up to a drawn one, from there on ever more."""
    first = rng.uniform(_FADE_FROM, 1.0) * n_mels
    return (rng.uniform(*_FADE) * np.clip((np.arange(n_mels) - first) / (n_mels / 8), 0, 1)).astype(np.float32)


def change_tempo(log_mel: Features, n_frames: int) -> Features:
    """The utterance in `n_frames` frames, interpolated; its pitch stays."""
    return _resampled(log_mel, np.linspace(0, len(log_mel) - 1, n_frames))


def loud_part(log_mel: Features, depth: float) -> slice:
    """From the first to the last frame within `depth` dB of the loudest; five frames at least, where there are."""
    levels = _power(log_mel).mean(axis=1)
    loud = np.flatnonzero(levels >= levels.max() * 10 ** (-depth / 10))
    first = max(0, min(int(loud[0]), len(log_mel) - _LEAST_TRIMMED))
    return slice(first, max(int(loud[-1]) + 1, first + _LEAST_TRIMMED))


def scale_frequencies(log_mel: Features, middles: NDArray[np.float64], factor: float) -> Features:
    """Move what is heard at f Hz to f · factor, as a vocal tract shorter by that factor does (Jaitly and Hinton 2013).

    Args:
        log_mel: (frames, n_mels) in decibels.
        middles: Hz of the bands' middles, (n_mels,).
        factor: what comes from beyond the outermost bands is as in those.
    """
    return _resampled(log_mel.T, np.interp(middles / factor, middles, np.arange(len(middles)))).T


def warp_bands(log_mel: Features, factor: float) -> Features:
    """Move what band b holds to band b · factor."""
    n_mels = log_mel.shape[1]
    return _resampled(log_mel.T, np.minimum(np.arange(n_mels) / factor, n_mels - 1)).T


def add_echoes(log_mel: Features, *, decay: float, level: float) -> Features:
    """Add the echoes of a room: each frame goes on in those after it, `decay` dB weaker from one to the next.

    Args:
        log_mel: (frames, n_mels) in decibels.
        decay: dB a frame.
        level: dB of all echoes of a frame together against itself.
    """
    heard = _power(log_mel)
    kept = np.float32(10 ** (-decay / 10))
    share = np.float32(10 ** (level / 10)) * (1 - kept)
    tail = np.zeros_like(heard[0])
    for frame in heard:
        direct = frame.copy()
        frame += share * tail
        tail = kept * tail + direct
    return _decibels(heard)


def add_noise(log_mel: Features, snr: float, rng: np.random.Generator, recorded: Features | None = None) -> Features:
    """Add noise, its mean power `snr` dB below the utterance's.

    Args:
        log_mel: (frames, n_mels) in decibels.
        snr: dB from the noise up to the utterance.
        rng: where in the recording the noise begins, or the colour of steady noise.
        recorded: frames of noise, repeated if the utterance is longer; None makes steady noise.
    """
    n_frames, n_mels = log_mel.shape
    if recorded is None:
        colour = np.power(10, _smooth_curve(n_mels, _NOISE_COLOUR, rng) / 10)
        # The power of noise in a band scatters from frame to frame, less where the band is wide.
        noise = (colour / colour.mean() * rng.gamma(3.0, 1 / 3.0, (n_frames, n_mels))).astype(np.float32)
    else:
        frames = _power(recorded)
        noise = frames[(rng.integers(len(frames)) + np.arange(n_frames)) % len(frames)]
        noise = noise / max(float(noise.mean()), 10 ** (LOG_MEL_FLOOR / 10))
    power = _power(log_mel)
    return _decibels(power + noise * np.float32(power.mean() / 10 ** (snr / 10)))


def mix(log_mel: Features, other: Features, share: float) -> Features:
    """Mix two recordings brought to one level, as long as the first, of which `share` is as much as one hears of it."""
    power, others = _power(log_mel), _power(other[: len(log_mel)])
    mean, mean_of_other = max(float(power.mean()), 1e-10), max(float(others.mean()), 1e-10)
    mixed = power * np.float32(share**2)
    mixed[: len(others)] += others * np.float32((1 - share) ** 2 * mean / mean_of_other)
    return _decibels(mixed / np.float32(share**2 + (1 - share) ** 2))


def overlay(log_mel: Features, sound: Features, first: int) -> Features:
    """Lay a sound over frames from `first` on, which may lie before them; what reaches beyond either end is cut."""
    begin, end = max(0, first), min(len(log_mel), first + len(sound))
    both = log_mel.copy()
    if begin < end:
        both[begin:end] = _decibels(_power(log_mel[begin:end]) + _power(sound[begin - first : end - first]))
    return both


def _power(log_mel: Features) -> Features:
    return np.power(np.float32(10), log_mel / 10)


def _decibels(power: Features) -> Features:
    return np.maximum(10 * np.log10(np.maximum(power, 10 ** (_FLOOR / 10))), _FLOOR)


def shift(log_mel: NDArray[Any], n_frames: int, *, may_cut: bool) -> NDArray[Any]:
    """Move an utterance by frames, later where positive; its outermost frame continues it."""
    before, after = max(0, n_frames), max(0, -n_frames)
    longer = np.pad(log_mel, ((before, after), (0, 0)), mode="edge")
    return longer[after : after + len(log_mel)] if may_cut else longer


def mask(log_mel: Features, mean: Features, widest: int, *, axis: int, rng: np.random.Generator) -> None:
    """Replace up to `widest` neighbouring frames (axis 0) or bands (axis 1) by the mean, in place."""
    width = int(rng.integers(0, widest + 1))
    first = int(rng.integers(0, log_mel.shape[axis] - width + 1))
    if axis == 0:
        log_mel[first : first + width] = mean
    else:
        log_mel[:, first : first + width] = mean[first : first + width]


def _resampled(rows: Features, positions: np.ndarray) -> Features:
    """Rows at fractional positions, interpolated linearly."""
    left = positions.astype(np.int64)
    right = np.minimum(left + 1, len(rows) - 1)
    share = (positions - left).astype(np.float32)[:, None]
    return rows[left] * (1 - share) + rows[right] * share
