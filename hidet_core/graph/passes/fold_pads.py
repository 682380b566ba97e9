"""Fold explicit zero padding into the convolution that reads it.

conv2d(pad(x, before=(0, t, l, 0), after=(0, b, r, 0), 0.0), w, pads=p)
    ->  conv2d(x, w, pads=p + (t, l, b, r))
"""

from __future__ import annotations

from hidet_core.graph.builder import GraphBuilder, join_names, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value


def fold_pads(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    if operator.op.name != "conv2d":
        return None
    pad = builder.producer.get(operator.inputs[0])
    if pad is None or pad.op.name != "pad" or not _is_zero_border(pad):
        return None
    (_, top, left, _), (_, bottom, right, _) = pad.attrs["before"], pad.attrs["after"]
    extra = (top, left, bottom, right)
    pads = tuple(a + b for a, b in zip(operator.attrs["pads"], extra, strict=True))
    name = join_names(pad.name, operator.name)
    attrs = {**operator.attrs, "pads": pads}
    return builder.emit("conv2d", pad.inputs[0], operator.inputs[1], name=name, **attrs)


def _is_zero_border(pad: Operator) -> bool:
    """Whether only H and W are padded, with zeros."""
    before, after = pad.attrs["before"], pad.attrs["after"]
    outer = (before[0], before[-1], after[0], after[-1])
    return pad.attrs["mode"] == "constant" and pad.attrs["value"] == 0 and not any(outer)
