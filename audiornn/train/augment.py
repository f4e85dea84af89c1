"""Augmentation of log-mel frames: level, position, and SpecAugment's masks.

In decibels a gain is an addition, exact down to the floor, so none of this needs the waveform.
"""

from __future__ import annotations

import numpy as np

from audiornn.features import LOG_MEL_FLOOR, Features
from audiornn.settings import AugmentSettings

__all__ = ["augment", "mask", "shift"]


def augment(
    log_mel: Features,
    settings: AugmentSettings,
    *,
    frame_seconds: float,
    rng: np.random.Generator,
    may_shift: bool,
    may_cut: bool,
) -> Features:
    """A varied copy of an utterance.

    Args:
        log_mel: (frames, n_mels) in decibels.
        settings: how much.
        frame_seconds: from a frame to the next.
        rng: the only source of chance.
        may_shift: whether positions carry no meaning; labels of frames would have to move along.
        may_cut: whether a shift may push frames out at the other end; speech of a transcript must not be lost.
    """
    floor = np.float32(LOG_MEL_FLOOR)
    gain = np.float32(rng.uniform(-settings.gain, settings.gain))
    varied = np.where(log_mel > floor, np.maximum(log_mel + gain, floor), floor)  # digital silence stays silent
    if may_shift and settings.time_shift:
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
