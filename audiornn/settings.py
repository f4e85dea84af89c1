"""What a recipe may set about the network, its augmentation and its training.

They stand apart from the code that reads them, so that `prep` can check a whole recipe without importing PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from audiornn.errors import SettingsError, check_choices

__all__ = ["AugmentSettings", "NetworkSettings", "SpottingSettings", "TrainingSettings"]


def _require(section: str, **rules: tuple[bool, object, str]) -> None:
    for key, (holds, value, expected) in rules.items():
        if not holds:
            raise SettingsError(f"{section}.{key} = {value!r} must be {expected}")


def _snr_rules(least: float, most: float) -> dict[str, tuple[bool, object, str]]:
    return {
        "least_snr": (math.isfinite(least), least, "finite"),
        "most_snr": (least <= most < math.inf, most, f"at least least_snr = {least}, and finite"),
    }


@dataclass(frozen=True)
class NetworkSettings:
    """The recurrent network.

    Attributes:
        cell: LSTM is the fastest on a CPU (oneDNN), GRU the smallest of the gated ones, "rnn" the vanilla cell.
        bidirectional: whether every layer also reads the utterance backwards.
        n_layers: recurrent layers.
        n_units: units a direction.
        dropout: between layers and before the output, while training.
        variational_dropout: dropout leaves out the same units at every frame of an utterance (Gal & Ghahramani 2016).
        front: what stands before the first layer: nothing, "stack" joins `stride` frames to one, "conv" is a
            convolution over 2 · stride + 1 frames with that stride and a ReLU, "conv2d" convolves over time and bands.
        front_layers: convolutions of "conv2d": the first halves the bands, the second halves them again and takes the
            stride, each further one adds to what it is given.
        front_channels: of each of them.
        stride: frames that become one; 1 where `front` is "none".
        pooling: how a classifier reads a recording's frames: their mean, their maximum, the last real state of each
            direction, learned attention, or "multihead": several attentions that the middle frame asks for (MHAtt-RNN,
            Rybakov et al. 2020).
        pooling_heads: of "multihead".
        activation: the vanilla cell's.
        memory: frames; the gates begin open, so that what a unit holds lasts as long as 2…`memory` frames, another
            time each (chrono initialisation, Tallec & Ollivier 2018). 0 leaves them half open, as PyTorch does: about
            two frames.
        bins: of "regress": the network gives each track a distribution over so many values, spread evenly over those
            in training, and learns by cross-entropy; convolutions over the frame's own features have a say in it, too.
            0 gives the value itself, learnt by squared errors.
    """

    cell: Literal["lstm", "gru", "rnn"] = "lstm"
    bidirectional: bool = True
    n_layers: int = 2
    n_units: int = 128
    dropout: float = 0.2
    variational_dropout: bool = False
    front: Literal["none", "stack", "conv", "conv2d"] = "none"
    front_layers: int = 3
    front_channels: int = 32
    stride: int = 1
    pooling: Literal["mean", "max", "last", "attention", "multihead"] = "attention"
    pooling_heads: int = 4
    activation: Literal["tanh", "relu", "logistic"] = "tanh"
    memory: int = 0
    bins: int = 0

    def __post_init__(self) -> None:
        check_choices("model", self)
        _require(
            "model",
            bins=(self.bins == 0 or self.bins >= 2, self.bins, "0, or at least 2"),
            n_layers=(self.n_layers >= 1, self.n_layers, "at least 1"),
            n_units=(self.n_units >= 1, self.n_units, "at least 1"),
            dropout=(0 <= self.dropout < 1, self.dropout, "in 0…1"),
            stride=(self.stride >= 1, self.stride, "at least 1"),
            front=(
                self.front != "none" or self.stride == 1,
                self.front,
                f"'stack', 'conv' or 'conv2d' with stride = {self.stride}",
            ),
            front_layers=(self.front_layers >= 2, self.front_layers, "at least 2"),
            front_channels=(self.front_channels >= 1, self.front_channels, "at least 1"),
            memory=(
                self.memory == 0 or (self.memory >= 3 and self.cell != "rnn"),
                self.memory,
                "0, or at least 3 frames of a cell with gates ('lstm', 'gru')",
            ),
            pooling_heads=(self.pooling_heads >= 1, self.pooling_heads, "at least 1"),
        )

    def output_length(self, n_frames: int) -> int:
        """Output frames of an utterance of `n_frames` feature frames."""
        return -(-n_frames // self.stride)

    @property
    def front_kernel(self) -> int:
        """Frames under the convolution that takes the stride: none is skipped."""
        return 2 * max(1, self.stride // 2) + 1

    @property
    def front_context(self) -> tuple[int, int]:
        """Feature frames that an output sees before and after its own `stride`; those before, whole outputs' worth."""
        reach = {
            "none": 0,
            "stack": 0,
            "conv": self.stride,
            "conv2d": 1 + self.front_kernel // 2 + (self.front_layers - 2) * self.stride,
        }[self.front]  # to either side of the first of its own
        return -(-reach // self.stride) * self.stride, max(0, reach - self.stride + 1)


@dataclass(frozen=True)
class AugmentSettings:
    """What is varied, afresh each time an utterance is seen; on log-mel frames, before the cepstra. Zero is off.

    Attributes:
        speed: share by which it is played faster or slower, its frequencies with it, at most (Ko et al. 2015).
        tempo: share by which it is faster or slower while its frequencies stay, at most.
        vocal_tract: share by which all frequencies are higher or lower, at most, as of a shorter or longer vocal tract.
        warp: share by which the bands' numbers grow or shrink, at most. Above 1 kHz, where equal steps of bands are
            equal ratios of frequencies, that moves sounds farther than `vocal_tract` of the same share does: at the
            top of forty bands three times as far.
        channel: decibels by which a smooth curve over the bands, another microphone's, departs from level, at most.
        wobble: decibels by which slow waves over time and bands raise and lower it, at most: sounds that one speaker
            says more strongly and another more weakly.
        gain: decibels up or down, at most.
        band_limit: share of utterances whose high bands fade away, as in a telephone or before a closed door.
        reverb: share of utterances that get the echoes of a room.
        noise: share of utterances that get noise: of a random colour, or as often recorded where `noise_label` is set.
        noise_label: the label of training recordings that are noise: they serve the others as such, each time with
            another colour. A classifier, whose label it is too, hears them with another colour and level each time.
        least_snr: decibels from the noise up to the utterance, at least.
        most_snr: and at most.
        trim: share of recordings that lose what is soft at either end, as where a recorder listens for speech: *six* is
            "i" then. Not of transcripts, whose first and last sounds are asked for.
        time_shift: seconds earlier or later, at most; a transcript's audio is lengthened rather than cut.
        time_masks: stretches replaced by the utterance's mean (SpecAugment, Park et al. 2019).
        time_mask_seconds: the longest of them; none is longer than a fifth of the utterance.
        band_masks: runs of mel bands replaced by their mean.
        band_mask_share: the widest of them, as a share of the bands.
        mixup: share of a classifier's recordings that another one is mixed into, and its label too (Zhang et al. 2018;
            Tokozume et al. 2018).
        easy_first: share of all steps over which all this grows from nothing to its full measure; CTC finds where
            symbols are on clean speech and not on masked.
    """

    speed: float = 0.0
    tempo: float = 0.1
    vocal_tract: float = 0.0
    warp: float = 0.1
    channel: float = 0.0
    wobble: float = 0.0
    gain: float = 10.0
    band_limit: float = 0.0
    reverb: float = 0.0
    noise: float = 0.5
    noise_label: str = ""
    least_snr: float = 5.0
    most_snr: float = 30.0
    trim: float = 0.0
    time_shift: float = 0.1
    time_masks: int = 2
    time_mask_seconds: float = 0.1
    band_masks: int = 2
    band_mask_share: float = 0.15
    mixup: float = 0.0
    easy_first: float = 0.1

    def __post_init__(self) -> None:
        _require(
            "augment",
            speed=(0 <= self.speed < 1, self.speed, "in 0…1"),
            tempo=(0 <= self.tempo < 1, self.tempo, "in 0…1"),
            vocal_tract=(0 <= self.vocal_tract < 1, self.vocal_tract, "in 0…1"),
            warp=(0 <= self.warp < 1, self.warp, "in 0…1"),
            channel=(0 <= self.channel < math.inf, self.channel, "at least 0 and finite"),
            band_limit=(0 <= self.band_limit <= 1, self.band_limit, "in 0…1"),
            reverb=(0 <= self.reverb <= 1, self.reverb, "in 0…1"),
            noise=(0 <= self.noise <= 1, self.noise, "in 0…1"),
            **_snr_rules(self.least_snr, self.most_snr),
            wobble=(0 <= self.wobble < math.inf, self.wobble, "at least 0 and finite"),
            gain=(0 <= self.gain < math.inf, self.gain, "at least 0 and finite"),
            trim=(0 <= self.trim <= 1, self.trim, "in 0…1"),
            time_shift=(0 <= self.time_shift < math.inf, self.time_shift, "at least 0 and finite"),
            time_masks=(self.time_masks >= 0, self.time_masks, "at least 0"),
            time_mask_seconds=(0 <= self.time_mask_seconds < math.inf, self.time_mask_seconds, "at least 0 and finite"),
            band_masks=(self.band_masks >= 0, self.band_masks, "at least 0"),
            band_mask_share=(0 <= self.band_mask_share <= 1, self.band_mask_share, "in 0…1"),
            mixup=(0 <= self.mixup <= 1, self.mixup, "in 0…1"),
            easy_first=(0 <= self.easy_first <= 1, self.easy_first, "in 0…1"),
        )

    def strength(self, progress: float) -> float:
        """How much of it there is at a share of the way through training, 0…1."""
        return 1.0 if progress >= self.easy_first else progress / self.easy_first

    def at(self, progress: float) -> AugmentSettings:
        """The settings at a share of the way through training: weaker within the first `easy_first`."""
        strength = self.strength(progress)
        if strength == 1:
            return self
        grown = (
            "speed",
            "tempo",
            "vocal_tract",
            "warp",
            "channel",
            "wobble",
            "gain",
            "band_limit",
            "reverb",
            "noise",
            "trim",
            "time_shift",
            "time_mask_seconds",
            "band_mask_share",
            "mixup",
        )
        return replace(self, **{name: strength * getattr(self, name) for name in grown})


@dataclass(frozen=True)
class SpottingSettings:
    """How a spotter's training examples are made, and which threshold is chosen; of task "spot" only.

    An example is a window of background with a word in it or none. Shares are of all examples; what is left of them is
    background as it is, half of it where the network of the epoch before was loudest (`mined`).

    Attributes:
        window_seconds: of an example; longer where the words need it.
        windows: examples an epoch.
        keywords: share of examples that hold a keyword.
        fragments: share that hold a part of one, its beginning, its end, or all of it backwards, and do not count.
        others: share that hold another sound of a word's length, placed just as a keyword is.
        synthetic: share of what synthetic voices say, of the words and of all else, where people say any of it.
        mined: share of the examples of plain background that show where the last epoch's network answered loudest.
        least_snr: decibels from the background up to the word, at least, where the two sound at once.
        most_snr: and at most.
        delay: seconds by which the answer is asked for later than as the word ends: what follows tells "on" from
            "only", and each hit comes so much later.
        pooling: how a keyword's frames count: "mean" asks all of them for it, "max" only the best one (Sun et al.
            2016).
        false_alarms_per_hour: that the threshold is chosen for.
    """

    window_seconds: float = 2.4
    windows: int = 2048
    keywords: float = 0.35
    fragments: float = 0.1
    others: float = 0.15
    synthetic: float = 0.3
    mined: float = 0.5
    least_snr: float = 3.0
    most_snr: float = 30.0
    delay: float = 0.0
    pooling: Literal["mean", "max"] = "mean"
    false_alarms_per_hour: float = 0.5

    def __post_init__(self) -> None:
        check_choices("spotting", self)
        together = self.keywords + self.fragments + self.others
        shares = {
            name: (0 <= getattr(self, name) <= 1, getattr(self, name), "in 0…1")
            for name in ("keywords", "fragments", "others", "synthetic", "mined")
        }
        _require(
            "spotting",
            window_seconds=(0.5 <= self.window_seconds <= 60, self.window_seconds, "seconds in 0.5…60"),
            windows=(self.windows >= 1, self.windows, "at least 1"),
            delay=(0 <= self.delay <= 0.3, self.delay, "seconds in 0…0.3"),
            **shares,
        )
        _require(
            "spotting",
            keywords=(self.keywords > 0 and together <= 1, self.keywords, "above 0, and at most 1 with the others"),
            **_snr_rules(self.least_snr, self.most_snr),
            false_alarms_per_hour=(
                0 < self.false_alarms_per_hour < math.inf,
                self.false_alarms_per_hour,
                "above 0 and finite",
            ),
        )


@dataclass(frozen=True)
class TrainingSettings:
    """How the network is trained.

    Attributes:
        epochs: passes over the training set, at most; the learning rate decays towards the last.
        batch_size: utterances a step.
        learning_rate: AdamW's, at its peak.
        warmup: share of all steps over which the rate rises; then it falls along half a cosine.
        final_rate: to this share of its peak; 1 keeps it where it is.
        weight_decay: AdamW's.
        clip_norm: gradients longer than this are shortened to it.
        label_smoothing: share of a classifier's target that goes to all labels alike.
        weight_noise: standard deviation of what is added to every weight at a step, another noise each time, and taken
            away again (Graves 2011); biases have none.
        middle_ctc: share of CTC's loss that is counted at the middle layer, through the same output (Lee & Watanabe
            2021): a deep network's lower half learns sooner.
        consistency: weight, beside the loss, of how far the network's answers to two differently varied copies of an
            utterance lie apart (Liang et al. 2021, "R-Drop"; Yao et al. 2025, "CR-CTC"). A step takes twice as long.
            The weight grows as the variation does (`augment.easy_first`): whole from the first step on, it kept CTC
            longer on its blank plateau.
        average: epochs; the weights that are scored and kept are a moving average over about so many, which does
            better than any one step's. 0 keeps the last step's.
        balanced: of the commonest label an epoch takes no more recordings than there are of the next, others each time;
            where frames are labelled, those of all labels together count alike.
        patience: epochs without a better dev metric before training stops; 0 goes on to the last, where the rate is
            lowest and most networks are best.
        checkpoint_steps: steps from one safety copy to the next, besides one an epoch.
        seed: of initial weights, order, augmentation and dropout.
        start: a run, or a file of `audiornn export --start`, whose weights are begun with, as `train --from` names it;
            of a packaged recipe's, as `--set` does, `recipes/NAME/FILE`. Empty begins with random ones.
        device: "auto" takes CUDA where there is one.
        threads: CPU cores that share a batch; 0 takes all.
        precision: "bf16" computes the network in bfloat16 where the processor has it (AVX512-BF16, a GPU), with
            convolutions over time and bands some 1.5 times as fast; weights, losses and dev scores stay float32.
    """

    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup: float = 0.1
    final_rate: float = 0.01
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    label_smoothing: float = 0.0
    weight_noise: float = 0.0
    middle_ctc: float = 0.0
    consistency: float = 0.0
    average: float = 2.0
    balanced: bool = False
    patience: int = 0
    checkpoint_steps: int = 1000
    seed: int = 1
    start: str = ""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0
    precision: Literal["float32", "bf16"] = "float32"

    def __post_init__(self) -> None:
        check_choices("training", self)
        _require(
            "training",
            epochs=(self.epochs >= 1, self.epochs, "at least 1"),
            batch_size=(self.batch_size >= 1, self.batch_size, "at least 1"),
            learning_rate=(0 < self.learning_rate < math.inf, self.learning_rate, "above 0 and finite"),
            warmup=(0 <= self.warmup < 1, self.warmup, "in 0…1"),
            final_rate=(0 <= self.final_rate <= 1, self.final_rate, "in 0…1"),
            weight_decay=(0 <= self.weight_decay < math.inf, self.weight_decay, "at least 0 and finite"),
            clip_norm=(self.clip_norm > 0, self.clip_norm, "above 0"),
            label_smoothing=(0 <= self.label_smoothing < 1, self.label_smoothing, "in 0…1"),
            weight_noise=(0 <= self.weight_noise < math.inf, self.weight_noise, "at least 0"),
            middle_ctc=(0 <= self.middle_ctc < 1, self.middle_ctc, "in 0…1"),
            consistency=(0 <= self.consistency < math.inf, self.consistency, "at least 0"),
            average=(0 <= self.average < math.inf, self.average, "at least 0"),
            patience=(self.patience >= 0, self.patience, "not negative"),
            checkpoint_steps=(self.checkpoint_steps >= 1, self.checkpoint_steps, "at least 1"),
            seed=(0 <= self.seed < 1 << 32, self.seed, "in 0…4,294,967,295"),
            threads=(self.threads >= 0, self.threads, "at least 0"),
        )
