"""A row picked by a constant index is a slice: an index map, where a gather looks its index up.

gather(x, c, axis=k)  ->  reshape(slice(x, starts[k]=c, sizes[k]=1))

c is one constant index, x's size along k is static.

Exporters take q, k and v apart so: qkv[0], qkv[1], qkv[2] of one tensor.
"""

from __future__ import annotations

from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value


def pick_slices(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    if operator.op.name != "gather" or operator.inputs[0] in builder.constants:
        return None
    x, indices = operator.inputs
    array = builder.constants.get(indices)
    if array is None or array.size != 1:
        return None
    axis, index = operator.attrs["axis"], int(array.reshape(()))
    size = x.type.shape[axis]
    if not isinstance(size, int) or not -size <= index < size:
        return None  # a gather clamps an index that a size at run time does not reach
    starts, sizes = [0] * x.type.rank, list(x.type.shape)
    starts[axis], sizes[axis] = index % size, 1
    steps = (1,) * x.type.rank
    row = builder.emit("slice", x, starts=tuple(starts), steps=steps, sizes=tuple(sizes))
    return builder.reshape(row, operator.output.type.shape)
