"""Caches that grow: what is given and what is new become an output of the graph in one kernel.

    present = concat(past, new)  ->  present = append(past, new)     past an input of the graph,
                                                                     present an output of it

A concat would copy the past in a kernel of its own, and keep the order of axes of what is new.
"""

from __future__ import annotations

from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value


def append_caches(graph: Graph) -> Graph:
    inputs, outputs = set(graph.inputs), set(graph.outputs)

    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        if operator.op.name != "concat" or len(operator.inputs) != 2:
            return None
        past, new = operator.inputs
        if past not in inputs or new in inputs or operator.output not in outputs:
            return None
        return builder.emit("append", past, new, axis=operator.attrs["axis"])

    return rewrite_graph(graph, rule)
