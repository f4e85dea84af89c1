"""The recurrent network: normalisation → front → recurrent layers → head.

Padding never leaks: an utterance's output is the same alone, padded, or in any batch. Inside, tensors are time-major
(T, B, features), as the recurrent kernels want them.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiornn.features import VARIANCE_FLOOR
from audiornn.recipe import OutputKind, Task
from audiornn.settings import NetworkSettings

__all__ = [
    "NEAR_BINS",
    "BidirectionalLayer",
    "Convolutions",
    "LogisticRNN",
    "Network",
    "Peaks",
    "real_frames",
    "recurrent_cell",
    "reverse_within_length",
]


NEAR_BINS = 3  # to either side of the most probable one that make a value


class Network(nn.Module):
    """A recurrent network for one task.

    Args:
        settings: its shape.
        n_features: coefficients a frame.
        n_outputs: symbols, labels or tracks.
        task: "classify" pools the frames; the others give an output a frame.
        normalisation: "global", "utterance" or "none".
        output_kind: what becomes of the outputs: "softmax" (one holds), "sigmoid" (each for itself), or "linear",
            brought to the targets' own units by `track_mean` and `track_scale`, or with `settings.bins` a distribution
            over the values in `track_bins`.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        *,
        n_features: int,
        n_outputs: int,
        task: Task,
        normalisation: str = "global",
        output_kind: OutputKind = "softmax",
    ) -> None:
        super().__init__()
        self.settings = settings
        self.task = task
        self.normalisation = normalisation
        self.output_kind = output_kind
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        width = n_features
        if settings.front == "stack":
            width = n_features * settings.stride
        elif settings.front == "conv":
            width = settings.n_units
            self.convolution = nn.Conv1d(
                n_features, width, 2 * settings.stride + 1, stride=settings.stride, padding=settings.stride
            )
        elif settings.front == "conv2d":
            width = settings.n_units
            self.convolutions = Convolutions(settings, n_features)
        self.layers = nn.ModuleList()
        for _ in range(settings.n_layers):
            layer = BidirectionalLayer(settings, width) if settings.bidirectional else recurrent_cell(settings, width)
            self.layers.append(layer)
            width = settings.n_units * (2 if settings.bidirectional else 1)
        if task == "classify" and settings.pooling == "attention":
            self.attention = nn.Sequential(nn.Linear(width, width // 2 or 1), nn.Tanh(), nn.Linear(width // 2 or 1, 1))
        elif task == "classify" and settings.pooling == "multihead":
            self.queries = nn.Linear(width, width * settings.pooling_heads)
            width *= settings.pooling_heads
        self.output = nn.Linear(width, n_outputs * max(1, settings.bins))
        if settings.bins:
            self.peaks = Peaks(n_features, n_outputs, settings.bins)
            self.register_buffer("track_bins", torch.linspace(-1, 1, settings.bins).repeat(n_outputs, 1))
        elif output_kind == "linear":
            self.register_buffer("track_mean", torch.zeros(n_outputs))
            self.register_buffer("track_scale", torch.ones(n_outputs))

    def forward(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of a padded batch, or of "linear" outputs the values (`values` where there are bins).

        Args:
            features: (B, T, n_features); what stands beyond an utterance's length is never read.
            lengths: (B,) int64, frames of each, at least 1.
            generator: what dropout draws from while training.

        Returns:
            outputs: (B, T', n_outputs), T' = ⌈T / stride⌉; for "classify" (B, n_outputs); with `settings.bins` the
                log-probabilities of each, (B, T', n_outputs, bins).
            output_lengths: (B,) int64, real frames of each among the T'.
        """
        layers, output_lengths = self.layer_outputs(features, lengths, generator)
        own = self.own_frames(features, lengths)
        return self.head(layers[-1], output_lengths, generator, own), output_lengths

    def layer_outputs(
        self, features: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """What each recurrent layer gives, (T', B, width), and the output lengths; arguments as of `forward`."""
        x = self._normalised(features, real_frames(lengths, features.shape[1]))
        x, lengths = self._front(x, lengths)
        x = x.transpose(0, 1)  # (T', B, width)
        outputs: list[Tensor] = []
        for layer in self.layers:
            x = self._dropout(x, generator) if outputs else x
            x = layer(x, lengths) if isinstance(layer, BidirectionalLayer) else layer(x)[0]
            outputs.append(x)
        return outputs, lengths

    def own_frames(self, features: Tensor, lengths: Tensor) -> Tensor | None:
        """The features, normalised, of each output's own frame, (T', B, n_features), where the head sees them."""
        if not self.settings.bins:
            return None
        x = self._normalised(features, real_frames(lengths, features.shape[1]))
        return x[:, :: self.settings.stride].transpose(0, 1)

    def head(
        self, x: Tensor, lengths: Tensor, generator: torch.Generator | None = None, own: Tensor | None = None
    ) -> Tensor:
        """The outputs from a recurrent layer's (T', B, width), of whose frames (B,) lengths are real.

        Args:
            x: as `layer_outputs` gives it.
            lengths: its second output.
            generator: what dropout draws from while training.
            own: of `own_frames`.
        """
        x = self._dropout(x, generator)
        if own is not None:
            return self._activated((self.output(x) + self.peaks(own)).float()).transpose(0, 1)
        if self.task == "classify":
            return self._activated(self.output(self._pooled(x, lengths)).float())
        return self._activated(self.output(x).float()).transpose(0, 1)

    def _activated(self, y: Tensor) -> Tensor:
        if self.output_kind == "softmax":
            return F.log_softmax(y, dim=-1)
        if self.output_kind == "sigmoid":
            return F.logsigmoid(y)
        if self.settings.bins:
            return F.log_softmax(y.unflatten(-1, self.track_bins.shape), dim=-1)
        return y * self.track_scale + self.track_mean

    def values(self, outputs: Tensor) -> Tensor:
        """The values of the tracks, (…, tracks), from "linear" outputs.

        With `settings.bins` the mean of the distribution around its mode: where it has two peaks, as between octaves,
        what lies between them is the one value that is certainly wrong (Kim et al. 2018, CREPE).
        """
        if not self.settings.bins:
            return outputs
        bins = self.track_bins
        mode = (torch.arange(bins.shape[1], device=bins.device) - outputs.argmax(dim=-1, keepdim=True)).abs()
        near = outputs.exp().masked_fill(mode > NEAR_BINS, 0.0)
        return (near * bins).sum(dim=-1) / near.sum(dim=-1)

    @property
    def track_units(self) -> Tensor | None:
        """Of "linear" outputs what errors are measured in, (tracks,); with `settings.bins` those, (tracks, bins)."""
        if self.output_kind != "linear":
            return None
        units: Tensor = self.track_bins if self.settings.bins else self.track_scale
        return units

    @property
    def n_parameters(self) -> int:
        """Trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @torch.no_grad()
    def multiply_adds(self, n_frames: int) -> int:
        """Multiplications with a weight that an utterance of `n_frames` feature frames takes."""
        counted: list[int] = []

        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
            weights = [w for name, w in module.named_parameters(recurse=False) if name.startswith("weight")]
            if isinstance(module, nn.RNNBase):
                times = inputs[0].shape[0]
            else:
                assert isinstance(output, Tensor)
                times = output.numel() // len(weights[0])  # every output channel once
            counted.append(times * sum(w.numel() for w in weights))

        kinds = (nn.RNNBase, nn.Conv1d, nn.Conv2d, nn.Linear)
        hooks = [module.register_forward_hook(count) for module in self.modules() if isinstance(module, kinds)]
        try:
            self(self.mean.new_zeros(1, n_frames, len(self.mean)), torch.tensor([n_frames], device=self.mean.device))
        finally:
            for hook in hooks:
                hook.remove()
        return sum(counted)

    def _dropout(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Dropout of (T', B, width), from a source of its own so that parts of a batch may be computed side by side."""
        rate = self.settings.dropout
        if not self.training or rate == 0:
            return x
        shape = (1, *x.shape[1:]) if self.settings.variational_dropout else x.shape
        kept = torch.rand(shape, device=x.device, generator=generator) >= rate
        return x * kept / (1 - rate)

    def _normalised(self, features: Tensor, mask: Tensor) -> Tensor:
        mask = mask.unsqueeze(2)  # (B, T, 1)
        features = features.masked_fill(~mask, 0.0)
        if self.normalisation == "utterance":
            n_real = mask.sum(dim=1, keepdim=True)
            mean = features.sum(dim=1, keepdim=True) / n_real
            centred = (features - mean).masked_fill(~mask, 0.0)
            return centred * torch.rsqrt(centred.square().sum(dim=1, keepdim=True) / n_real + VARIANCE_FLOOR)
        return ((features - self.mean) * self.scale).masked_fill(~mask, 0.0)

    def _front(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        stride = self.settings.stride
        if self.settings.front == "stack":
            B, T, width = x.shape
            x = F.pad(x, (0, 0, 0, -T % stride)).reshape(B, -1, width * stride)
        elif self.settings.front == "conv":
            # Beyond an utterance's end stand zeros, just as the convolution's own padding puts them.
            x = F.relu(self.convolution(x.transpose(1, 2))).transpose(1, 2)
        elif self.settings.front == "conv2d":
            x = self.convolutions(x, lengths)
        return x, torch.div(lengths + stride - 1, stride, rounding_mode="floor")

    def _pooled(self, x: Tensor, lengths: Tensor) -> Tensor:
        """One vector an utterance, (B, width), from the real frames of (T', B, width)."""
        if self.settings.pooling == "last":
            last = _frame(x, lengths - 1)
            half = self.settings.n_units  # a direction that reads backwards ends at the first frame
            return torch.cat([last[:, :half], x[0, :, half:]], dim=1)
        mask = real_frames(lengths, x.shape[0]).T.unsqueeze(2)  # (T', B, 1)
        if self.settings.pooling == "multihead":
            heads = self.queries(_frame(x, lengths // 2)).unflatten(1, (self.settings.pooling_heads, -1))
            real = x.masked_fill(~mask, 0.0)
            scores = torch.einsum("tbw,bhw->tbh", real, heads) / math.sqrt(x.shape[2])
            weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=0)
            return torch.einsum("tbh,tbw->bhw", weights, real).flatten(1)
        if self.settings.pooling == "mean":
            return x.masked_fill(~mask, 0.0).sum(dim=0) / mask.sum(dim=0)
        if self.settings.pooling == "max":
            return x.masked_fill(~mask, -torch.inf).amax(dim=0)
        weights = self.attention(x).masked_fill(~mask, -torch.inf).softmax(dim=0)
        return (weights * x.masked_fill(~mask, 0.0)).sum(dim=0)


class Convolutions(nn.Module):
    """Convolutions over time and bands: what a formant looks like is learnt once, wherever it stands.

    The residual shape is that of He et al. 2016. There is no batch normalisation, which would make an utterance's
    output depend on others: each frame is normalised by itself, once, before it is projected to the recurrent layers'
    width.
    """

    def __init__(self, settings: NetworkSettings, n_features: int) -> None:
        super().__init__()
        channels, kernel = settings.front_channels, settings.front_kernel
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, channels, 3, stride=(1, 2), padding=1),
                nn.Conv2d(channels, channels, (kernel, 3), stride=(settings.stride, 2), padding=(kernel // 2, 1)),
                *(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(settings.front_layers - 2)),
            ]
        )
        self.stride = settings.stride
        width = channels * (-(-n_features // 4))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, settings.n_units)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, n_features), zeros beyond the (B,) lengths, to (B, ⌈T / stride⌉, n_units)."""
        x = x.unsqueeze(3).permute(0, 3, 1, 2)  # (B, channels, T, bands), channels innermost: twice as fast on a CPU
        for i, layer in enumerate(self.layers):
            y = F.relu(layer(x))
            x = y if i < 2 else x + y
            if i == 1:
                lengths = torch.div(lengths + self.stride - 1, self.stride, rounding_mode="floor")
            # A bias makes something of padding, which the next convolution would see.
            x = x.masked_fill(~real_frames(lengths, x.shape[2])[:, None, :, None], 0.0)
        return self.projection(self.norm(x.permute(0, 2, 3, 1).flatten(2)))


class Peaks(nn.Module):
    """From a frame's features straight to bins: what is to be told may stand there already, and need only be found.

    Convolutions over the features see a peak wherever it stands, and a matrix that begins as an interpolation lays the
    features along the bins; so features that run evenly over what the bins run over (`kind = "autocorrelation"` over
    the logarithm of the pitch) need not be learnt to.
    """

    def __init__(self, n_features: int, n_tracks: int, n_bins: int) -> None:
        super().__init__()
        widths = (1, 16, 16, n_tracks)
        self.layers = nn.ModuleList(nn.Conv1d(a, b, 7, padding=3) for a, b in itertools.pairwise(widths))
        self.to_bins = nn.Linear(n_features, n_bins, bias=False)
        place = torch.linspace(0, n_features - 1, n_bins)[:, None] - torch.arange(n_features)
        with torch.no_grad():
            self.to_bins.weight.copy_((1 - place.abs()).clamp(min=0))

    def forward(self, x: Tensor) -> Tensor:
        """(T', B, n_features) to (T', B, tracks · bins)."""
        y = x.flatten(0, 1).unsqueeze(1)
        for layer in self.layers[:-1]:
            y = F.relu(layer(y))
        return self.to_bins(self.layers[-1](y)).reshape(*x.shape[:2], -1)


class BidirectionalLayer(nn.Module):
    """A forward network, and a second one that reads each utterance backwards within its own length.

    Equal to `pack_padded_sequence` through a bidirectional layer, without its step-by-step kernels: both networks run
    over dense tensors, which is several times faster on a CPU.
    """

    def __init__(self, settings: NetworkSettings, n_inputs: int) -> None:
        super().__init__()
        self.forwards = recurrent_cell(settings, n_inputs)
        self.backwards = recurrent_cell(settings, n_inputs)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(T, B, n_inputs) and (B,) lengths to (T, B, 2 · n_units)."""
        ahead, _ = self.forwards(x)
        behind, _ = self.backwards(reverse_within_length(x, lengths))
        return torch.cat([ahead, reverse_within_length(behind, lengths)], dim=2)


def recurrent_cell(settings: NetworkSettings, n_inputs: int) -> nn.RNNBase:
    """One direction of one layer, time-major."""
    if settings.cell == "rnn":
        if settings.activation == "logistic":
            return LogisticRNN(n_inputs, settings.n_units)
        return nn.RNN(n_inputs, settings.n_units, nonlinearity=settings.activation)
    layer = (nn.LSTM if settings.cell == "lstm" else nn.GRU)(n_inputs, settings.n_units)
    if settings.memory:
        open_gates(layer, settings.memory)
    return layer


@torch.no_grad()
def open_gates(layer: nn.RNNBase, memory: int) -> None:
    """Let each unit hold what it has for a time of its own among 2…`memory` frames (Tallec & Ollivier 2018).

    A gate at σ(b) keeps that share a frame, so that what it holds lasts 1 + eᵇ frames: b = log u, u uniform. An LSTM's
    input gate takes in as little as the forget gate lets go, as a GRU's one gate does by itself.
    """
    n = layer.hidden_size
    kept = torch.empty(n).uniform_(1, memory - 1).log_()
    for bias, gate in ((layer.bias_ih_l0, kept), (layer.bias_hh_l0, torch.zeros(n))):
        bias[n : 2 * n] = gate  # an LSTM's forget gate, a GRU's update gate
        if isinstance(layer, nn.LSTM):
            bias[:n] = -gate


class LogisticRNN(nn.RNN):
    """The vanilla cell with the logistic function, h_t = σ(W x_t + U h_{t−1} + b).

    PyTorch has kernels for tanh and ReLU only, but σ(a) = (1 + tanh(a / 2)) / 2: with g = 2 h − 1 this is the tanh
    cell g_t = tanh(W/2 x_t + U/4 g_{t−1} + b/2 + U/4 · 1), computed at its speed. Parameters are those of `nn.RNN`.
    """

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(T, B, n_inputs), and (1, B, n_units) before it, to all states (T, B, n_units) and the last."""
        if state is None:
            state = x.new_zeros(1, x.shape[1], self.hidden_size)
        recurrent = self.weight_hh_l0 / 4
        bias = self.bias_hh_l0 / 2 + recurrent.sum(dim=1)
        weights = [self.weight_ih_l0 / 2, recurrent, self.bias_ih_l0 / 2, bias]
        g, last = torch.rnn_tanh(x, 2 * state - 1, weights, True, 1, 0.0, self.training, False, False)
        return (1 + g) / 2, (1 + last) / 2


def reverse_within_length(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverse each utterance of (T, B, width) within its own length; its own inverse."""
    time = torch.arange(x.shape[0], device=x.device).unsqueeze(1)  # (T, 1)
    source = torch.where(time < lengths, lengths - 1 - time, time)  # (T, B)
    return x.gather(0, source.unsqueeze(2).expand_as(x))


def _frame(x: Tensor, index: Tensor) -> Tensor:
    """The frame of each utterance's own index (B,), from (T, B, width) to (B, width)."""
    return x.gather(0, index.view(1, -1, 1).expand(1, -1, x.shape[2]))[0]


def real_frames(lengths: Tensor, n_frames: int) -> Tensor:
    """True where a frame is not padding, (B, n_frames)."""
    return torch.arange(n_frames, device=lengths.device) < lengths.unsqueeze(1)
