"""Compute equal things once: operators with equal inputs and attributes, and equal constants.

a = op(x, k=1); b = op(x, k=1)   ->   a for both
"""

from __future__ import annotations

import numpy as np

from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value, attr_text

SMALL_BYTES = 1 << 14


def eliminate_common(graph: Graph) -> Graph:
    known: dict[tuple, Value] = {}
    same: dict[Value, Value] = {}
    by_content: dict[tuple, Value] = {}
    for value, array in graph.constants.items():
        same[value] = by_content.setdefault(_content(array), value)

    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        inputs = tuple(same.get(value, value) for value in operator.inputs)
        attrs = tuple((key, attr_text(value)) for key, value in sorted(operator.attrs.items()))
        key = (operator.op.name, inputs, attrs)
        if key in known:
            return known[key]
        if inputs == operator.inputs:
            known[key] = operator.output
            return None
        known[key] = builder.emit(operator.op.name, *inputs, **operator.attrs)
        return known[key]

    return rewrite_graph(graph, rule, fold=False)


def _content(array: np.ndarray) -> tuple:
    """Equal keys only for equal arrays; large ones are equal only if they are the same memory."""
    if array.nbytes <= SMALL_BYTES:
        return array.dtype.str, array.shape, array.tobytes()
    address = array.__array_interface__["data"][0]
    return array.dtype.str, array.shape, array.strides, address
