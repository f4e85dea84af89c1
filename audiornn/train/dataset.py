"""Batches: utterances of like length together, augmented, with integer lengths that always travel along."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiornn.corpus.manifest import Utterance
from audiornn.corpus.preparation import Prepared
from audiornn.errors import CorpusError
from audiornn.features import FeatureExtractor, Features, mel_middles
from audiornn.recipe import Recipe
from audiornn.settings import AugmentSettings
from audiornn.train.augment import augment, mix, other_noise
from audiornn.vocabulary import NO_LABEL, Vocabulary

if TYPE_CHECKING:
    from audiornn.train.network import Network
    from audiornn.train.parallel import Workers

__all__ = ["IGNORED", "Batch", "Dataset", "batch_order", "looked_ahead"]

IGNORED = -100  # the target of frames that are padding

_LEAST_FRAMES = 3  # that a label of single frames is taught to
_POOL_BATCHES = (
    50  # utterances are sorted by length among so many batches: little padding, yet another order each epoch
)


@dataclass(frozen=True)
class Batch:
    """Padded utterances; padding never travels without its lengths.

    Attributes:
        features: (B, T, n_features) float32.
        feature_lengths: (B,) int64.
        targets: ids: (B, S) of transcripts, (B,) of classes, (B, T') of frames. Of labels that are independent of each
            other, 0 or 1 for each, float: (B, V), (B, T', V). Values, (B, T', tracks), NaN where there is no target.
        target_lengths: (B,) int64.
        ids: the utterances'.
        mixed_targets: of the recordings mixed in, (B,) or (B, V), where there are any.
        shares: of each one's own target, (B,), where there are any.
        frame_weights: how much each frame counts, (B, T'), where labels of frames are balanced.
        other_view: the same utterances varied otherwise, each frame showing the same moment, (B, T, n_features), where
            training compares what is said of the two (`training.consistency`).
    """

    features: Tensor
    feature_lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    ids: tuple[str, ...]
    mixed_targets: Tensor | None = None
    shares: Tensor | None = None
    frame_weights: Tensor | None = None
    other_view: Tensor | None = None

    def __repr__(self) -> str:
        return f"Batch(features={tuple(self.features.shape)}, targets={tuple(self.targets.shape)})"

    def rows(self, first: int, step: int) -> Batch:
        """Every `step`-th utterance from `first` on, without the padding that only the others need."""
        own = {name: value[first::step] for name, value in vars(self).items() if isinstance(value, Tensor)}
        longest = int(own["feature_lengths"].max())
        own |= {name: own[name][:, :longest] for name in ("features", "other_view") if name in own}
        return replace(self, **own, ids=self.ids[first::step])

    def both_views(self) -> Batch:
        """Twice as many utterances: all in one view, and after them all in the other."""
        if self.other_view is None:
            raise ValueError("there is no other view")
        twice = {name: torch.cat([value, value]) for name, value in vars(self).items() if isinstance(value, Tensor)}
        twice |= {"features": torch.cat([self.features, self.other_view]), "other_view": None}
        return replace(self, **twice, ids=self.ids * 2)

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in tensors.items()})


@dataclass(frozen=True)
class _Varied:
    """An utterance as an epoch hears it.

    Attributes:
        log_mel: (frames, n_mels).
        places: the utterance's own frame, or a point between two, that each frame shows.
        other: index of the utterance that is mixed in; its own where none is.
        share: that is its own.
    """

    log_mel: Features
    places: NDArray[np.float64]
    other: int
    share: float = 1.0


class Dataset:
    """One prepared split as batches.

    Raises:
        CorpusError: a transcript that its audio is too short for; `prep` finds those, unless settings changed since.
    """

    def __init__(self, prepared: Prepared, split: str, recipe: Recipe, vocabulary: Vocabulary) -> None:
        self.recipe = recipe
        self.utterances = prepared.utterances(split)
        self.store = prepared.features(split).hold()
        self._tracks = prepared.tracks(split) if recipe.task == "regress" else ()
        if len(self.store) != len(self.utterances):
            raise CorpusError(f"{prepared.folder}: {split} has features of other utterances; run `audiornn prep` again")
        self.lengths = self.store.lengths
        self.extractor = FeatureExtractor(recipe.features)
        self.middles = mel_middles(recipe.features)
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
        if rng is not None and self.recipe.training.consistency:
            both = [self._two_views(int(index), settings, rng) for index in indices]
            mixed, others = [one for one, _ in both], [other for _, other in both]
        else:
            mixed, others = [self._mixed(int(index), settings, rng) for index in indices], []
        features, lengths = self._padded(mixed)
        targets = [self.target(int(index), varied.places) for index, varied in zip(indices, mixed, strict=True)]
        target_lengths = np.array([len(target) for target in targets], np.int64)
        if self.recipe.task == "classify":
            stacked = self._classes(targets)
        else:
            shape = len(targets), max(1, int(target_lengths.max())), *targets[0].shape[1:]
            stacked = np.full(shape, np.nan if self.recipe.task == "regress" else IGNORED, targets[0].dtype)
            for row, target in zip(stacked, targets, strict=True):
                row[: len(target)] = target
            if self.recipe.task == "transcribe":
                stacked[stacked == IGNORED] = 0
        mixed_targets, shares = self._mixed_targets(mixed) if settings.mixup and rng is not None else (None, None)
        return Batch(
            features,
            lengths,
            torch.from_numpy(stacked),
            torch.from_numpy(target_lengths),
            tuple(self.utterances[int(index)].id for index in indices),
            mixed_targets,
            shares,
            self._frame_weights(stacked) if rng is not None else None,
            self._padded(others)[0] if others else None,
        )

    def log_mel(self, index: int, rng: np.random.Generator | None = None) -> Features:
        """Log-mel frames of an utterance, (frames, n_mels) in decibels; varied where there is a source of chance."""
        return self._mixed(index, self.recipe.augment, rng).log_mel

    def order(self, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        """The batches of an epoch as indices; a pure function of its number, and as many in each."""
        training = self.recipe.training
        chosen = np.arange(len(self))
        if training.balanced and self.recipe.task == "classify":
            rng = np.random.default_rng([seed, 2, epoch])
            members: dict[tuple[int, ...], list[int]] = {}
            for index in range(len(self)):
                members.setdefault(tuple(self.store.targets(index).tolist()), []).append(index)
            by_label = [np.array(indices) for _, indices in sorted(members.items())]
            most = sorted(map(len, by_label))[-2:][0]
            chosen = np.concatenate([rng.permutation(indices)[:most] for indices in by_label])
        return [chosen[part] for part in batch_order(self.lengths[chosen], training.batch_size, seed=seed, epoch=epoch)]

    def recall(self, studied: Mapping[str, Any]) -> None:
        """Before an epoch: take up what `study` found after the last one."""

    def study(self, network: Network, epoch: int, workers: Workers, device: torch.device) -> dict[str, Any]:
        """After an epoch: what its network gets wrong of these, for the next to learn from; plain types."""
        return {}

    def tell(self, studied: Mapping[str, Any], run_dir: Path, report: Callable[[str], None]) -> None:
        """At the end: what there is to know of the recordings, by what was studied."""

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

    def track_mean_and_deviation(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of each track over all frames of the split where it is defined, each (tracks,).

        Raises:
            CorpusError: a track that is never defined, or never varies.
        """
        values = np.concatenate(self._tracks).astype(np.float64)
        for name, track in zip(self.vocabulary.symbols, values.T, strict=True):
            defined = track[~np.isnan(track)]
            if not len(defined) or defined.min() == defined.max():
                what = "is the same at all frames (to seven digits)" if len(defined) else "is defined at no frame"
                raise CorpusError(f"track {name!r}: {what} of the training set, so there is nothing to learn")
        return np.nanmean(values, axis=0), np.nanstd(values, axis=0)

    def track_limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The lowest and the highest value of each track, each (tracks,), where it is defined at all."""
        values = np.concatenate(self._tracks).astype(np.float64)
        return np.nanmin(values, axis=0), np.nanmax(values, axis=0)

    def _padded(self, mixed: Sequence[_Varied]) -> tuple[Tensor, Tensor]:
        """Features of utterances, (B, T, n_features), and how many frames each has, (B,)."""
        features = [self.extractor.from_log_mel(varied.log_mel) for varied in mixed]
        lengths = np.array([len(f) for f in features], np.int64)
        padded = np.zeros((len(features), int(lengths.max()), features[0].shape[1]), np.float32)
        for row, f in zip(padded, features, strict=True):
            row[: len(f)] = f
        return torch.from_numpy(padded), torch.from_numpy(lengths)

    def _two_views(self, index: int, settings: AugmentSettings, rng: np.random.Generator) -> tuple[_Varied, _Varied]:
        """An utterance varied twice, each frame of the one showing the same moment as that of the other."""
        seed = int(rng.integers(2**63))
        one, other = (self._mixed(index, settings, rng, np.random.default_rng(seed)) for _ in range(2))
        return one, other

    def _mixed(
        self,
        index: int,
        settings: AugmentSettings,
        rng: np.random.Generator | None,
        timing: np.random.Generator | None = None,
    ) -> _Varied:
        """An utterance, varied where there is a source of chance, with another one mixed in maybe."""
        if rng is None:
            log_mel = np.asarray(self.store[index])
            return _Varied(log_mel, np.arange(len(log_mel), dtype=np.float64), index)
        timing = timing or rng
        log_mel, places = self._varied(index, settings, rng, timing)
        if self.recipe.task != "classify" or timing.random() >= settings.mixup:
            return _Varied(log_mel, places, index)
        other, share = int(timing.integers(len(self))), timing.uniform(0.5, 1.0)
        return _Varied(mix(log_mel, self._varied(other, settings, rng, timing)[0], share), places, other, share)

    def _mixed_targets(self, mixed: Sequence[_Varied]) -> tuple[Tensor, Tensor]:
        targets = self._classes([self.target(varied.other) for varied in mixed])
        return torch.from_numpy(targets), torch.tensor([varied.share for varied in mixed], dtype=torch.float32)

    def _classes(self, targets: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.stack(targets) if self.vocabulary.several else np.concatenate(targets)

    def _frame_weights(self, targets: NDArray[Any]) -> Tensor | None:
        """How much each of these frames counts, (B, T'); nothing where it is padding."""
        if self.recipe.task != "label" or self.vocabulary.several or not self.recipe.training.balanced:
            return None
        return torch.from_numpy(
            np.where(targets == IGNORED, 0, self.label_weights[np.maximum(targets, 0)]).astype(np.float32)
        )

    @cached_property
    def label_weights(self) -> NDArray[np.float64]:
        """What a frame of each label counts, (V,), so that all labels that occur count alike and a frame 1 on average.

        King and Zeng 2001, "Logistic Regression in Rare Events Data".
        """
        counts = np.zeros(len(self.vocabulary))
        for index in range(len(self)):
            counts += np.bincount(self.target(index), minlength=len(counts))
        return counts.sum() / np.maximum(counts, 1) / np.count_nonzero(counts)

    def _varied(
        self, index: int, settings: AugmentSettings, rng: np.random.Generator, timing: np.random.Generator
    ) -> tuple[Features, NDArray[np.float64]]:
        log_mel = np.asarray(self.store[index])
        if self._is_noise[index]:
            log_mel = other_noise(log_mel, timing)  # two views are of one source: what is trimmed of it is the same
        return augment(
            log_mel,
            settings,
            frame_seconds=self.recipe.features.frame_seconds,
            rng=rng,
            may_cut=self.recipe.task != "transcribe",
            least_frames=self._least_frames(index),
            draw_noise=self._noise_source(rng),
            middles=self.middles,
            timing=timing,
        )

    def _noise_source(self, rng: np.random.Generator) -> Callable[[], Features] | None:
        """Gives frames of recorded noise, another and as of another source each time; None where there is none."""
        if not len(self.noise):
            return None
        return lambda: other_noise(np.asarray(self.store[int(rng.choice(self.noise))]), rng)

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

    def target(self, index: int, places: NDArray[np.float64] | None = None) -> NDArray[Any]:
        """An utterance's row of `Batch.targets`, without padding.

        Args:
            index: of the utterance.
            places: its frame that each feature frame shows, where augmentation moved them.
        """
        if self.recipe.labels_frames or self.recipe.task == "regress":
            if places is None:
                places = np.arange(self.lengths[index], dtype=np.float64)
            places = places[:: self.recipe.model.stride]
            if self.recipe.task == "regress":
                return np.asarray(self._tracks[index][np.rint(places).astype(np.int64)])
            return _frame_targets(self.utterances[index], self.recipe.features.frame_seconds * places, self.vocabulary)
        ids = self.store.targets(index)
        if self.vocabulary.several:
            return np.isin(np.arange(len(self.vocabulary)), ids).astype(np.float32)
        return ids


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


def _frame_targets(utterance: Utterance, centres: NDArray[np.float64], vocabulary: Vocabulary) -> NDArray[Any]:
    """The label of each output frame, or 0 or 1 for each: of the segments that its centre, in seconds, lies in.

    A segment of less than three frames, as clicks are, has one at least, the one nearest its middle, and its two
    neighbours, too, unless another label has them: a network hardly ever learns what holds in one frame of a hundred.
    """
    if not len(centres):
        return np.zeros((0, len(vocabulary)), np.float32) if vocabulary.several else np.zeros(0, np.int64)
    if utterance.duration:  # the last frame's centre may lie at the very end, where all segments are over
        centres = np.minimum(centres, np.nextafter(utterance.duration, 0.0))
    several = np.zeros((len(centres), len(vocabulary)), np.float32)
    nothing = -1 if vocabulary.several else vocabulary.label_id(NO_LABEL)
    targets = np.full(len(centres), nothing)
    between = np.abs(np.diff(centres)).max() / 2 + 1e-9 if len(centres) > 1 else math.inf
    short = []
    for segment in utterance.segments:
        label = vocabulary.label_id(segment.label)
        inside = (centres >= segment.start) & (centres < segment.end)
        targets[inside] = label
        several[inside, label] = 1.0
        if inside.sum() < _LEAST_FRAMES:
            short.append(((segment.start + segment.end) / 2, label))
    for middle, label in short:
        away = np.abs(centres - middle)
        nearest = int(away.argmin())
        if away[nearest] <= between:  # else augmentation has cut it off
            around = np.arange(
                max(0, nearest - _LEAST_FRAMES // 2), min(len(centres), nearest + _LEAST_FRAMES // 2 + 1)
            )
            if not (targets == label)[around].any():
                targets[nearest] = label
            targets[around[targets[around] == nothing]] = label
            several[around, label] = 1.0
    return several if vocabulary.several else targets
