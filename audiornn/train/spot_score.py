"""How a spotter does on dev, and the threshold that its model file gets.

Answers are posteriors smoothed as the decision layer smooths them. A keyword's answer is the loudest from its first
frame to a moment after its end; a false alarm is a peak of all else, a second from the next.

Hours of dev are mostly few: where no false alarm is allowed in them at all, the loudest peak says little of what an
hour brings. So the rate at which peaks exceed a threshold is carried on beyond them, as their log-odds thin out:
exponentially, as tails do (Pickands 1975), by the mean excess of the loudest ones (Hill 1975).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiornn.train.dataset import Dataset
from audiornn.train.network import Network
from audiornn.train.parallel import Workers

__all__ = ["DECISION", "Onset", "SpotAnswers", "answers_of", "choose_onset", "loudest_peaks", "spotting_of"]

#: The decision layer of a trained spotter, but for its thresholds.
DECISION: Mapping[str, float] = {"smoothing": 0.09, "refractory": 0.7, "least_duration": 0.0, "settle": 0.0}
OFFSET = 0.5  # of the onset

_AFTER = 0.4  # seconds after a keyword's end in which its answer may still come
_APART = 1.0  # seconds from a false alarm to the next
_ALLOWED = (0, 1, 2, 4, 8)  # false alarms at which misses are counted
_TAIL = 12  # of the loudest peaks, that say how the tail goes on
_LEAST_EXCESS = 1e-3
_GIVEN_UP = 0.05  # of a keyword's answers
_FEW = 3.0  # allowed false alarms from which on they are counted and not extrapolated
_SURE = 1e-6  # log-odds end here: float32 posteriors say no more


@dataclass(frozen=True)
class SpotAnswers:
    """What a network answered to a split.

    Attributes:
        keywords: their answers, by label: one for each time that it was said.
        alarms: peaks of all else, by label, the loudest first.
        hours: of the split.
    """

    keywords: Mapping[str, NDArray[np.float64]]
    alarms: Mapping[str, NDArray[np.float64]]
    hours: float

    @property
    def misses(self) -> int:
        """Keywords missed at the threshold that allows 0 false alarms, and those at 1, 2, 4 and 8, added."""
        return sum(
            int((answers <= (self.alarms[label][n] if n < len(self.alarms[label]) else 0.0)).sum())
            for label, answers in self.keywords.items()
            for n in _ALLOWED
        )

    @property
    def chances(self) -> int:
        """What `misses` can be at most."""
        return len(_ALLOWED) * sum(map(len, self.keywords.values()))

    @property
    def loss(self) -> float:
        """Nats: of the keywords' answers, and of the loudest of all else."""
        keywords = np.concatenate([*self.keywords.values(), np.empty(0)])
        alarms = np.concatenate([*(peaks[:20] for peaks in self.alarms.values()), np.empty(0)])
        return float(
            -np.log(np.maximum(keywords, 1e-6)).sum() / max(1, len(keywords))
            - np.log(np.maximum(1 - alarms, 1e-6)).sum() / max(1, len(alarms))
        )


@torch.no_grad()
def answers_of(network: Network, dataset: Dataset, workers: Workers, device: torch.device) -> SpotAnswers:
    """What a network answers to all utterances of a split, as they are."""
    recipe = dataset.recipe
    labels = list(enumerate(dataset.vocabulary.symbols))[1:]
    output_seconds = recipe.features.frame_seconds * recipe.model.stride
    keywords: dict[str, list[float]] = {label: [] for _, label in labels}
    alarms: dict[str, list[float]] = {label: [] for _, label in labels}
    for index, posteriors in posteriors_of(network, dataset, np.arange(len(dataset)), workers, device):
        values = smoothed(posteriors, output_seconds)
        for column, label in labels:
            rest = values[:, column].copy()
            for segment in dataset.utterances[index].segments:
                if segment.label == label:
                    first = math.floor(segment.start / output_seconds)
                    last = math.ceil((segment.end + _AFTER) / output_seconds) + 1
                    keywords[label].append(float(values[first:last, column].max(initial=0.0)))
                    rest[first : last + round(_APART / output_seconds)] = 0.0
            alarms[label] += [score for _, score in loudest_peaks(rest, round(_APART / output_seconds))]
    seconds = float(dataset.lengths.sum()) * recipe.features.frame_seconds
    return SpotAnswers(
        {label: np.array(found) for label, found in keywords.items()},
        {label: np.sort(np.array(found))[::-1] for label, found in alarms.items()},
        seconds / 3600,
    )


