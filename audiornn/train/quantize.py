"""A model file with weights in eight bits: a third of the size, or less.

An LSTM's products are computed in eight bits too (onnxruntime's DynamicQuantizeLSTM), in half of the time, by a scale
of each call's input: a stream's blocks make a difference, which in float32 they do not. ONNX has no
such operator for the other cells: their weights, like those of every other matrix product, are kept in eight bits and
unpacked when the file is loaded, which saves size only, and runs in any ONNX runtime. Convolutions are small and come
first, where an error costs most; they stay as they are. On AN4's dev that halves the error of quantising everything.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from audiornn.errors import ModelFileError
from audiornn.files import write_atomically
from audiornn.model_file import open_model_file

__all__ = ["quantize_int8"]

_LEAST_WEIGHTS = 1024  # a smaller matrix is not worth a scale for each of its rows


def quantize_int8(source: Path, path: Path) -> None:
    """Write a model file anew with int8 weights, a scale for each row of each matrix.

    Raises:
        ModelFileError: the source is no model file, or is int8 already.
    """
    open_model_file(source)
    model = onnx.load(source)
    if any(tensor.data_type == onnx.TensorProto.INT8 for tensor in model.graph.initializer):
        raise ModelFileError(f"{source}: its weights are int8 already")
    if any(node.op_type == "LSTM" for node in model.graph.node):
        model = _dynamic(source)
    _keep_in_int8(model)
    onnx.checker.check_model(model)
    with write_atomically(path) as out:
        out.write(model.SerializeToString(deterministic=True))


def _dynamic(source: Path) -> onnx.ModelProto:
    import logging

    # `quantize_int8` has opened the model before, which tells onnxruntime to report to nobody.
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # it recommends a preparation that our graph does not need
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "int8.onnx"
            quantize_dynamic(source, made, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["LSTM"])
            return onnx.load(made)
    finally:
        root.setLevel(before)


def _keep_in_int8(model: onnx.ModelProto) -> None:
    """Store matrices as rows of int8, and unpack them by nodes that are folded at loading."""
    graph = model.graph
    left_alone = {value.name for value in graph.input}
    left_alone |= {name for node in graph.node if node.op_type == "Conv" for name in node.input}
    unpacking = []
    for weights in list(graph.initializer):
        values = numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST_WEIGHTS or weights.name in left_alone:
            continue
        rows, scales = _rows_in_int8(values.reshape(-1, values.shape[-1]))
        name = weights.name
        graph.initializer.remove(weights)
        graph.initializer.extend(
            [
                numpy_helper.from_array(rows, f"{name}.int8"),
                numpy_helper.from_array(scales, f"{name}.scales"),
                numpy_helper.from_array(np.array(values.shape, np.int64), f"{name}.shape"),
            ]
        )
        unpacking += [
            helper.make_node(
                "DequantizeLinear", [f"{name}.int8", f"{name}.scales"], [f"{name}.rows"], f"unpack_{name}", axis=0
            ),
            helper.make_node("Reshape", [f"{name}.rows", f"{name}.shape"], [name], f"shape_{name}"),
        ]
    nodes = [*unpacking, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _rows_in_int8(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Each row as whole multiples of its own scale."""
    scales = np.maximum(np.abs(rows).max(axis=1), 1e-12).astype(np.float32) / 127
    return np.rint(rows / scales[:, None]).astype(np.int8), scales
