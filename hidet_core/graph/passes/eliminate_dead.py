"""Drop operators and constants that no output depends on."""

from __future__ import annotations

from dataclasses import replace

from hidet_core.graph.graph import Graph


def eliminate_dead(graph: Graph) -> Graph:
    alive, kept = set(graph.outputs), []
    for operator in reversed(graph.operators):
        if alive.intersection(operator.outputs):
            alive.update(operator.inputs)
            kept.append(operator)
    if len(kept) == len(graph.operators) and alive.issuperset(graph.constants):
        return graph
    constants = {value: array for value, array in graph.constants.items() if value in alive}
    return replace(graph, operators=tuple(reversed(kept)), constants=constants)
