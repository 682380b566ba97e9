"""The reference: operators and graphs evaluated with NumPy from their definitions; constant
folding uses it too."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.evaluate import Symbols, dim_value, evaluate
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Var

from .graph import Graph, Operator, Value

Arrays = Mapping[Value, np.ndarray]


def evaluate_operator(
    operator: Operator, arrays: Arrays, symbols: Symbols | None = None, wide: bool = False
) -> list[np.ndarray]:
    """The arrays of an operator's outputs."""
    op = operator.op
    if op.define is None:
        assert op.reference is not None, "the registry saw to it"
        return [op.reference([arrays[value] for value in operator.inputs], operator.attrs)]
    buffers = tuple(Buffer(v.name, v.type.dtype, v.type.shape) for v in operator.inputs)
    types = tuple(value.type for value in operator.outputs)
    definitions = op.define(buffers, types, operator.attrs)
    inputs = {b: arrays[v] for b, v in zip(buffers, operator.inputs, strict=True)}
    results = evaluate(definitions, inputs, symbols, wide)
    return [results[definition.out] for definition in definitions[-len(types) :]]


def fold_operator(operator: Operator, constants: Arrays) -> np.ndarray:
    """The array of the output of an operator of constants; a view where the operator is one."""
    arrays = [constants[value] for value in operator.inputs]
    match operator.op.name:
        case "identity":
            return arrays[0]
        case "transpose":
            return np.transpose(arrays[0], operator.attrs["perm"])
        case "reshape":
            return arrays[0].reshape(operator.outputs[0].type.shape)
        case "broadcast_to":
            return np.broadcast_to(arrays[0], operator.outputs[0].type.shape)
        case "matmul" if operator.outputs[0].type.dtype == f32:
            return np.matmul(arrays[0], arrays[1])
    return evaluate_operator(operator, constants)[0]


def run_graph(
    graph: Graph, feeds: Mapping[str, np.ndarray], wide: bool = True
) -> dict[str, np.ndarray]:
    """The outputs by ONNX name; symbols take their values from the shapes of the inputs."""
    arrays: dict[Value, np.ndarray] = dict(graph.constants)
    symbols: dict[Var, int] = {}
    for value in graph.inputs:
        arrays[value] = np.asarray(feeds[value.name])
        _bind_symbols(value, arrays[value], symbols)
    for value in graph.inputs:
        _check_shape(value, arrays[value], symbols)
    for operator in graph.operators:
        results = evaluate_operator(operator, arrays, symbols, wide)
        arrays.update(zip(operator.outputs, results, strict=True))
    return {
        name: arrays[value] for name, value in zip(graph.output_names, graph.outputs, strict=True)
    }


def _bind_symbols(value: Value, array: np.ndarray, symbols: dict[Var, int]) -> None:
    """Symbols that are the whole size of an axis."""
    if array.ndim != value.type.rank:
        raise CompilerBug("reference", f"input {value} was given shape {list(array.shape)}")
    for dim, size in zip(value.type.shape, array.shape, strict=True):
        if isinstance(dim, Var):
            symbols.setdefault(dim, size)


def _check_shape(value: Value, array: np.ndarray, symbols: dict[Var, int]) -> None:
    if array.shape != tuple(dim_value(dim, symbols) for dim in value.type.shape):
        raise CompilerBug("reference", f"input {value} was given shape {list(array.shape)}")
