"""Give every output of the graph an operator of its own.

An output that is an input, a constant, or the same value as an earlier output becomes a copy:

    return a=%x, b=%x   ->   %y = identity(%x); return a=%x, b=%y
"""

from __future__ import annotations

from hidet_core.graph.builder import continued
from hidet_core.graph.graph import Graph, Value


def separate_outputs(graph: Graph) -> Graph:
    taken: set[Value] = {*graph.inputs, *graph.constants}
    if len(set(graph.outputs)) == len(graph.outputs) and not taken & set(graph.outputs):
        return graph
    builder, outputs = continued(graph, fold=False), []
    for operator in graph.operators:
        builder.append(operator)
    for value in graph.outputs:
        value = builder.emit("identity", value) if value in taken else value
        taken.add(value)
        outputs.append(value)
    return builder.build(graph.inputs, outputs, graph.output_names, graph.symbols)
