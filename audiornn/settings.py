"""What a recipe may set about the network, its augmentation and its training.

They stand apart from the code that reads them, so that `prep` can check a whole recipe without importing PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from audiornn.errors import SettingsError

__all__ = ["AugmentSettings", "NetworkSettings", "TrainingSettings"]


def _require(section: str, **rules: tuple[bool, object, str]) -> None:
    for key, (holds, value, expected) in rules.items():
        if not holds:
            raise SettingsError(f"{section}.{key} = {value!r} must be {expected}")


@dataclass(frozen=True)
class NetworkSettings:
    """The recurrent network.

    Attributes:
        cell: LSTM is the fastest on a CPU (oneDNN), GRU the smallest of the gated ones, "rnn" the vanilla cell.
        bidirectional: whether every layer also reads the utterance backwards.
        n_layers: recurrent layers.
        n_units: units a direction.
        dropout: between layers and before the output, while training.
        front: what stands before the first layer: nothing, "stack" joins `stride` frames to one, "conv" is a
            convolution over 2 · stride + 1 frames with that stride and a ReLU.
        stride: frames that become one; 1 where `front` is "none".
        pooling: how a classifier reads a recording's frames: their mean, maximum, or learned attention.
        activation: the vanilla cell's.
    """

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    bidirectional: bool = True
    n_layers: int = 2
    n_units: int = 128
    dropout: float = 0.2
    front: Literal["none", "stack", "conv"] = "none"
    stride: int = 1
    pooling: Literal["mean", "max", "attention"] = "attention"
    activation: Literal["tanh", "relu"] = "tanh"

    def __post_init__(self) -> None:
        _require(
            "model",
            n_layers=(self.n_layers >= 1, self.n_layers, "at least 1"),
            n_units=(self.n_units >= 1, self.n_units, "at least 1"),
            dropout=(0 <= self.dropout < 1, self.dropout, "in 0…1"),
            stride=(self.stride >= 1, self.stride, "at least 1"),
            front=(
                self.front != "none" or self.stride == 1,
                self.front,
                f"'stack' or 'conv' with stride = {self.stride}",
            ),
        )

    def output_length(self, n_frames: int) -> int:
        """Output frames of an utterance of `n_frames` feature frames."""
        return -(-n_frames // self.stride)

    @property
    def front_context(self) -> tuple[int, int]:
        """Feature frames that an output sees before and after its own `stride`; those before, whole outputs' worth."""
        return (self.stride, 1) if self.front == "conv" else (0, 0)


@dataclass(frozen=True)
class AugmentSettings:
    """What is varied, afresh each time an utterance is seen; on log-mel frames, before the cepstra. Zero is off.

    Attributes:
        tempo: share by which it is faster or slower, at most.
        warp: share by which the bands move up or down, at most: shorter and longer vocal tracts.
        channel: decibels by which a smooth curve over the bands, another microphone's, departs from level, at most.
        gain: decibels up or down, at most.
        noise: share of utterances that get noise of a random colour.
        least_snr: decibels from the noise up to the utterance, at least.
        most_snr: and at most.
        time_shift: seconds earlier or later, at most; a transcript's audio is lengthened rather than cut.
        time_masks: stretches replaced by the utterance's mean (SpecAugment, Park et al. 2019).
        time_mask_seconds: the longest of them; none is longer than a fifth of the utterance.
        band_masks: runs of mel bands replaced by their mean.
        band_mask_share: the widest of them, as a share of the bands.
    """

    tempo: float = 0.1
    warp: float = 0.1
    channel: float = 0.0
    gain: float = 10.0
    noise: float = 0.5
    least_snr: float = 5.0
    most_snr: float = 30.0
    time_shift: float = 0.1
    time_masks: int = 2
    time_mask_seconds: float = 0.1
    band_masks: int = 2
    band_mask_share: float = 0.15

    def __post_init__(self) -> None:
        _require(
            "augment",
            tempo=(0 <= self.tempo < 1, self.tempo, "in 0…1"),
            warp=(0 <= self.warp < 1, self.warp, "in 0…1"),
            channel=(self.channel >= 0, self.channel, "at least 0"),
            noise=(0 <= self.noise <= 1, self.noise, "in 0…1"),
            most_snr=(self.least_snr <= self.most_snr, self.most_snr, f"at least least_snr = {self.least_snr}"),
            gain=(self.gain >= 0, self.gain, "at least 0"),
            time_shift=(self.time_shift >= 0, self.time_shift, "at least 0"),
            time_masks=(self.time_masks >= 0, self.time_masks, "at least 0"),
            time_mask_seconds=(self.time_mask_seconds >= 0, self.time_mask_seconds, "at least 0"),
            band_masks=(self.band_masks >= 0, self.band_masks, "at least 0"),
            band_mask_share=(0 <= self.band_mask_share <= 1, self.band_mask_share, "in 0…1"),
        )


@dataclass(frozen=True)
class TrainingSettings:
    """How the network is trained.

    Attributes:
        epochs: passes over the training set, at most; the learning rate decays towards the last.
        batch_size: utterances a step.
        learning_rate: AdamW's, at its peak.
        warmup: share of all steps over which the rate rises; then it falls along half a cosine to a hundredth.
        weight_decay: AdamW's.
        clip_norm: gradients longer than this are shortened to it.
        patience: epochs without a better dev metric before training stops.
        checkpoint_steps: steps from one safety copy to the next, besides one an epoch.
        seed: of initial weights, order, augmentation and dropout.
        device: "auto" takes CUDA where there is one.
        threads: CPU cores that share a batch; 0 takes all.
    """

    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    patience: int = 15
    checkpoint_steps: int = 1000
    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        _require(
            "training",
            epochs=(self.epochs >= 1, self.epochs, "at least 1"),
            batch_size=(self.batch_size >= 1, self.batch_size, "at least 1"),
            learning_rate=(0 < self.learning_rate < math.inf, self.learning_rate, "above 0 and finite"),
            warmup=(0 <= self.warmup < 1, self.warmup, "in 0…1"),
            weight_decay=(self.weight_decay >= 0, self.weight_decay, "at least 0"),
            clip_norm=(self.clip_norm > 0, self.clip_norm, "above 0"),
            patience=(self.patience >= 1, self.patience, "at least 1"),
            checkpoint_steps=(self.checkpoint_steps >= 1, self.checkpoint_steps, "at least 1"),
            seed=(self.seed >= 0, self.seed, "at least 0"),
            threads=(self.threads >= 0, self.threads, "at least 0"),
        )
