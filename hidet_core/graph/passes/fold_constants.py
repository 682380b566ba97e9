"""Evaluate operators whose inputs are all constants.

op(const, ...)  ->  const       transposes, reshapes and broadcasts become views, not copies
"""

from __future__ import annotations

from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.graph.reference import fold_operator

MOST_ELEMENTS = 1 << 28


def fold_constants(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    size = operator.output.type.size
    if not operator.inputs or any(value not in builder.constants for value in operator.inputs):
        return None
    if not isinstance(size, int) or size > MOST_ELEMENTS:
        return None
    array = fold_operator(operator, builder.constants)
    return builder.constant(
        array, operator.inputs[0].name if len(operator.inputs) == 1 else "folded"
    )
