"""Rotary position embedding written out in primitives becomes one operator.

    h = concat(neg(slice(x, n:)), slice(x, :n)); add(mul(x, cos), mul(h, sin))
        ->  rotary(x, cos, sin)                      halves (rotate_half)

    h = reshape(concat(neg(slice(x, 1::2)), slice(x, ::2)), ..); add(mul(x, cos), mul(h, sin))
        ->  rotary(x, cos, sin, interleaved)         neighbours (rotate_every_two)

    concat(rotary(slice(x, :n), cos, sin), slice(x, n:))  ->  rotary(x, cos, sin)

along the last axis, of which cos and sin have as many elements as x. Then nothing is sliced and
joined in memory, and queries are turned where attention reads them.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.dims import same_shape
from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.ir.expr import is_const

PARTS = ("rotary", "slice")


def fuse_rotary(graph: Graph) -> Graph:
    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        if operator.op.name == "concat":
            return _Matcher(builder).in_part(operator)
        return _Matcher(builder).rotary(operator) if operator.op.name == "add" else None

    return rewrite_graph(graph, rule)


class _Matcher:
    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder

    def _made(self, value: Value, name: str) -> Operator | None:
        made = self.builder.producer.get(value)
        return made if made is not None and made.op.name == name else None

    def rotary(self, add: Operator) -> Value | None:
        """The rotary that a sum of two products is."""
        products = [self._made(value, "mul") for value in add.inputs]
        if products[0] is None or products[1] is None:
            return None
        for plain, turned in (products, products[::-1]):
            for half, sin in (turned.inputs, turned.inputs[::-1]):
                found = self._source(half)
                if found is None or found[0] not in plain.inputs:
                    continue
                x, interleaved = found
                at = plain.inputs.index(x)
                rotary = self._emit(x, plain.inputs[1 - at], sin, interleaved)
                if rotary is not None:
                    return rotary
        return None

    def in_part(self, concat: Operator) -> Value | None:
        """The rotary of some of the elements of a row, joined to the others."""
        if len(concat.inputs) != 2 or concat.attrs["axis"] != concat.output.type.rank - 1:
            return None
        turned, other = (self._made(*pair) for pair in zip(concat.inputs, PARTS, strict=True))
        if turned is None or other is None:
            return None
        first, x = self._made(turned.inputs[0], "slice"), other.inputs[0]
        if first is None or first.inputs[0] is not x:
            return None
        if not same_shape(concat.output.type.shape, x.type.shape):
            return None
        width = first.output.type.shape[-1]
        ends = [(cut.attrs["starts"][:-1], cut.attrs["starts"][-1]) for cut in (first, other)]
        plain = all(set(cut.attrs["steps"]) == {1} for cut in (first, other))
        plain = plain and all(is_const(n, 0) for front, _ in ends for n in front)
        if not plain or not is_const(ends[0][1], 0) or not is_const(width, ends[1][1]):
            return None
        return self.builder.emit("rotary", x, *turned.inputs[1:], **turned.attrs)

    def _emit(self, x: Value, cos: Value, sin: Value, interleaved: bool) -> Value | None:
        attrs = {"interleaved": interleaved, "whole": True}
        try:
            result = self.builder.emit("rotary", x, cos, sin, **attrs)
        except Unsupported:  # cos or sin is larger than x, or one number
            return None
        is_whole = is_const(x.type.shape[-1], cos.type.shape[-1])
        return result if is_whole and same_shape(result.type.shape, x.type.shape) else None

    def _source(self, half: Value) -> tuple[Value, bool] | None:
        """x of its rotated halves, or of its rotated neighbours (and which)."""
        view = self._made(half, "reshape")
        joined = self._made(view.inputs[0] if view is not None else half, "concat")
        if joined is None or len(joined.inputs) != 2:
            return None
        if joined.attrs["axis"] != joined.output.type.rank - 1:
            return None
        second, first = joined.inputs
        parts = [self._part(second, negated=True), self._part(first)]
        if parts[0] is None or parts[1] is None or parts[0][0] is not parts[1][0]:
            return None
        x = parts[0][0]
        width = x.type.shape[-1]
        if not isinstance(width, int) or width % 2 or not same_shape(half.type.shape, x.type.shape):
            return None
        ends = (parts[0][1:], parts[1][1:])
        if view is None and ends == ((width // 2, 1), (0, 1)):
            return x, False
        is_pair = is_const(joined.output.type.shape[-1], 2)
        return (x, True) if view is not None and is_pair and ends == ((1, 2), (0, 2)) else None

    def _part(self, value: Value, negated: bool = False) -> tuple[Value, int, int] | None:
        """(x, start, step) of half of the last axis, maybe with a dim of 1 behind."""
        view = self._made(value, "reshape")
        if view is not None and same_shape(view.output.type.shape, (*view.inputs[0].type.shape, 1)):
            value = view.inputs[0]
        if negated:
            negative = self._made(value, "neg")
            if negative is None:
                return None
            value = negative.inputs[0]
        cut = self._made(value, "slice")
        if cut is None:
            return None
        x, (starts, steps) = cut.inputs[0], (cut.attrs[key] for key in ("starts", "steps"))
        whole = zip(x.type.shape[:-1], cut.output.type.shape[:-1], starts, steps, strict=False)
        if not all(same_shape((a,), (b,)) and is_const(s, 0) and n == 1 for a, b, s, n in whole):
            return None
        width = x.type.shape[-1]
        is_half = isinstance(width, int) and is_const(cut.output.type.shape[-1], width // 2)
        return (x, starts[-1], steps[-1]) if is_half else None
