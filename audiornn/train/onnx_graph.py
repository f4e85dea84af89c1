"""An ONNX graph, built node by node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from audiornn.files import write_atomically

__all__ = ["GraphBuilder", "write_model"]


class GraphBuilder:
    """Nodes and constants of one graph; each method gives the name of its result.

    Args:
        prefix: of names that nobody else gives, where the nodes are to stand beside those of another graph.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def add(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """A node of one output."""
        n = len(self.nodes)
        name = out or f"{self.prefix}{operator}_{n}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=f"{self.prefix}node_{n}", **attributes))
        return name

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """An array that the nodes share."""
        name = name or f"{self.prefix}constant_{len(self.constants)}"
        self.constants[name] = value
        return name

    def ints(self, values: list[int]) -> str:
        """Whole numbers, (values,)."""
        return self.constant(np.array(values, np.int64), f"{self.prefix}ints_" + "_".join(map(str, values)))

    def int(self, value: int) -> str:
        """A whole number, without a shape."""
        return self.constant(np.array(value, np.int64), f"{self.prefix}int_{value}")

    def float(self, value: float) -> str:
        """A number, without a shape."""
        return self.constant(np.array(value, np.float32), f"{self.prefix}float_{value}")

    @property
    def initializers(self) -> list[onnx.TensorProto]:
        """The constants, as a graph holds them."""
        return [numpy_helper.from_array(value, name) for name, value in self.constants.items()]


def write_model(
    path: Path, graph: onnx.GraphProto, metadata: Mapping[str, str], *, opsets: Mapping[str, int], ir_version: int
) -> None:
    """Write a graph as a checked model; the file is replaced as a whole or not at all."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*entry) for entry in opsets.items()],
        ir_version=ir_version,
        producer_name="audiornn",
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    with write_atomically(path) as out:
        out.write(model.SerializeToString(deterministic=True))
