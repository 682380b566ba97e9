"""attention(q[..., Sq, D], k[..., Sk, D], v[..., Sk, Dv], mask?): softmax(scores) times v.

    scores = scale * q k^T, in f32 for narrower floats        result: [..., Sq, Dv]

mask broadcasts to the scores: floats are added to them; a bool says which are kept, the others
become `fill`. attrs: scale; causal (key j is seen by query i if j - i <= Sk - Sq, other scores are
-inf); fill; zero_nan (a row of probabilities that would be NaN, as where no key is seen, is 0).
Optional ones: softcap (scores become softcap * tanh(score / softcap) before the mask); left (keys
with i + Sk - Sq - j > left are not seen). Batch dims broadcast as in matmul: heads of queries that
share keys are a batch dim of q that is 1 in k and v.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import same_dim
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import DType, f32
from hidet_core.ir.expr import Buffer, Expr, cast, is_const, load, select, unary

from .elementwise import broadcast_load, broadcast_shapes
from .registry import Attrs, Types, operator


def score_dtype(dtype: DType) -> DType:
    """What scores and sums are computed in."""
    return f32 if dtype.bytes < 4 else dtype


def _infer(types: Types, attrs: Attrs) -> TensorType:
    q, k, v, *masks = types
    shown = ", ".join(map(str, types))
    if min(t.rank for t in (q, k, v)) < 2 or not q.dtype.is_float:
        raise Unsupported("attention", f"expected floats of at least two dims, got {shown}")
    if len({t.dtype for t in (q, k, v)}) > 1 or len(masks) > 1:
        raise Unsupported("attention", f"expected one dtype and at most one mask, got {shown}")
    fits = same_dim(q.shape[-1], k.shape[-1]) and same_dim(k.shape[-2], v.shape[-2])
    if not fits or any(not (m.dtype.is_bool or m.dtype.is_float) for m in masks):
        raise Unsupported("attention", f"q, k, v and mask do not fit each other: {shown}")
    batch = broadcast_shapes("attention", *(t.shape[:-2] for t in (q, k, v)))
    scores = (*batch, q.shape[-2], k.shape[-2])
    for mask in masks:
        whole = broadcast_shapes("attention", scores, mask.shape)
        if not all(same_dim(a, b) for a, b in zip(whole, scores, strict=False)) or mask.rank > len(
            scores
        ):
            raise Unsupported("attention", f"the mask {mask} is larger than the scores")
    return TensorType(q.dtype, (*batch, q.shape[-2], v.shape[-1]))


def batch_index(buffer: Buffer, batch: Sequence[Expr]) -> list[Expr | int]:
    """Indices of a buffer's batch dims at a batch index of the result (1 is broadcast)."""
    offset = len(batch) - (len(buffer.shape) - 2)
    return [0 if is_const(d, 1) else batch[k + offset] for k, d in enumerate(buffer.shape[:-2])]


def masked_score(
    score: Expr, inputs: Sequence[Buffer], at: Sequence[Expr], shape: Sequence, attrs: Attrs
) -> Expr:
    """The score of (..., query, key) after the mask; shape: of the scores. What is not seen because
    it is later is decided last, outermost.
    """
    if (cap := attrs.get("softcap")) is not None:
        score = unary("tanh", score / cap) * cap
    if len(inputs) > 3:
        mask = broadcast_load(inputs[3], at, tuple(shape))
        kept = mask.dtype.is_bool
        score = select(mask, score, attrs["fill"]) if kept else score + cast(mask, score.dtype)
    if (left := attrs.get("left")) is not None:
        score = select(at[-2] - at[-1] <= shape[-2] - shape[-1] + left, score, -math.inf)
    if attrs["causal"]:
        score = select(at[-1] - at[-2] <= shape[-1] - shape[-2], score, -math.inf)
    return score


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    q, k, v = inputs[:3]
    dtype, rows = score_dtype(q.dtype), out.shape[:-1]
    shape = (*rows, k.shape[-2])

    def element(buffer: Buffer, batch: Sequence[Expr], *at: Expr) -> Expr:
        return cast(load(buffer, *batch_index(buffer, batch), *at), dtype)

    def score(*at: Expr) -> Expr:
        *batch, query, key = at

        def term(d: Expr) -> Expr:
            return element(q, batch, query, d) * element(k, batch, key, d)

        dot = reduce_over("sum", (q.shape[-1],), term) * attrs["scale"]
        return masked_score(dot, inputs, at, shape, attrs)

    scores = compute("scores", dtype, shape, score)

    def over(op: str, row: Sequence[Expr], term) -> Expr:
        return reduce_over(op, (k.shape[-2],), lambda key: term(load(scores.out, *row, key), key))

    top = compute("row_max", dtype, rows, lambda *row: over("max", row, lambda s, key: s))

    def weight(s: Expr, row: Sequence[Expr]) -> Expr:
        return unary("exp", s - load(top.out, *row))

    total = compute(
        "row_sum", dtype, rows, lambda *row: over("sum", row, lambda s, key: weight(s, row))
    )

    def value(*at: Expr) -> Expr:
        *batch, query, column = at
        row = (*batch, query)
        mixed = over("sum", row, lambda s, key: weight(s, row) * element(v, batch, key, column))
        divisor = load(total.out, *row)
        result = mixed / divisor
        result = select(divisor > 0, result, 0) if attrs["zero_nan"] else result
        return cast(result, out.dtype)

    return scores, top, total, compute("attention", out.dtype, out.shape, value)


operator("attention", "anchor", _infer, _define)
