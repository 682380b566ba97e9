"""Einsum of one or two operands as transposes, one matmul, and reductions.

Letters of both operands and of the result are batch, letters of both but not of the result are
contracted, letters of one operand alone that do not come out are summed first. No letter may come
twice in a term; an ellipsis is not supported.
"""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.compute.dims import Dim, product
from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op


@onnx_op("Einsum", since=12)
def einsum(ctx: Context) -> Value:
    equation = ctx.attr("equation").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not arrow:
        letters = "".join(terms)
        result = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    values = ctx.values()
    repeated = any(len(set(term)) != len(term) for term in (*terms, result))
    if "." in equation or repeated or len(terms) != len(values) or len(terms) > 2:
        ctx.fail(f"equation {equation!r} is not supported")
    if any(len(t) != v.type.rank for t, v in zip(terms, values, strict=True)):
        ctx.fail(f"equation {equation!r} does not fit its operands")
    if len(terms) == 1:
        value, term = _sum_out(ctx, values[0], terms[0], result)
        return ctx.builder.transpose(value, [term.index(c) for c in result])
    return _contract(ctx, values, terms, result)


def _sum_out(ctx: Context, value: Value, term: str, kept: str) -> tuple[Value, str]:
    """Sum over the letters that are not kept."""
    axes = tuple(k for k, letter in enumerate(term) if letter not in kept)
    if axes:
        value = ctx.emit("reduce", value, op="sum", axes=axes, keepdims=False)
    return value, "".join(letter for letter in term if letter in kept)


def _contract(ctx: Context, values: Sequence[Value], terms: Sequence[str], result: str) -> Value:
    a, left = _sum_out(ctx, values[0], terms[0], terms[1] + result)
    b, right = _sum_out(ctx, values[1], terms[1], terms[0] + result)
    batch = [c for c in result if c in left and c in right]
    inner = [c for c in left if c in right and c not in result]
    rows, columns = ([c for c in term if c not in batch + inner] for term in (left, right))
    sizes: dict[str, Dim] = {
        **dict(zip(right, b.type.shape, strict=True)),
        **dict(zip(left, a.type.shape, strict=True)),
    }
    a = ctx.builder.transpose(a, [left.index(c) for c in batch + rows + inner])
    b = ctx.builder.transpose(b, [right.index(c) for c in batch + inner + columns])
    depth, outer = product(sizes[c] for c in inner), [sizes[c] for c in batch]
    height, width = (product(sizes[c] for c in letters) for letters in (rows, columns))
    a = ctx.builder.reshape(a, (*outer, height, depth))
    b = ctx.builder.reshape(b, (*outer, depth, width))
    order = batch + rows + columns
    y = ctx.builder.reshape(ctx.emit("matmul", a, b), [sizes[c] for c in order])
    return ctx.builder.transpose(y, [order.index(c) for c in result])
