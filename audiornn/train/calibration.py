"""What a listener must know of a trained CTC network besides its weights, measured on dev when training ends.

How far its symbols lie from where words begin and end: CTC is free to show a symbol anywhere in its sound, and does so
for a frame or two. The first word of an utterance begins where the sound does and the last one ends with it, so any
corpus tells, without a single annotated time.

How often a word is right that it gives with such and such a posterior: a logistic curve (Platt 1999) makes of the one
the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audiornn.corpus.manifest import Utterance
from audiornn.evaluate.error_rates import right_words
from audiornn.features import Features
from audiornn.listen.decoding import greedy_ctc
from audiornn.listen.words import join_words
from audiornn.model_file import ModelCard

__all__ = ["Heard", "calibrate", "fit_confidence", "sound_bounds"]

_LEAST_UTTERANCES = 10  # fewer tell too little of times
_LEAST_WORDS = 50
_QUIET = 100.0  # a begin or end is only seen where the loudest frame has so many times the power of the floor
_PRIOR = 10.0  # words' worth of belief that the posteriors are right as they are


@dataclass(frozen=True)
class Heard:
    """An utterance of dev: what it says, how it sounds, (frames, n_mels) in decibels, and what the network says."""

    utterance: Utterance
    log_mel: Features
    log_probs: NDArray[np.float32]


def calibrate(card: ModelCard, dev: Iterable[Heard]) -> ModelCard:
    """The card with its `timing` and `confidence` as dev has them; as they were where dev is too small to tell."""
    plain = replace(card, timing=(0.0, 0.0), confidence=(1.0, 0.0))
    starts, ends, probabilities, rights = [], [], [], []
    for heard in dev:
        duration = card.features.frames_to_seconds(len(heard.log_mel))
        words = join_words(plain, greedy_ctc(heard.log_probs), duration)
        said = card.vocabulary.reference(heard.utterance.text).split()
        right = right_words(said, [word.label for word in words])
        probabilities += [word.confidence for word in words]
        rights += right
        bounds = sound_bounds(heard.log_mel)
        if bounds and words and all(right) and len(words) == len(said):
            starts.append(card.features.frames_to_seconds(bounds[0]) - words[0].start)
            ends.append(card.features.frames_to_seconds(bounds[1]) - words[-1].end)
    timing = card.timing
    if len(starts) >= _LEAST_UTTERANCES:
        timing = (round(float(np.median(starts)), 4), round(float(np.median(ends)), 4))
    return replace(card, timing=timing, confidence=fit_confidence(probabilities, rights))


def sound_bounds(log_mel: Features) -> tuple[int, int] | None:
    """The frames where an utterance's sound begins and ends; None where its background is too loud to tell.

    Args:
        log_mel: (frames, n_mels) in decibels.
    """
    power = np.power(10.0, log_mel.astype(np.float64) / 10).mean(axis=1)
    floor, loudest = float(np.percentile(power, 10)), float(power.max())
    if loudest < _QUIET * floor:
        return None
    sounding = np.flatnonzero(power > max(4 * floor, loudest * 1e-3))
    return int(sounding[0]), int(sounding[-1])


def fit_confidence(probabilities: Sequence[float], rights: Sequence[bool]) -> tuple[float, float]:
    """Slope and intercept of log-odds, by Newton's method on the logistic loss, drawn a little towards (1, 0)."""
    if len(rights) < _LEAST_WORDS:
        return 1.0, 0.0
    odds = [math.log(p / (1 - p)) for p in np.clip(probabilities, 1e-6, 1 - 1e-6)]
    x = np.stack([np.array(odds), np.ones(len(odds))], axis=1)  # (words, 2)
    y = np.asarray(rights, np.float64)
    start = np.array([1.0, 0.0])
    curve = start.copy()
    # Belief in a curve is belief in what it says of typical words, so it is weighed by their log-odds.
    prior = _PRIOR * (x.T @ x) / len(x) / 4
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ curve))
        gradient = x.T @ (p - y) + prior @ (curve - start)
        step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + prior, gradient)
        length = np.abs(step).max()
        curve = curve - step * min(1.0, 1.0 / max(length, 1e-12))
        if length < 1e-8:
            break
    return round(float(curve[0]), 6), round(float(curve[1]), 6)
