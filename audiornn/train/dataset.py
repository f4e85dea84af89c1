"""Batches: utterances of like length together, augmented, with integer lengths that always travel along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.preparation import Prepared
from audiornn.errors import CorpusError
from audiornn.features import FeatureExtractor, Features
from audiornn.recipe import Recipe
from audiornn.settings import AugmentSettings
from audiornn.train.augment import augment, mix, other_noise
from audiornn.vocabulary import NO_LABEL, Vocabulary

__all__ = ["IGNORED", "Batch", "Dataset", "batch_order", "looked_ahead"]

IGNORED = -100  # the target of frames that are padding

_POOL_BATCHES = (
    50  # utterances are sorted by length among so many batches: little padding, yet another order each epoch
)


@dataclass(frozen=True)
class Batch:
    """Padded utterances; padding never travels without its lengths.

    Attributes:
        features: (B, T, n_features) float32.
        feature_lengths: (B,) int64.
        targets: ids: (B, S) of transcripts, (B,) of classes, (B, T') of frames.
        target_lengths: (B,) int64.
        ids: the utterances'.
        mixed_targets: of the recordings mixed in, (B,), where there are any.
        shares: of each one's own target, (B,), where there are any.
    """

    features: Tensor
    feature_lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    ids: tuple[str, ...]
    mixed_targets: Tensor | None = None
    shares: Tensor | None = None

    def __repr__(self) -> str:
        return f"Batch(features={tuple(self.features.shape)}, targets={tuple(self.targets.shape)})"

    def rows(self, first: int, step: int) -> Batch:
        """Every `step`-th utterance from `first` on, without the padding that only the others need."""
        lengths = self.feature_lengths[first::step]
        return Batch(
            self.features[first::step, : int(lengths.max())],
            lengths,
            self.targets[first::step],
            self.target_lengths[first::step],
            self.ids[first::step],
            None if self.mixed_targets is None else self.mixed_targets[first::step],
            None if self.shares is None else self.shares[first::step],
        )

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in tensors.items()})


class Dataset:
    """One prepared split as batches.

    Raises:
        CorpusError: a transcript that its audio is too short for; `prep` finds those, unless settings changed since.
    """

    def __init__(self, prepared: Prepared, split: str, recipe: Recipe, vocabulary: Vocabulary) -> None:
        self.recipe = recipe
        self.utterances = prepared.utterances(split)
        self.store = prepared.features(split)
        if len(self.store) != len(self.utterances):
            raise CorpusError(f"{prepared.folder}: {split} has features of other utterances; run `audiornn prep` again")
        self.lengths = self.store.lengths
        self.extractor = FeatureExtractor(recipe.features)
        self.vocabulary = vocabulary
        self._output_lengths = -(-self.lengths // recipe.model.stride)
        self._needed = self.store.ctc_lengths if recipe.task == "transcribe" else np.ones_like(self.lengths)
        #: Indices of the utterances that serve as noise.
        self.noise = self._with_label(recipe.augment.noise_label)
        self._is_noise = np.zeros(len(self), bool)
        self._is_noise[self.noise] = True
        self._check_ctc()

    def __len__(self) -> int:
        return len(self.utterances)

    def batch(
        self,
        indices: Sequence[int] | NDArray[np.int64],
        rng: np.random.Generator | None = None,
        progress: float = 1.0,
    ) -> Batch:
        """The utterances of some indices; augmented where there is a source of chance.

        Args:
            indices: of utterances.
            rng: the only source of chance.
            progress: the share of the training's steps that are done; the first ones vary less.
        """
        settings = self.recipe.augment.at(progress)
        mixed = [self._mixed(int(index), settings, rng) for index in indices]
        features = [self.extractor.from_log_mel(log_mel) for log_mel, _, _ in mixed]
        lengths = np.array([len(f) for f in features], np.int64)
        padded = np.zeros((len(features), int(lengths.max()), features[0].shape[1]), np.float32)
        for row, f in zip(padded, features, strict=True):
            row[: len(f)] = f
        targets = [self.target(int(index)) for index in indices]
        target_lengths = np.array([len(target) for target in targets], np.int64)
        if self.recipe.task == "classify":
            stacked = np.concatenate(targets)
        else:
            stacked = np.full((len(targets), max(1, int(target_lengths.max()))), IGNORED, np.int64)
            for row, target in zip(stacked, targets, strict=True):
                row[: len(target)] = target
            if self.recipe.task == "transcribe":
                stacked[stacked == IGNORED] = 0
        return Batch(
            torch.from_numpy(padded),
            torch.from_numpy(lengths),
            torch.from_numpy(stacked),
            torch.from_numpy(target_lengths),
            tuple(self.utterances[int(index)].id for index in indices),
            *(self._mixed_targets(mixed) if settings.mixup and rng is not None else ()),
        )

    def log_mel(self, index: int, rng: np.random.Generator | None = None) -> Features:
        """Log-mel frames of an utterance, (frames, n_mels) in decibels; varied where there is a source of chance."""
        return self._mixed(index, self.recipe.augment, rng)[0]

    def order(self, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch as indices; a pure function of its number, and as many in each."""
        training = self.recipe.training
        chosen = np.arange(len(self))
        if training.balanced and self.recipe.task == "classify":
            rng = np.random.default_rng([seed, 2, epoch])
            labels = np.concatenate([self.store.targets(index) for index in range(len(self))])
            by_label = [np.flatnonzero(labels == label) for label in np.unique(labels)]
            most = sorted(map(len, by_label))[-2:][0]
            chosen = np.concatenate([rng.permutation(indices)[:most] for indices in by_label])
        return [chosen[part] for part in batch_order(self.lengths[chosen], training.batch_size, seed=seed, epoch=epoch)]

    def frames_to_spare(self) -> float:
        """Of the tightest transcript: output frames for each that CTC needs; below 1 it would be impossible."""
        return float((self._output_lengths / np.maximum(1, self._needed)).min())

    def mean_and_deviation(self) -> tuple[Features, Features]:
        """Of each coefficient over all frames of the split, each (n_features,)."""
        n_frames, total, squares = 0, np.zeros(1), np.zeros(1)
        for index in range(len(self)):
            features = self.extractor.from_log_mel(np.asarray(self.store[index])).astype(np.float64)
            n_frames += len(features)
            total = total + features.sum(axis=0)
            squares = squares + np.square(features).sum(axis=0)
        mean = total / n_frames
        deviation = np.sqrt(np.maximum(squares / n_frames - np.square(mean), 0.0))
        return mean.astype(np.float32), deviation.astype(np.float32)

    def _mixed(
        self, index: int, settings: AugmentSettings, rng: np.random.Generator | None
    ) -> tuple[Features, int, float]:
        """Log-mel frames of an utterance, varied, with the utterance mixed in and the share that is its own."""
        if rng is None:
            return np.asarray(self.store[index]), index, 1.0
        log_mel = self._varied(index, settings, rng)
        if self.recipe.task != "classify" or rng.random() >= settings.mixup:
            return log_mel, index, 1.0
        other, share = int(rng.integers(len(self))), rng.uniform(0.5, 1.0)
        return mix(log_mel, self._varied(other, settings, rng), share), other, share

    def _mixed_targets(self, mixed: Sequence[tuple[Features, int, float]]) -> tuple[Tensor, Tensor]:
        targets = np.concatenate([self.target(other) for _, other, _ in mixed])
        return torch.from_numpy(targets), torch.tensor([share for _, _, share in mixed], dtype=torch.float32)

    def _varied(self, index: int, settings: AugmentSettings, rng: np.random.Generator) -> Features:
        log_mel = np.asarray(self.store[index])
        if self._is_noise[index]:
            log_mel = other_noise(log_mel, rng)
        return augment(
            log_mel,
            settings,
            frame_seconds=self.recipe.features.frame_seconds,
            rng=rng,
            may_move=self.recipe.task != "label",
            may_cut=self.recipe.task == "classify",
            least_frames=self._least_frames(index),
            draw_noise=(lambda: other_noise(np.asarray(self.store[int(rng.choice(self.noise))]), rng))
            if len(self.noise)
            else None,
        )

    def _least_frames(self, index: int) -> int:
        """Feature frames that the target needs."""
        return max(1, int(self._needed[index]) * self.recipe.model.stride)

    def _with_label(self, label: str) -> NDArray[np.int64]:
        """Indices of the utterances with a label; none where it is empty."""
        if not label:
            return np.empty(0, np.int64)
        return np.array([i for i, utterance in enumerate(self.utterances) if utterance.text == label], np.int64)

    def _check_ctc(self) -> None:
        short = np.flatnonzero(self._needed > self._output_lengths)
        if self.recipe.task == "transcribe" and len(short):
            index = int(short[0])
            raise CorpusError(
                f"{self.utterances[index].id}: {self.store.target_lengths()[index]} symbols need {self._needed[index]} "
                f"frames by CTC, {self._output_lengths[index]} are left after model.stride = "
                f"{self.recipe.model.stride}; lower it, or run prep with it and --skip-bad"
            )

    def target(self, index: int) -> NDArray[np.int64]:
        """Ids of an utterance: its symbols, its class, or the label of each output frame."""
        if self.recipe.labels_frames:
            n_outputs = int(self._output_lengths[index])
            return _frame_targets(self.utterances[index], n_outputs, self.recipe, self.vocabulary)
        return self.store.targets(index)


def batch_order(lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of an epoch: a pure function of its number, so that a resumed run meets the same.

    Shuffled, sorted by length within pools of some batches, cut, and the batches shuffled again.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    pool = batch_size * _POOL_BATCHES
    batches = []
    for begin in range(0, len(order), pool):
        part = order[begin : begin + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


T = TypeVar("T")


def looked_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made while one is used."""
    with ThreadPoolExecutor(1) as maker:
        end = object()
        coming = maker.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = maker.submit(next, items, end)
            yield item  # type: ignore[misc]


def _frame_targets(utterance: Utterance, n_outputs: int, recipe: Recipe, vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The label of each output frame: that of the segment its centre lies in."""
    targets = np.full(n_outputs, vocabulary.encode(NO_LABEL)[0], np.int64)
    centres = np.array([recipe.features.frames_to_seconds(t * recipe.model.stride) for t in range(n_outputs)])
    for segment in utterance.segments:
        targets[(centres >= segment.start) & (centres < segment.end)] = vocabulary.encode(segment.label)[0]
    return targets
