"""How a spotter does on dev, and the threshold that its model file gets.

Answers are posteriors smoothed as the decision layer smooths them. A keyword's answer is the loudest from its first
frame to a moment after its end; a false alarm is a peak of all else, a second from the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiornn.corpus.manifest import is_synthetic
from audiornn.evaluate.detection import poisson_upper
from audiornn.evaluate.error_rates import wilson_interval
from audiornn.evaluate.onsets import APART, FEW, choose_onset, loudest_peaks
from audiornn.listen.keywords import moving_mean
from audiornn.train.dataset import Dataset
from audiornn.train.network import Network
from audiornn.train.parallel import Workers

__all__ = ["DECISION", "LOUD", "QUIETER_WORDS", "SpotAnswers", "answers_of", "posteriors_of", "smoothed", "spotting_of"]

#: The decision layer of a trained spotter, but for its thresholds.
DECISION: Mapping[str, float] = {"smoothing": 0.09, "refractory": 0.7, "least_duration": 0.0, "settle": 0.0}
OFFSET = 0.5  # of the onset
#: As loud as the word: as four in five of its recordings are, and never less than a half.
LOUD, QUIETER_WORDS = 0.5, 0.2

_AFTER = 0.4  # seconds after a keyword's end in which its answer may still come
_ALLOWED = (0, 1, 2, 4, 8)  # false alarms at which misses are counted
_LISTED = 5
_SOME = 0.1  # share of dev's hours from which on synthetic voices are told of


@dataclass(frozen=True)
class SpotAnswers:
    """What a network answered to a split.

    Attributes:
        keywords: their answers, by label: one for each time that it was said.
        alarms: peaks of all else, by label, the loudest first.
        hours: of the split.
        loudest: of people's background, by label, the loudest places: score, recording, seconds.
        synthetic: share of the hours that synthetic voices speak.
    """

    keywords: Mapping[str, NDArray[np.float64]]
    alarms: Mapping[str, NDArray[np.float64]]
    hours: float
    loudest: Mapping[str, Sequence[tuple[float, str, float]]] = field(default_factory=dict)
    synthetic: float = 0.0

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
    loudest: dict[str, list[tuple[float, str, float]]] = {label: [] for _, label in labels}
    for index, posteriors in posteriors_of(network, dataset, np.arange(len(dataset)), workers, device):
        values, utterance = smoothed(posteriors, output_seconds), dataset.utterances[index]
        for column, label in labels:
            rest = values[:, column].copy()
            for segment in utterance.segments:
                if segment.label == label:
                    first = math.floor(segment.start / output_seconds)
                    last = math.ceil((segment.end + _AFTER) / output_seconds) + 1
                    keywords[label].append(float(values[first:last, column].max(initial=0.0)))
                    rest[first : last + round(APART / output_seconds)] = 0.0
            peaks = loudest_peaks(rest, round(APART / output_seconds), over_below=OFFSET)
            alarms[label] += [score for _, score in peaks]
            if not utterance.segments and not is_synthetic(utterance):
                loudest[label] += [
                    (score, str(utterance.audio), utterance.start + place * output_seconds)
                    for place, score in peaks[:_LISTED]
                ]
    seconds = float(dataset.lengths.sum()) * recipe.features.frame_seconds
    by_synthetic = np.array([is_synthetic(utterance) for utterance in dataset.utterances], bool)
    return SpotAnswers(
        {label: np.array(found) for label, found in keywords.items()},
        {label: np.sort(np.array(found))[::-1] for label, found in alarms.items()},
        seconds / 3600,
        {label: sorted(found, reverse=True)[:_LISTED] for label, found in loudest.items()},
        float(dataset.lengths[by_synthetic].sum() / max(1, dataset.lengths.sum())),
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
    """The mean of each frame and those just before it, as the decision layer takes it."""
    return moving_mean(posteriors, DECISION["smoothing"], output_seconds)


def spotting_of(answers: SpotAnswers, false_alarms_per_hour: float) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """The decision layer that a model file gets, what dev says of it, and lines on it for people."""
    thresholds, lines = {}, []
    missed = said = n_alarms = 0
    for label, found in answers.keywords.items():
        chosen = choose_onset(found, answers.alarms[label], answers.hours, false_alarms_per_hour, answers.synthetic)
        onset = chosen.threshold
        thresholds[label] = [onset, round(OFFSET * onset, 6)]
        own_missed, own_alarms = int((found < onset).sum()), int((answers.alarms[label] >= onset).sum())
        low, high = (100 * bound for bound in wilson_interval(own_missed, len(found)))
        lines.append(
            f"{label}: threshold {onset:g}; on dev {own_missed} of {len(found)} missed (95 %: {low:.0f}–{high:.0f} %), "
            f"{own_alarms} false alarms in {answers.hours:.3g} h, which by themselves show under "
            f"{poisson_upper(own_alarms) / answers.hours:.2g} an hour (95 %)"
        )
        if not len(found):
            lines.append(
                f"{label}: dev never says it, so that its threshold is a guess; record more, or set corpus.dev"
            )
        as_loud = max(LOUD, float(np.quantile(found, QUIETER_WORDS))) if len(found) else 1.0
        lines += [
            f"{label}: may be said in dev's background, which would push its threshold up: {audio} at {seconds:.2f} s; "
            "listen to it"
            for score, audio, seconds in answers.loudest.get(label, ())
            if score >= as_loud
        ]
        if warning := chosen.warning(label, false_alarms_per_hour, found, answers.alarms[label], answers.hours):
            lines.append(warning)
        missed, said, n_alarms = missed + own_missed, said + len(found), n_alarms + own_alarms
    if answers.hours * false_alarms_per_hour < FEW:
        lines.append(
            f"dev has {answers.hours:.3g} h, too few to count {false_alarms_per_hour:g} an hour "
            f"({FEW / false_alarms_per_hour:.3g} h would do): more is extrapolated from its loudest sounds"
        )
    if answers.synthetic > _SOME:
        lines.append(
            f"{100 * answers.synthetic:.0f} % of dev's hours are synthetic voices, which say little of people: "
            "background with people's speech, an hour of it in dev, would say how often they set it off"
        )
    results = {
        "errors": missed,
        "reference_length": said,
        "error_rate": missed / max(1, said),
        "false_alarms": n_alarms,
        "hours": round(answers.hours, 5),
    }
    return {**DECISION, "thresholds": thresholds}, results, lines
