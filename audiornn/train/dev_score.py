"""How a network does on dev: loss and errors, by which the best epoch is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiornn.evaluate.error_rates import EditCounts, count_edits
from audiornn.listen.decoding import greedy_ctc
from audiornn.recipe import Task
from audiornn.train.dataset import Dataset
from audiornn.train.losses import utterance_losses
from audiornn.train.network import Network
from audiornn.train.parallel import Workers
from audiornn.train.spot_score import answers_of

__all__ = ["DevScore", "dev_score"]


@dataclass(frozen=True)
class DevScore:
    """How the network does on dev: nats and errors; lower is better, the error rate first."""

    errors: int
    reference_length: int
    loss: float
    blank_share: float

    @property
    def error_rate(self) -> float:
        """Errors a unit of the reference."""
        return self.errors / max(1, self.reference_length)


@dataclass(frozen=True)
class _BatchScore:
    """Of a batch: its loss, summed over so many utterances, the errors, and how many of its frames are blank."""

    loss: float
    n_utterances: int
    counts: tuple[EditCounts, ...]
    n_blank: int = 0
    n_frames: int = 0


def dev_score(network: Network, dataset: Dataset, batch_size: int, device: torch.device, workers: Workers) -> DevScore:
    """Loss and errors over a split, no augmentation, no dropout."""
    network.eval()
    if dataset.recipe.task == "spot":
        answers = answers_of(network, dataset, workers, device)
        return DevScore(answers.misses, answers.chances, answers.loss, 0.0)
    by_length = np.argsort(dataset.lengths, kind="stable")
    batches = [by_length[begin : begin + batch_size] for begin in range(0, len(by_length), batch_size)]
    scores = workers.map(lambda indices: _batch_score(network, dataset, indices, device), batches)
    counts = [count for score in scores for count in score.counts]
    return DevScore(
        errors=sum(count.errors for count in counts),
        reference_length=sum(count.reference_length for count in counts),
        loss=sum(score.loss for score in scores) / max(1, sum(score.n_utterances for score in scores)),
        blank_share=sum(score.n_blank for score in scores) / max(1, sum(score.n_frames for score in scores)),
    )


@torch.no_grad()
def _batch_score(network: Network, dataset: Dataset, indices: NDArray[np.int64], device: torch.device) -> _BatchScore:
    task = dataset.recipe.task
    batch = dataset.batch(indices).to(device)
    log_probs, output_lengths = network(batch.features, batch.feature_lengths)
    loss = float(utterance_losses(log_probs, output_lengths, batch, task, units=network.track_units).sum())
    n_utterances = len(indices)
    if task == "regress":  # an utterance without any value has no loss
        n_utterances = int((~batch.targets.isnan()).flatten(1).any(dim=1).sum())
    rows = list(log_probs.cpu().numpy())
    if task != "classify":
        rows = [row[:n] for row, n in zip(rows, output_lengths.tolist(), strict=True)]
    counts = tuple(_count_errors(row, dataset.target(int(i)), task) for row, i in zip(rows, indices, strict=True))
    if task != "transcribe":
        return _BatchScore(loss, n_utterances, counts)
    n_blank = sum(int((row.argmax(axis=1) == 0).sum()) for row in rows)
    return _BatchScore(loss, n_utterances, counts, n_blank, sum(map(len, rows)))


def _count_errors(log_probs: NDArray[np.float32], target: NDArray[Any], task: Task) -> EditCounts:
    """Errors of one utterance, from (T', V) log-probabilities, or (V,) of a class, against its target.

    Of labels that are independent each decision counts, at a probability of a half; values know no errors.
    """
    if task == "regress":
        return EditCounts(0, 0, 0, 0)
    if target.dtype.kind == "f":
        return EditCounts(int(((log_probs > math.log(0.5)) != target).sum()), 0, 0, target.size)
    if task == "classify":
        return EditCounts(int(log_probs.argmax() != target[0]), 0, 0, 1)
    if task == "label":
        return EditCounts(int((log_probs.argmax(axis=1) != target).sum()), 0, 0, len(target))
    return count_edits([str(i) for i in target], [str(symbol.id) for symbol in greedy_ctc(log_probs)])
