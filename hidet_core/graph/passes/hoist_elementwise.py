"""Put elementwise operators right behind what they read.

g = matmul(x, a); u = matmul(x, b); s = silu(g); y = mul(s, u)
    ->  g = matmul(x, a); s = silu(g); u = matmul(x, b); y = mul(s, u)

A product absorbs what follows it only where its other operands are there before it. So the gate of
a SwiGLU is done when the other product begins, which then stores y itself; else y would be computed
where the next product reads it, once for each tile. For the same reason both products are not
merged into one, as queries, keys and values are.
"""

from __future__ import annotations

from dataclasses import replace

from hidet_core.graph.graph import Graph, Operator, Value, consumers


def hoist_elementwise(graph: Graph) -> Graph:
    readers, place = consumers(graph), {op: k for k, op in enumerate(graph.operators)}
    made = {value for operator in graph.operators for value in operator.outputs}
    there: set[Value] = {v for op in graph.operators for v in op.inputs if v not in made}
    order: dict[Operator, None] = {}
    for operator in graph.operators:
        waiting = [operator]
        while waiting:
            waiting.sort(key=place.__getitem__, reverse=True)
            current = waiting.pop()
            if current in order:
                continue
            order[current] = None
            there.update(current.outputs)
            followers = (op for value in current.outputs for op in readers.get(value, ()))
            waiting += [op for op in followers if op.op.elementwise and there.issuperset(op.inputs)]
    operators = tuple(order)
    return graph if operators == graph.operators else replace(graph, operators=operators)
