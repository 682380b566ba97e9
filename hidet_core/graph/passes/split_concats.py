"""Apply elementwise operators to the parts of a concat, whose producers can absorb them.

relu(concat(x, y))  ->  concat(relu(x), relu(y))        where nothing else reads the concat
"""

from __future__ import annotations

from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value, use_counts


def split_concats(graph: Graph) -> Graph:
    uses = use_counts(graph)

    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        whole = operator.inputs[0] if operator.inputs else None
        if (
            operator.output not in uses
            or not operator.op.elementwise
            or whole is None
            or uses.get(whole) != 1
        ):
            return None
        scalars = operator.inputs[1:]
        if any(v not in builder.constants or builder.constants[v].ndim for v in scalars):
            return None
        concat = builder.producer.get(whole)
        if concat is None or concat.op.name != "concat":
            return None
        name, attrs = operator.op.name, operator.attrs
        parts = [builder.emit(name, part, *scalars, **attrs) for part in concat.inputs]
        joined = builder.emit("concat", *parts, name=concat.name, **concat.attrs)
        uses[joined] = uses[operator.output]
        return joined

    return rewrite_graph(graph, rule)