def posteriors_of(
    network: Network,
    dataset: Dataset,
    indices: Sequence[int] | NDArray[np.int64],
    workers: Workers,
    device: torch.device,
) -> list[tuple[int, NDArray[np.float32]]]:
    """Index and posteriors, (output frames, labels), of some utterances as they are, those of like length together."""
    network.eval()
    by_length = np.asarray(indices)[np.argsort(dataset.lengths[indices], kind="stable")]
    size = dataset.recipe.training.batch_size
    batches = [by_length[begin : begin + size] for begin in range(0, len(by_length), size)]

    def listen(batch_indices: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        with torch.no_grad():
            batch = dataset.batch(batch_indices).to(device)
            log_probs, lengths = network(batch.features, batch.feature_lengths)
            rows = log_probs.exp().cpu().numpy()
        return [row[:n] for row, n in zip(rows, lengths.tolist(), strict=True)]

    heard = [row for rows in workers.map(listen, batches) for row in rows]
    return list(zip(by_length.tolist(), heard, strict=True))


def smoothed(posteriors: NDArray[np.float32], output_seconds: float) -> NDArray[np.float64]:
    """The mean of each frame and those just before it, as `listen.keywords.SpotDecider` takes it."""
    n = max(1, round(DECISION["smoothing"] / output_seconds))
    padded = np.concatenate([np.zeros((n, posteriors.shape[1])), posteriors.astype(np.float64)])
    sums = np.cumsum(padded, axis=0)
    return np.maximum(0.0, (sums[n:] - sums[:-n]) / n)


def loudest_peaks(values: NDArray[np.float64], n_apart: int, least: float = 1e-4) -> list[tuple[int, float]]:
    """Frame and value of the peaks of (frames,), the highest first, none nearer than `n_apart` frames to a higher."""
    rest = values.copy()
    peaks = []
    while len(rest) and (value := float(rest[frame := int(rest.argmax())])) > least:
        peaks.append((frame, value))
        rest[max(0, frame - n_apart) : frame + n_apart + 1] = 0.0
    return peaks


@dataclass(frozen=True)
class Onset:
    """A keyword's threshold, the false alarms an hour to expect, and whether those were counted or extrapolated."""

    threshold: float
    per_hour: float
    is_counted: bool


def choose_onset(answers: SpotAnswers, label: str, false_alarms_per_hour: float) -> Onset:
    """The lowest threshold of a keyword that keeps to so many false alarms an hour, as far as these hours can tell.

    Where they allow three or more, those are counted: the threshold lies half-way between the last that is allowed and
    the next. Where they allow fewer, the tail is extrapolated; but above the loudest peak, for what was not heard and
    only may be, no more than one in twenty of the keyword's own answers is given up.
    """
    alarms, hours, words = answers.alarms[label], answers.hours, answers.keywords[label]
    n_allowed = false_alarms_per_hour * hours
    if n_allowed >= _FEW and len(alarms) > n_allowed:
        n = int(n_allowed)
        return Onset(_rounded_up((alarms[n - 1] + alarms[n]) / 2), n / hours, True)
    loudest = float(alarms[0]) + _SURE if len(alarms) else 0.0
    if len(alarms) <= _TAIL:
        return Onset(_rounded_up(max(0.5, loudest)), 0.0, False)
    odds = log_odds(alarms[: _TAIL + 1])
    excess = max(_LEAST_EXCESS, float(np.mean(odds[:_TAIL] - odds[_TAIL])))
    beyond = odds[_TAIL] + excess * math.log(_TAIL / max(1e-9, n_allowed))
    affordable = float(np.quantile(words, _GIVEN_UP, method="lower")) if len(words) else 1.0
    threshold = _rounded_up(max(loudest, min(affordable, 1 / (1 + math.exp(-beyond)))))
    place = float(log_odds(np.array([threshold]))[0])
    return Onset(threshold, _TAIL / hours * math.exp(-(place - odds[_TAIL]) / excess), False)


def _rounded_up(threshold: float) -> float:
    return math.ceil(1e6 * min(1 - _SURE, max(0.01, threshold))) / 1e6


def log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ln p / (1 − p), within what float32 tells apart."""
    p = np.clip(p, _SURE, 1 - _SURE)
    return np.log(p / (1 - p))


def spotting_of(answers: SpotAnswers, false_alarms_per_hour: float) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The decision layer that a model file gets, what dev says of it, and lines on it for people."""
    thresholds, lines = {}, []
    missed = said = n_alarms = 0
    for label, found in answers.keywords.items():
        chosen = choose_onset(answers, label, false_alarms_per_hour)
        onset = chosen.threshold
        thresholds[label] = [onset, round(OFFSET * onset, 6)]
        own_missed, own_alarms = int((found < onset).sum()), int((answers.alarms[label] >= onset).sum())
        lines.append(
            f"{label}: threshold {onset:g}; on dev {own_missed} of {len(found)} missed, {own_alarms} false alarms in "
            f"{answers.hours:.3g} h"
        )
        if chosen.per_hour > 1.5 * false_alarms_per_hour:
            lines.append(
                f"{label}: expect up to {chosen.per_hour:.2g} false alarms an hour, "
                f"more than the {false_alarms_per_hour:g} asked for: the best there is, or it would miss more than one "
                "in twenty; more background to train on, more recordings of the word, or a longer training"
            )
        missed, said, n_alarms = missed + own_missed, said + len(found), n_alarms + own_alarms
    if answers.hours * false_alarms_per_hour < _FEW:
        lines.append(
            f"dev has {answers.hours:.3g} h, too few to count {false_alarms_per_hour:g} an hour "
            f"({_FEW / false_alarms_per_hour:.3g} h would do): more is extrapolated from its loudest sounds"
        )
    results = {
        "errors": missed,
        "reference_length": said,
        "error_rate": missed / max(1, said),
        "false_alarms": n_alarms,
        "hours": round(answers.hours, 5),
    }
    return {**DECISION, "thresholds": thresholds}, results, lines
