"""Matrix products: MatMul, Gemm, FusedMatMul, Einsum."""

from __future__ import annotations

import math

from ..draft import Dim, Draft, Val, Want
from .table import MICROSOFT, maker

SIDES = ((1, 2), (3, 2), (5, 2), (8, 2), (16, 2), (17, 2), (33, 1), (72, 0.5), (129, 0.3))


def weights(g: Draft, dtype: str, shape: tuple[Dim, ...], depth: int) -> Val:
    """Scaled so that products of `depth` terms stay of the operand's size; constants mostly."""
    bound = 1.5 / math.sqrt(max(depth, 1))
    static = all(dim.fixed is not None for dim in shape)
    if static and g.draws.chance(0.7):
        return g.constant(dtype, [dim[0] for dim in shape], -bound, bound)
    return g.input(dtype, shape, -bound, bound)


def product_bound(x: Val, y: Val, depth: int) -> float:
    return x.magnitude * y.magnitude * max(depth, 1)


def operand(g: Draft, dtypes: tuple[str, ...], rank: tuple[int, int]) -> Val | None:
    return g.take(Want(dtypes, -20, 20, rank=rank))


def deep(g: Draft, dtypes: tuple[str, ...]) -> Val:
    """A matrix of long rows: templates walk over them in blocks."""
    depth = g.draws.integer(64, min(g.limit, 400))
    rows = g.draws.integer(1, max(min(g.limit // depth, 40), 1))
    return g.source(g.prefer(dtypes), g.dims(rows, depth), -1.0, 1.0)


@maker("MatMul", dtypes={1: "f32 f16 f64", 9: "f32 f16 f64"}, weight=5)
def matmul(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = deep(g, dtypes) if g.draws.chance(0.12) else operand(g, dtypes, (1, 4))
    if x is None:
        return False
    depth, columns = x.shape[-1], g.dim(g.draws.weighted(SIDES))
    kind = g.draws.weighted([("matrix", 5), ("batch", 2), ("vector", 0.5), ("square", 1)])
    shape: tuple[Dim, ...] = (depth, columns)
    if kind == "vector":
        shape = (depth,)
    elif kind == "batch" and x.rank > 2:
        outer = [g.dim(1) if g.draws.chance(0.3) else dim for dim in x.shape[:-2]]
        shape = (*outer[g.draws.integer(0, len(outer)) :], depth, columns)
    y = weights(g, x.dtype, shape, max(depth))
    if kind == "square" and x.rank >= 2:
        perm = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
        shape = tuple(x.shape[k] for k in perm)
        y = g.node("Transpose", [x], x.dtype, shape, (x.low, x.high), perm=perm)
    result = x.shape[:-1] if y.rank == 1 else (*x.shape[:-1], y.shape[-1])
    bound = product_bound(x, y, max(depth))
    if not g.fits(result) or bound > 900:
        return False
    g.node(op, [x, y], x.dtype, result, (-bound, bound))
    return True


@maker("FusedMatMul", domain=MICROSOFT, dtypes="f32", weight=0.7)
def fused_matmul(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -20, 20, rank=(2, 4), filled=True))
    if x is None:
        return False
    trans_a, trans_b = (g.draws.integer(0, 1) for _ in range(2))
    rows, depth = (x.shape[-1], x.shape[-2]) if trans_a else x.shape[-2:]
    columns = g.dim(g.draws.weighted(SIDES))
    y = weights(g, x.dtype, (columns, depth) if trans_b else (depth, columns), max(depth))
    alpha = g.draws.pick((1.0, 0.5, 2.0))
    bound = product_bound(x, y, max(depth)) * alpha
    shape = (*x.shape[:-2], rows, columns)
    if not g.fits(shape) or bound > 400:
        return False
    attrs = {"transA": trans_a, "transB": trans_b, "alpha": alpha}
    g.node(op, [x, y], x.dtype, shape, (-bound, bound), domain=MICROSOFT, **attrs)
    return True


@maker("Gemm", since=7, dtypes="f32 f16 f64", weight=3)
def gemm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -20, 20, rank=(2, 2), filled=True))
    if x is None:
        return False
    attrs: dict[str, object] = {}
    for name in g.draws.subset(("transA", "transB")):
        attrs[name] = 1
    for name in g.draws.subset(("alpha", "beta")):
        attrs[name] = g.draws.pick((0.5, 1.0, 2.0))
    rows, depth = x.shape[::-1] if "transA" in attrs else x.shape
    columns = g.dim(g.draws.weighted(SIDES))
    shape = (columns, depth) if "transB" in attrs else (depth, columns)
    inputs = [x, weights(g, x.dtype, shape, max(depth))]
    bound = product_bound(*inputs, max(depth)) * 2 + 4
    if g.opset < 11 or g.draws.chance(0.7):
        one = g.dim(1)
        forms = [(columns,), (rows, columns), (one, columns), (rows, one), (one,)]
        if g.opset >= 7:
            forms.append(())
        inputs.append(g.source(x.dtype, g.draws.pick(forms)))
    if not g.fits((rows, columns)) or bound > 400:
        return False
    g.node(op, inputs, x.dtype, (rows, columns), (-bound, bound), **attrs)
    return True


EQUATIONS = (
    "ij,jk->ik", "bij,bjk->bik", "bhid,bhjd->bhij", "bhij,bhjd->bihd", "ij->ji", "ij->i", "bij->b",
    "i,j->ij", "ij,ij->ij", "bij,jk->bik", "ij,ij->", "bihd,bjhd->bhij", "ij,kj", "bi,bj->bij",
    "ijk->kij",
)  # fmt: skip


@maker("Einsum", since=12, dtypes="f32 f64", weight=1)
def einsum(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    equation = g.draws.pick(EQUATIONS)
    left, _, result = equation.partition("->")
    terms = left.split(",")
    letters = sorted(set("".join(terms)))
    if "->" not in equation:
        result = "".join(c for c in letters if left.count(c) == 1)
    sizes = {c: g.dim(g.draws.integer(1, 6)) for c in letters}
    if g.symbols and g.draws.chance(0.4):
        sizes[letters[0]] = g.draws.pick(sorted(g.symbols.values()))
    dtype = g.prefer(dtypes)
    operands = [g.source(dtype, tuple(sizes[c] for c in term), -1.0, 1.0) for term in terms]
    summed = math.prod(max(sizes[c]) for c in letters if c not in result)
    shape = tuple(sizes[c] for c in result)
    if not g.fits(shape) or summed > 400:
        return False
    g.node(op, operands, dtype, shape, (-summed, summed), equation=equation)
    return True
