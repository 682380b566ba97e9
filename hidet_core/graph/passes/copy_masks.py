"""Give every attention its own copy of what computes a small mask, which its kernel then computes.

m = mul(cast(x), c); attention(.., m); attention(.., m)
    ->  m = mul(cast(x), c); n = mul(cast(x), c); attention(.., m); attention(.., n)

Shared by several layers a mask is a kernel of its own; a few operations for each key, once a tile
of keys, are cheaper than a launch. Only masks with one row for all queries, made of inputs and
constants. Comes after eliminate_common, which does the opposite.
"""

from __future__ import annotations

from hidet_core.graph.builder import GraphBuilder, continued, replace_inputs
from hidet_core.graph.graph import Graph, Operator, Value, consumers, producers
from hidet_core.ir.expr import is_const

CHEAP = ("reshape", "cast", "sub", "mul", "add", "where", "not", "broadcast_to", "transpose",
         "eq", "lt", "le", "gt", "ge", "and", "or", "range")  # fmt: skip
MAX_OPERATORS = 8


def copy_masks(graph: Graph) -> Graph:
    readers, made = consumers(graph), producers(graph)
    builder = continued(graph, fold=False)
    seen: set[Value] = set()
    for operator in graph.operators:
        mask = operator.inputs[3] if _has_mask(operator) else None
        if mask is not None and mask in made and mask not in graph.outputs:
            chain = _chain(graph, mask, made) if _is_row(mask) else None
            shared = any(not _has_mask(reader) for reader in readers[mask])
            if chain is not None and not shared:
                copy = _copied(builder, chain, mask) if mask in seen else mask
                seen.add(mask)
                operator = replace_inputs(operator, {mask: copy})
        builder.append(operator)
    if tuple(builder.operators) == graph.operators:
        return graph
    return builder.build(graph.inputs, graph.outputs, graph.output_names, graph.symbols)


def _has_mask(operator: Operator) -> bool:
    return operator.op.name == "attention" and len(operator.inputs) > 3


def _is_row(mask: Value) -> bool:
    """Whether all queries have the same mask."""
    return mask.type.rank < 2 or is_const(mask.type.shape[-2], 1)


def _chain(graph: Graph, mask: Value, made: dict[Value, Operator]) -> list[Operator] | None:
    """The operators that make a mask of inputs and constants, in order; None if they are dear."""
    found: dict[Operator, None] = {}
    waiting = [mask]
    while waiting:
        value = waiting.pop()
        operator = made.get(value)
        if operator is None or operator in found:
            continue
        if operator.op.name not in CHEAP or len(found) == MAX_OPERATORS:
            return None
        found[operator] = None
        waiting.extend(operator.inputs)
    place = {operator: k for k, operator in enumerate(graph.operators)}
    return sorted(found, key=lambda operator: place[operator])


def _copied(builder: GraphBuilder, chain: list[Operator], mask: Value) -> Value:
    mapping: dict[Value, Value] = {}
    for operator in chain:
        inputs = (mapping.get(value, value) for value in operator.inputs)
        mapping[operator.output] = builder.emit(
            operator.op.name, *inputs, name=operator.name, **operator.attrs
        )
    return mapping[mask]
