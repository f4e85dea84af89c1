"""What a listener must know of a trained CTC network besides its weights, measured on dev when training ends.

How far its symbols lie from where words begin and end: CTC is free to show a symbol anywhere in its sound, and does so
for a frame or two. An utterance's first word begins where the sound does, another where it comes back after a pause,
and the last one ends with it; so any corpus tells, without a single annotated time.

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
from audiornn.listen.results import TimedLabel
from audiornn.listen.words import join_words
from audiornn.model_file import ModelCard

__all__ = ["Heard", "calibrate", "fit_confidence", "sounds"]

_LEAST_TIMES = 10  # fewer tell too little
_PAUSE = 0.2  # seconds; a stop's closure is shorter
_NEAR = 0.15  # seconds; words are some 0.3 apart
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
        if words and all(right) and len(words) == len(said):
            begins, stops = _bounds_of_words(words, sounds(heard.log_mel, card.features.frame_seconds))
            starts += begins
            ends += stops
    timing = card.timing
    if min(len(starts), len(ends)) >= _LEAST_TIMES:
        timing = (round(float(np.median(starts)), 4), round(float(np.median(ends)), 4))
    return replace(card, timing=timing, confidence=fit_confidence(probabilities, rights))


def _bounds_of_words(
    words: Sequence[TimedLabel], heard: Sequence[tuple[float, float]]
) -> tuple[list[float], list[float]]:
    """Seconds from where words are shown to where they begin, and to where they end, as far as sounds can tell."""
    if not heard:
        return [], []
    # The first word begins with the first sound; but some networks show it long before, with the recording's first
    # frame, and that says nothing of any other word.
    first = heard[0][0] - words[0].start
    starts = [first] if abs(first) < _NEAR else []
    for begin, _ in heard[1:]:  # after a pause, a word begins; which one is plain if only one is near
        nearest = min((begin - word.start for word in words[1:]), key=abs, default=math.inf)
        if abs(nearest) < _NEAR:
            starts.append(nearest)
    return starts, [heard[-1][1] - words[-1].end]


def sounds(log_mel: Features, frame_seconds: float) -> list[tuple[float, float]]:
    """Where sounds begin and end that pauses part, in seconds; none where the background is too loud to tell.

    Args:
        log_mel: (frames, n_mels) in decibels.
        frame_seconds: from a frame to the next.
    """
    power = np.power(10.0, log_mel.astype(np.float64) / 10).mean(axis=1)
    floor, loudest = float(np.percentile(power, 10)), float(power.max())
    if loudest < _QUIET * floor:
        return []
    sounding = np.flatnonzero(power > max(4 * floor, loudest * 1e-3))
    parted = np.flatnonzero(np.diff(sounding) > round(_PAUSE / frame_seconds)) + 1
    return [(part[0] * frame_seconds, part[-1] * frame_seconds) for part in np.split(sounding, parted)]


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
    prior = _PRIOR * (x.T @ x) / len(x) / 4 + 1e-3 * np.eye(2)  # which words that are all alike leave open
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ curve))
        gradient = x.T @ (p - y) + prior @ (curve - start)
        step = np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + prior, gradient)
        length = np.abs(step).max()
        curve = curve - step * min(1.0, 1.0 / max(length, 1e-12))
        if length < 1e-8:
            break
    return round(float(curve[0]), 6), round(float(curve[1]), 6)
