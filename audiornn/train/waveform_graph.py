"""A model file that takes samples: the features become part of the graph, for runtimes where this package is not.

    input   `waveform` (samples,) float32 in −1…1, mono, at `sample_rate`
    outputs `log_probs` (output frames, symbols), or (labels,) of a classifier; and what a listener must know:
            `symbols` (their names; the first is CTC's blank where there is one), `sample_rate` in Hz, and
            `seconds_per_frame` from an output frame to the next; the first is centred on the first sample

Everything is an ONNX operator of version 17. The transform is a product with a matrix of sines and cosines in double
precision, for the reason that `features` gives.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from audiornn.features import (
    DELTA_WIDTH,
    POWER_FLOOR,
    FeatureSettings,
    dct_matrix,
    delta_weights,
    lag_matrix,
    mel_filters,
    mel_widths,
    window,
)
from audiornn.model_file import WAVEFORM_KEY, ModelCard, open_model_file
from audiornn.train.onnx_graph import GraphBuilder, write_model

__all__ = ["write_waveform_model"]


def write_waveform_model(source: Path, path: Path) -> None:
    """Write a model file's graph anew with the features in it.

    Raises:
        ModelFileError: the source is no model file.
    """
    _, card = open_model_file(source)
    model = onnx.load(source)
    graph = _Graph(card.features, model.graph).build(card)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    write_model(path, graph, {WAVEFORM_KEY: card.to_json()}, opsets=opsets, ir_version=model.ir_version)


class _Graph(GraphBuilder):
    """The nodes that make features of a waveform, in front of those of a model."""

    def __init__(self, settings: FeatureSettings, listening: onnx.GraphProto) -> None:
        super().__init__("waveform_")
        self.settings = settings
        self.listening = listening

    def build(self, card: ModelCard) -> onnx.GraphProto:
        features, n_frames = self.static_features()
        if self.settings.deltas:
            features = self.with_deltas(features, n_frames)
        # The model's inputs become results of these nodes. Its others, a stream's, keep what they have when not given.
        self.add("Unsqueeze", features, self.ints([0]), out="features")
        self.add("Identity", n_frames, out="lengths")
        for node in self.listening.node:
            self.nodes.append(node)
            for i, name in enumerate(node.output):
                if name == "log_probs":
                    node.output[i] = "batch_log_probs"
        self.add("Squeeze", "batch_log_probs", self.ints([0]), out="log_probs")
        told = {
            "symbols": (np.array(card.vocabulary.symbols, object), TensorProto.STRING),
            "sample_rate": (np.array([self.settings.sample_rate], np.int64), TensorProto.INT64),
            "seconds_per_frame": (np.array([card.output_seconds], np.float32), TensorProto.FLOAT),
        }
        for name, (value, _) in told.items():
            self.add("Constant", value=numpy_helper.from_array(value, name), out=name)
        n_symbols = len(card.vocabulary)
        shape = [n_symbols] if card.task == "classify" else ["output_frames", n_symbols]
        return helper.make_graph(
            self.nodes,
            "audiornn_waveform",
            [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["samples"])],
            [
                helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, shape),
                *(helper.make_tensor_value_info(name, kind, list(value.shape)) for name, (value, kind) in told.items()),
            ],
            [*self.listening.initializer, *self.initializers],
        )

    def static_features(self) -> tuple[str, str]:
        """Log-mel frames, cepstra or autocorrelation, (frames, coefficients), and how many frames, (1,)."""
        s = self.settings
        half = s.n_fft // 2
        n_samples = self.add("Shape", "waveform")
        n_hops = self.add("Div", self.add("Add", n_samples, self.ints([2 * half - s.n_fft])), self.ints([s.hop_length]))
        n_frames = self.add("Add", n_hops, self.ints([1]))
        scalar = self.add("Squeeze", n_frames)
        count = self.add("Range", self.int(0), scalar, self.int(1))
        starts = self.add("Mul", self.add("Unsqueeze", count, self.ints([1])), self.ints([s.hop_length]))
        samples = self.add("Cast", "waveform", to=TensorProto.DOUBLE)
        padded = self.add("Pad", samples, self.ints([half, half]))
        frames = self.add("Gather", padded, self.add("Add", starts, self.constant(np.arange(s.n_fft, dtype=np.int64))))
        angles = 2 * np.pi / s.n_fft * np.outer(np.arange(s.n_fft), np.arange(1 + half))
        wave = window(s)[:, None]
        parts = [self.add("MatMul", frames, self.constant(wave * f(angles))) for f in (np.cos, np.sin)]
        power = self.add("Add", *(self.add("Mul", part, part) for part in parts))
        mel = self.add("MatMul", self.add("Cast", power, to=TensorProto.FLOAT), self.constant(mel_filters(s)))
        floored = self.add("Max", mel, self.float(POWER_FLOOR))
        decibels = self.add("Mul", self.add("Log", floored), self.float(10 / math.log(10)))
        if s.kind == "mfcc":
            return self.add("MatMul", decibels, self.constant(dct_matrix(s.n_mels, s.n_mfcc))), n_frames
        if s.kind == "autocorrelation":
            loudest = self.add("ReduceMax", decibels, axes=[1], keepdims=1)
            bels = self.add("Div", self.add("Sub", decibels, loudest), self.float(10))
            power = self.add("Pow", self.float(10), bels)
            at_lags, whole = (
                self.add("MatMul", power, self.constant(matrix)) for matrix in (lag_matrix(s), mel_widths(s)[:, None])
            )
            level = self.add("Mul", self.add("Log", whole), self.float(10 / math.log(10)))
            level = self.add("Add", loudest, level)
            return self.add("Concat", level, self.add("Div", at_lags, whole), axis=1), n_frames
        return decibels, n_frames

    def with_deltas(self, static: str, n_frames: str) -> str:
        """What `features.append_deltas` does: windows of nine frames, moved inside at either end."""
        half = DELTA_WIDTH // 2
        last = self.add("Sub", n_frames, self.ints([1]))
        zero = self.int(0)
        count = self.add(
            "Unsqueeze", self.add("Range", zero, self.add("Squeeze", n_frames), self.int(1)), self.ints([1])
        )
        offsets = self.constant(np.arange(DELTA_WIDTH, dtype=np.int64) - half)
        inside = self.add("Max", self.add("Min", count, self.add("Sub", last, self.ints([half]))), self.ints([half]))
        repeated = self.add("Max", self.add("Min", self.add("Add", count, offsets), last), self.ints([0]))
        short = self.add("Less", n_frames, self.ints([DELTA_WIDTH]))
        places = self.add("Where", short, repeated, self.add("Add", inside, offsets))
        neighbours = self.add("Gather", static, self.add("Min", places, last))  # (frames, 9, coefficients)
        neighbours = self.add("Transpose", neighbours, perm=[0, 2, 1])
        parts = [static]
        for derivative in range(1, self.settings.deltas + 1):
            weights = self.constant(delta_weights(derivative).astype(np.float32)[:, None])
            parts.append(self.add("Squeeze", self.add("MatMul", neighbours, weights), self.ints([2])))
        return self.add("Concat", *parts, axis=1)
