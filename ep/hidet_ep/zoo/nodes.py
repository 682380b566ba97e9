"""Writes an ONNX graph node by node, with seeded weights: what the builders of whole networks use.

`Nodes.op` adds a node and returns the name of its output; `weights` draws a parameter, scaled so
that a layer of that many inputs keeps the variance of what comes in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

IR_VERSION = 10
MICROSOFT = "com.microsoft"
Size = int | str  # a str is a symbol


class Nodes:
    """A graph being written. dtype: of its floats, "float32" or "float16"."""

    def __init__(self, name: str, seed: int, dtype: str, opset: int) -> None:
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self._counts: dict[str, int] = {}

    def input(self, name: str, shape: Sequence[Size], dtype: Any = np.int64) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The only output of a new node; an input "" is left out."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def contrib(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The first output of a new node of ONNX Runtime's own domain."""
        return self.op(kind, *inputs, domain=MICROSOFT, **attributes)

    def ops(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """The outputs of a new node."""
        label = self._fresh(kind)
        outputs = [f"{label}_{k}" if count > 1 else label for k in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=label, **attributes))
        return outputs

    def const(self, array: Any, name: str = "const") -> str:
        name = self._fresh(name)
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def tensor(self, array: Any) -> onnx.TensorProto:
        """An attribute's tensor."""
        return numpy_helper.from_array(np.asarray(array, order="C"))

    def scalar(self, number: float) -> str:
        return self.const(np.asarray(number, self.dtype), "scalar")

    def ints(self, *numbers: int) -> str:
        return self.const(np.asarray(numbers, np.int64), "ints")

    def weights(self, *shape: int, fan_in: int = 0, name: str = "weights") -> str:
        """Normal numbers of variance 1 / fan_in (default: the first dim)."""
        drawn = self.rng.standard_normal(shape, np.float32)
        drawn *= np.float32(1 / math.sqrt(fan_in or shape[0]))
        return self.const(drawn.astype(self.dtype), name)

    def vector(self, size: int, mean: float = 0.0, name: str = "vector") -> str:
        """A bias (mean 0) or a scale (mean 1)."""
        drawn = self.rng.standard_normal(size, np.float32) * np.float32(0.1)
        return self.const((drawn + np.float32(mean)).astype(self.dtype), name)

    def model(self, outputs: dict[str, tuple[str, Sequence[Size]]]) -> onnx.ModelProto:
        """outputs: name -> (value, shape)."""
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        infos = []
        for name, (value, shape) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name], name=f"give_{name}"))
            infos.append(helper.make_tensor_value_info(name, kind, shape))
        graph = helper.make_graph(self.nodes, self.name, self.inputs, infos, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        if any(node.domain == MICROSOFT for node in self.nodes):
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _fresh(self, name: str) -> str:
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return f"{name}_{count}"
