"""Export: the trained network as an ONNX graph, written node by node.

torch's own exporters lose the lengths of a padded batch or unroll the loop; ONNX's recurrent operators take
`sequence_lens` and both directions at once, which is just what the network means. Gates are reordered from torch's
(LSTM i f g o, GRU r z n) to ONNX's (i o f c, z r h).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import nn

from audiornn.features import VARIANCE_FLOOR
from audiornn.model_file import METADATA_KEY, ModelCard
from audiornn.train.network import NEAR_BINS, BidirectionalLayer, Network
from audiornn.train.onnx_graph import GraphBuilder, write_model

__all__ = ["write_model_file"]

_OPSET = 17
_IR_VERSION = 8
#: Of a network that normalises each recording by itself: what it is to be normalised by.
_RECORDING = ("recording_mean", "recording_scale")
_ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "logistic": "Sigmoid"}
_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}


def write_model_file(path: Path, network: Network, card: ModelCard) -> None:
    """Write `model.onnx` for a network, with its card inside.

    Args:
        path: of the file; replaced as a whole or not at all.
        network: on any device; its dropout is left out.
        card: what a listener must know.
    """
    graph = _Graph(network).build()
    write_model(path, graph, {METADATA_KEY: card.to_json()}, opsets={"": _OPSET}, ir_version=_IR_VERSION)


class _Graph(GraphBuilder):
    """A network's graph; each method adds a stage and returns the name of its result."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.settings = network.settings
        self.in_stretches = network.task != "classify"
        self.next_states: list[str] = []

    def build(self) -> Any:
        network = self.network
        features = self.normalised()
        x, own = self.front(features), self.own_frames(features) if self.settings.bins else ""
        if self.in_stretches:
            (x, own), lengths = self.without_context(x, own)
        else:
            lengths = self.output_lengths("lengths", "output_lengths")
        short_lengths = self.add("Cast", lengths, to=TensorProto.INT32)
        x = self.add("Transpose", x, perm=[1, 0, 2])  # (T', B, width), as the recurrent operators want it
        for i, layer in enumerate(network.layers):
            x = self.recurrent(x, short_lengths, layer, i)
        if network.task == "classify":
            self.activated(self.pooled(x, lengths), out="log_probs")
        else:
            told = self.binned(x, own) if own else self.activated(x)
            self.add("Transpose", told, perm=[1, 0, 2], out="log_probs")
        n_features = len(network.mean)
        n_outputs = network.output.out_features // max(1, self.settings.bins)
        shape = ["batch", n_outputs] if network.task == "classify" else ["batch", "output_frames", n_outputs]
        inputs = [
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", "frames", n_features]),
            helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        ]
        outputs = [
            helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, shape),
            helper.make_tensor_value_info("output_lengths", TensorProto.INT64, ["batch"]),
        ]
        if self.in_stretches:
            state = [*self.state_shape, "batch", self.settings.n_units]
            inputs += [
                helper.make_tensor_value_info("state", TensorProto.FLOAT, state),
                helper.make_tensor_value_info("left_context", TensorProto.INT64, [1]),
                helper.make_tensor_value_info("right_context", TensorProto.INT64, [1]),
            ]
            self.add("Concat", *self.next_states, axis=0, out="next_state")
            outputs.append(helper.make_tensor_value_info("next_state", TensorProto.FLOAT, state))
            if network.normalisation == "utterance":
                inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n_features]) for name in _RECORDING]
        return helper.make_graph(
            self.nodes,
            "audiornn",
            inputs,
            outputs,
            self.initializers,
        )

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Layers; hidden state, and an LSTM's cell state; directions."""
        n_states, n_directions = (2 if self.settings.cell == "lstm" else 1), (2 if self.settings.bidirectional else 1)
        return self.settings.n_layers, n_states, n_directions

    def normalised(self) -> str:
        mask = self.real_frames("features", "lengths", time_axis=1)  # (B, T)
        mask = self.add("Unsqueeze", mask, self.ints([2]))
        zero = self.float(0.0)
        x = self.add("Where", mask, "features", zero)
        if self.network.normalisation == "utterance":
            n_real = self.add("Cast", "lengths", to=TensorProto.FLOAT)
            n_real = self.add("Unsqueeze", n_real, self.ints([1, 2]))
            time = self.ints([1])
            mean = self.add("Div", self.add("ReduceSum", x, time, keepdims=1), n_real)
            centred = self.add("Where", mask, self.add("Sub", x, mean), zero)
            squares = self.add("ReduceSum", self.add("Mul", centred, centred), time, keepdims=1)
            variance = self.add("Add", self.add("Div", squares, n_real), self.float(VARIANCE_FLOOR))
            normalised = self.add("Div", centred, self.add("Sqrt", variance))
            return self.by_recording(normalised, x, mask) if self.in_stretches else normalised
        x = self.add("Sub", x, self.constant(_array(self.network.mean), "mean"))
        x = self.add("Mul", x, self.constant(_array(self.network.scale), "scale"))
        return self.add("Where", mask, x, zero)

    def by_recording(self, normalised: str, x: str, mask: str) -> str:
        """A stretch normalised as its whole recording is, where that is said; as it is by itself, where it is not."""
        for name in _RECORDING:
            self.constant(np.full(len(self.network.mean), np.nan, np.float32), name)
        mean, scale = _RECORDING
        scaled = self.add("Mul", self.add("Sub", x, mean), scale)
        scaled = self.add("Where", mask, scaled, self.float(0.0))
        return self.add("Where", self.add("IsNaN", mean), normalised, scaled)

    def front(self, x: str) -> str:
        stride = self.settings.stride
        if self.settings.front == "stack":
            n_frames = self.add("Gather", self.add("Shape", x), self.ints([1]), axis=0)
            # (−T) mod stride frames of zeros make T a multiple of the stride
            padding = self.add("Mod", self.add("Neg", n_frames), self.ints([stride]))
            pads = self.add("Concat", self.ints([0, 0, 0, 0]), padding, self.ints([0]), axis=0)
            x = self.add("Pad", x, pads)
            width = len(self.network.mean) * stride
            return self.add("Reshape", x, self.ints([0, -1, width]))
        if self.settings.front == "conv":
            convolution = self.network.convolution
            x = self.add("Transpose", x, perm=[0, 2, 1])
            weight = self.constant(_array(convolution.weight), "convolution.weight")
            bias = self.constant(_array(convolution.bias), "convolution.bias")
            x = self.add("Conv", x, weight, bias, strides=[stride], pads=[stride, stride])
            return self.add("Transpose", self.add("Relu", x), perm=[0, 2, 1])
        if self.settings.front == "conv2d":
            return self.convolutions(x, "lengths")
        return x

    def convolutions(self, x: str, lengths: str) -> str:
        """The front over time and bands, (B, T, n_features) to (B, T', n_units)."""
        front, stride = self.network.convolutions, self.settings.stride
        x = self.add("Unsqueeze", x, self.ints([1]))  # (B, 1, T, n_features)
        for i, layer in enumerate(front.layers):
            weight = self.constant(_array(layer.weight), f"convolutions{i}.weight")
            bias = self.constant(_array(layer.bias), f"convolutions{i}.bias")
            (over_time, over_bands), pads = layer.stride, list(layer.padding) * 2
            y = self.add("Relu", self.add("Conv", x, weight, bias, strides=[over_time, over_bands], pads=pads))
            x = y if i < 2 else self.add("Add", x, y)
            if i == 1:
                lengths = self.add("Div", self.add("Add", lengths, self.ints([stride - 1])), self.ints([stride]))
            mask = self.add("Unsqueeze", self.real_frames(x, lengths, time_axis=2), self.ints([1, 3]))
            x = self.add("Where", mask, x, self.float(0.0))
        x = self.add("Transpose", x, perm=[0, 2, 3, 1])
        x = self.add("Reshape", x, self.ints([0, 0, front.projection.in_features]))
        weights = (self.constant(_array(getattr(front.norm, what)), f"norm.{what}") for what in ("weight", "bias"))
        x = self.add("LayerNormalization", x, *weights, axis=-1, epsilon=front.norm.eps)
        return self.linear(x, front.projection, "projection")

    def output_lengths(self, frame_lengths: str, out: str = "") -> str:
        """⌈lengths / stride⌉."""
        stride = self.settings.stride
        return self.add("Div", self.add("Add", frame_lengths, self.ints([stride - 1])), self.ints([stride]), out=out)

    def own_frames(self, x: str) -> str:
        """The frame that each output is of, (B, T', n_features)."""
        ends = (self.ints([value]) for value in (0, 2**62, 1, self.settings.stride))
        return self.add("Slice", x, *ends)

    def without_context(self, *outputs: str) -> tuple[list[str], str]:
        """Each (B, T', width) without the outputs of the context at either end, and the lengths of what remains.

        An empty name stays empty.
        """
        for name in ("left_context", "right_context"):
            self.constant(np.zeros(1, np.int64), name)  # an input's initial value is what it has where it is not given
        n_frames = self.add("Gather", self.add("Shape", outputs[0]), self.ints([1]), axis=0)
        n_left = self.add("Div", "left_context", self.ints([self.settings.stride]))
        last = self.add("Sub", n_frames, self.output_lengths("right_context"))
        kept = [x and self.add("Slice", x, n_left, last, self.ints([1])) for x in outputs]
        own = self.output_lengths(self.add("Sub", "lengths", "right_context"))
        return kept, self.add("Sub", own, n_left, out="output_lengths")

    def initial_states(self, x: str, index: int) -> list[str]:
        """A layer's hidden state, and an LSTM's cell state, each (directions, B, n_units), before x (T', B, width)."""
        if not index:
            self.constant(np.zeros((*self.state_shape, 1, self.settings.n_units), np.float32), "state")
            batch = self.add("Gather", self.add("Shape", x), self.ints([1]), axis=0)
            shape = self.add("Concat", self.ints([1, 1, 1]), batch, self.ints([1]), axis=0)
            self.add("Expand", "state", shape, out="states")
        layer = self.add("Gather", "states", self.int(index), axis=0)
        return [self.add("Gather", layer, self.int(i), axis=0) for i in range(self.state_shape[1])]

    def recurrent(self, x: str, lengths: str, layer: nn.Module, index: int) -> str:
        name = f"layer{index}"
        both = isinstance(layer, BidirectionalLayer)
        directions = [layer.forwards, layer.backwards] if both else [layer]
        cell, n_units = self.settings.cell, self.settings.n_units
        attributes: dict[str, Any] = {
            "hidden_size": n_units,
            "direction": "bidirectional" if both else "forward",
        }
        if cell == "gru":
            attributes["linear_before_reset"] = 1  # torch applies the reset gate after the matrix product
        elif cell == "rnn":
            attributes["activations"] = [_ACTIVATIONS[self.settings.activation]] * len(directions)
        weights = [
            self.constant(np.stack([_gates(d, what, cell) for d in directions]), f"{name}.{what}")
            for what in ("W", "R", "B")
        ]
        states = self.initial_states(x, index) if self.in_stretches else []
        y = self.add(cell.upper(), x, *weights, lengths, *states, **attributes)  # (T', directions, B, n_units)
        if self.in_stretches:
            last = [f"{name}.{what}" for what in ("h", "c")][: len(states)]  # each (directions, B, n_units)
            self.nodes[-1].output.extend(last)
            layer_and_state = self.ints([0, 1])
            each = [self.add("Unsqueeze", state, layer_and_state) for state in last]
            self.next_states.append(self.add("Concat", *each, axis=1))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        return self.add("Reshape", y, self.ints([0, 0, n_units * len(directions)]))

    def pooled(self, x: str, lengths: str) -> str:
        if self.settings.pooling == "last":
            half = self.settings.n_units  # a direction that reads backwards ends at the first frame
            last = self.frame(x, self.add("Sub", lengths, self.ints([1])))
            first = self.add("Gather", x, self.int(0), axis=0)
            forwards = self.add("Slice", last, self.ints([0]), self.ints([half]), self.ints([1]))
            backwards = self.add("Slice", first, self.ints([half]), self.ints([2 * half]), self.ints([1]))
            return self.add("Concat", forwards, backwards, axis=1)
        mask = self.real_frames(x, lengths, time_axis=0)  # (B, T')
        mask = self.add("Unsqueeze", self.add("Transpose", mask, perm=[1, 0]), self.ints([2]))  # (T', B, 1)
        time = self.ints([0])
        if self.settings.pooling == "max":
            x = self.add("Where", mask, x, self.float(-np.inf))
            return self.add("ReduceMax", x, axes=[0], keepdims=0)
        real = self.add("Where", mask, x, self.float(0.0))
        if self.settings.pooling == "multihead":
            n_heads, width = self.settings.pooling_heads, self.network.queries.in_features
            middle = self.frame(x, self.add("Div", lengths, self.ints([2])))
            queries = self.linear(middle, self.network.queries, "queries")
            queries = self.add("Reshape", queries, self.ints([0, n_heads, width]))  # (B, heads, width)
            keys = self.add("Transpose", real, perm=[1, 2, 0])  # (B, width, T')
            scores = self.add("Div", self.add("MatMul", queries, keys), self.float(math.sqrt(width)))
            mask = self.add("Transpose", mask, perm=[1, 2, 0])
            weights = self.add("Softmax", self.add("Where", mask, scores, self.float(-np.inf)), axis=-1)
            values = self.add("Transpose", real, perm=[1, 0, 2])
            return self.add("Reshape", self.add("MatMul", weights, values), self.ints([0, n_heads * width]))
        if self.settings.pooling == "mean":
            n_real = self.add("Unsqueeze", self.add("Cast", lengths, to=TensorProto.FLOAT), self.ints([1]))
            return self.add("Div", self.add("ReduceSum", real, time, keepdims=0), n_real)
        inner, _, outer = self.network.attention
        scores = self.linear(self.add("Tanh", self.linear(x, inner, "attention.inner")), outer, "attention.outer")
        weights = self.add("Softmax", self.add("Where", mask, scores, self.float(-np.inf)), axis=0)
        return self.add("ReduceSum", self.add("Mul", weights, real), time, keepdims=0)

    def activated(self, x: str, out: str = "") -> str:
        """The output layer: log-softmax, log-sigmoid, or values in the targets' own units."""
        x = self.linear(x, self.network.output, "output")
        if self.network.output_kind == "softmax":
            return self.add("LogSoftmax", x, axis=-1, out=out)
        if self.network.output_kind == "sigmoid":
            return self.add("Neg", self.add("Softplus", self.add("Neg", x)), out=out)
        scaled = self.add("Mul", x, self.constant(_array(self.network.track_scale), "track_scale"))
        return self.add("Add", scaled, self.constant(_array(self.network.track_mean), "track_mean"), out=out)

    def binned(self, x: str, own: str) -> str:
        """`Network.values`: the mean of each track's distribution around its mode, (T', B, tracks).

        Args:
            x: the last layer's, (T', B, width).
            own: the features of each output's own frame, (B, T', n_features).
        """
        n_bins, n_features = self.settings.bins, len(self.network.mean)
        x = self.linear(x, self.network.output, "output")
        y = self.add("Reshape", self.add("Transpose", own, perm=[1, 0, 2]), self.ints([-1, 1, n_features]))
        for i, layer in enumerate(self.network.peaks.layers):
            weight, bias = (self.constant(_array(getattr(layer, w)), f"peaks{i}.{w}") for w in ("weight", "bias"))
            y = self.add("Conv", self.add("Relu", y) if i else y, weight, bias, pads=list(layer.padding) * 2)
        y = self.add("MatMul", y, self.constant(_array(self.network.peaks.to_bins.weight.T), "to_bins"))
        x = self.add("Add", x, self.add("Reshape", y, self.add("Shape", x)))
        logits = self.add("Reshape", x, self.ints([0, 0, -1, n_bins]))
        numbers = self.constant(np.arange(n_bins, dtype=np.int64), "bin_numbers")
        away = self.add("Abs", self.add("Sub", numbers, self.add("ArgMax", logits, axis=-1, keepdims=1)))
        is_near = self.add("Less", away, self.ints([NEAR_BINS + 1]))
        near = self.add("Where", is_near, self.add("Softmax", logits, axis=-1), self.float(0.0))
        weighed = self.add("Mul", near, self.constant(_array(self.network.track_bins), "track_bins"))
        last = self.ints([3])
        sums = (self.add("ReduceSum", part, last, keepdims=0) for part in (weighed, near))
        return self.add("Div", *sums)

    def frame(self, x: str, index: str) -> str:
        """The frame of each utterance's own index (B,), from (T', B, width) to (B, width)."""
        width = self.add("Gather", self.add("Shape", x), self.ints([2]), axis=0)
        batch = self.add("Shape", index)
        shape = self.add("Concat", self.ints([1]), batch, width, axis=0)
        places = self.add("Expand", self.add("Unsqueeze", index, self.ints([0, 2])), shape)
        return self.add("Squeeze", self.add("GatherElements", x, places, axis=0), self.ints([0]))

    def linear(self, x: str, layer: nn.Linear, name: str) -> str:
        product = self.add("MatMul", x, self.constant(_array(layer.weight.T), f"{name}.weight"))
        return self.add("Add", product, self.constant(_array(layer.bias), f"{name}.bias"))

    def real_frames(self, x: str, lengths: str, *, time_axis: int) -> str:
        """(B, T) true where a frame is no padding."""
        n_frames = self.add("Gather", self.add("Shape", x), self.int(time_axis), axis=0)
        time = self.add("Unsqueeze", self.add("Range", self.int(0), n_frames, self.int(1)), self.ints([0]))
        return self.add("Less", time, self.add("Unsqueeze", lengths, self.ints([1])))


def _gates(layer: nn.RNNBase, what: str, cell: str) -> NDArray[np.float32]:
    """A direction's input weights W, recurrent weights R, or both biases B, in ONNX's order of gates."""
    if what == "B":
        return np.concatenate([_reordered(layer.bias_ih_l0, cell), _reordered(layer.bias_hh_l0, cell)])
    return _reordered(layer.weight_ih_l0 if what == "W" else layer.weight_hh_l0, cell)


def _reordered(parameter: torch.Tensor, cell: str) -> NDArray[np.float32]:
    gates = np.split(_array(parameter), len(_GATES[cell]))
    return np.concatenate([gates[i] for i in _GATES[cell]])


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = np.ascontiguousarray(tensor.detach().cpu().float().numpy())
    return array
