"""Augmentation of log-mel frames: tempo, vocal tract, level, noise, position, and SpecAugment's masks.

In decibels a gain is an addition, exact down to the floor; noise adds up in power; a longer vocal tract shifts the
bands; so none of this needs the waveform, and all of it together takes less time than reading it would.
"""

from __future__ import annotations

import numpy as np

from audiornn.features import LOG_MEL_FLOOR, Features
from audiornn.settings import AugmentSettings

__all__ = ["add_noise", "augment", "change_tempo", "mask", "shift", "warp_bands"]

_FLOOR = np.float32(LOG_MEL_FLOOR)
_NOISE_COLOUR = 15.0  # dB


def augment(
    log_mel: Features,
    settings: AugmentSettings,
    *,
    frame_seconds: float,
    rng: np.random.Generator,
    may_move: bool,
    may_cut: bool,
    least_frames: int = 1,
) -> Features:
    """A varied copy of an utterance.

    Args:
        log_mel: (frames, n_mels) in decibels.
        settings: how much.
        frame_seconds: from a frame to the next.
        rng: the only source of chance.
        may_move: whether frames may change their place; labels of frames would have to move along.
        may_cut: whether a shift may push frames out at the other end; speech of a transcript must not be lost.
        least_frames: that the target needs; a faster tempo stops there.
    """
    varied = log_mel
    if may_move and settings.tempo:
        factor = 1 + rng.uniform(-settings.tempo, settings.tempo)
        varied = change_tempo(varied, max(least_frames, round(len(varied) / factor)))
    if settings.warp:
        varied = warp_bands(varied, 1 + rng.uniform(-settings.warp, settings.warp))
    gain: Features = np.float32(rng.uniform(-settings.gain, settings.gain))
    if settings.channel:
        gain = gain + _smooth_curve(varied.shape[1], settings.channel, rng).astype(np.float32)
    varied = np.where(varied > _FLOOR, np.maximum(varied + gain, _FLOOR), _FLOOR)  # digital silence stays silent
    if rng.random() < settings.noise:
        varied = add_noise(varied, rng.uniform(settings.least_snr, settings.most_snr), rng)
    if may_move and settings.time_shift:
        furthest = round(settings.time_shift / frame_seconds)
        varied = shift(varied, int(rng.integers(-furthest, furthest + 1)), may_cut=may_cut)
    longest = min(round(settings.time_mask_seconds / frame_seconds), len(varied) // 5)
    widest = round(settings.band_mask_share * varied.shape[1])
    mean = varied.mean(axis=0)
    for _ in range(settings.time_masks):
        mask(varied, mean, longest, axis=0, rng=rng)
    for _ in range(settings.band_masks):
        mask(varied, mean, widest, axis=1, rng=rng)
    return varied


def _smooth_curve(n_mels: int, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """A tilt and a slow wave over the bands, (n_mels,), each half of `decibels` from its middle at most."""
    place = np.linspace(-0.5, 0.5, n_mels)
    wave = np.cos(np.pi * (rng.uniform(0, 4) * place + rng.uniform(0, 2)))
    return rng.uniform(-decibels, decibels) * place + rng.uniform(0, decibels / 2) * wave


def change_tempo(log_mel: Features, n_frames: int) -> Features:
    """The utterance in `n_frames` frames, interpolated; its pitch stays."""
    return _resampled(log_mel, np.linspace(0, len(log_mel) - 1, n_frames))


def warp_bands(log_mel: Features, factor: float) -> Features:
    """Move what band b holds to band b · factor, as a shorter vocal tract would (Jaitly and Hinton 2013)."""
    n_mels = log_mel.shape[1]
    return _resampled(log_mel.T, np.minimum(np.arange(n_mels) / factor, n_mels - 1)).T


def add_noise(log_mel: Features, snr: float, rng: np.random.Generator) -> Features:
    """Add steady noise of a random colour, its mean power `snr` dB below the utterance's."""
    n_frames, n_mels = log_mel.shape
    colour = np.power(10, _smooth_curve(n_mels, _NOISE_COLOUR, rng) / 10)
    # The power of noise in a band scatters from frame to frame, less where the band is wide.
    scatter = rng.gamma(3.0, 1 / 3.0, (n_frames, n_mels))
    power = np.power(10, log_mel / 10, dtype=np.float32)
    noise = (power.mean() / 10 ** (snr / 10) / colour.mean() * colour * scatter).astype(np.float32)
    return np.maximum(10 * np.log10(power + noise, dtype=np.float32), _FLOOR)


def shift(log_mel: Features, n_frames: int, *, may_cut: bool) -> Features:
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
