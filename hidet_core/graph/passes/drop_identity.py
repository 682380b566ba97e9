"""Drop operators that hand on their input, and merge views of views.

identity(x), concat(x), cast to x's dtype, slice of all, pad by nothing   ->  x
transpose(transpose(x, p), q)  ->  transpose(x, p of q)      (x itself if that is in order)
reshape(reshape(x))            ->  reshape(x)                (x itself if the shape is x's)
"""

from __future__ import annotations

from hidet_core.compute.dims import same_shape
from hidet_core.compute.types import same_type
from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.ir.expr import is_const


def drop_identity(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    if operator.op.name in ("transpose", "reshape"):
        return _merge_views(builder, operator)
    if operator.op.name == "upsample":
        return _merge_upsamples(builder, operator)
    return operator.inputs[0] if operator.inputs and _is_identity(operator) else None


def _is_identity(operator: Operator) -> bool:
    attrs, source, result = operator.attrs, operator.inputs[0].type, operator.output.type
    match operator.op.name:
        case "identity":
            return True
        case "cast" | "broadcast_to" | "tile":
            return same_type(source, result)
        case "concat":
            return len(operator.inputs) == 1
        case "pad":
            return not any((*attrs["before"], *attrs["after"]))
        case "slice":
            plain = all(is_const(n, 0) for n in attrs["starts"]) and set(attrs["steps"]) <= {1}
            return plain and same_shape(source.shape, result.shape)
    return False


def _merge_views(builder: GraphBuilder, operator: Operator) -> Value | None:
    (source,) = operator.inputs
    earlier = builder.producer.get(source)
    merges = earlier is not None and earlier.op is operator.op
    if operator.op.name == "reshape":
        origin = earlier.inputs[0] if merges and earlier else source
        if not merges and not same_shape(origin.type.shape, operator.output.type.shape):
            return None
        return builder.reshape(origin, operator.output.type.shape)
    perm = operator.attrs["perm"]
    if merges and earlier:
        return builder.transpose(earlier.inputs[0], [earlier.attrs["perm"][k] for k in perm])
    return source if perm == tuple(range(len(perm))) else None


def _merge_upsamples(builder: GraphBuilder, operator: Operator) -> Value | None:
    earlier, scales = builder.producer.get(operator.inputs[0]), operator.attrs["scales"]
    if earlier is None or earlier.op is not operator.op:
        return operator.inputs[0] if set(scales) == {1} else None
    both = tuple(a * b for a, b in zip(earlier.attrs["scales"], scales, strict=True))
    return builder.emit("upsample", earlier.inputs[0], scales=both)
