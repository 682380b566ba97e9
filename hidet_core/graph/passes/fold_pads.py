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
    pad, perm = builder.producer.get(operator.inputs[0]), (0, 1, 2, 3)
    if pad is not None and pad.op.name == "transpose":
        pad, perm = builder.producer.get(pad.inputs[0]), pad.attrs["perm"]
    if pad is None or pad.op.name != "pad" or pad.attrs["mode"] != "constant":
        return None
    before, after = ([pad.attrs[side][axis] for axis in perm] for side in ("before", "after"))
    if (
        pad.attrs["value"] != operator.attrs.get("pad_value", 0)
        or before[0]
        or before[3]
        or after[0]
        or after[3]
    ):
        return None
    extra = (before[1], before[2], after[1], after[2])
    pads = tuple(a + b for a, b in zip(operator.attrs["pads"], extra, strict=True))
    inputs = (builder.transpose(pad.inputs[0], perm), operator.inputs[1])
    name = join_names(pad.name, operator.name)
    return builder.emit("conv2d", *inputs, name=name, **{**operator.attrs, "pads": pads})
