"""Attention and its kin as single nodes."""

from __future__ import annotations

from ..draft import Dim, Draft
from .table import MICROSOFT, maker


def sides(g: Draft) -> tuple[Dim, Dim, Dim]:
    """Batch, queries and keys."""
    symbols = [dim for dim in sorted(g.symbols.values()) if min(dim) > 0]
    batch = g.draws.pick([g.dim(1), g.dim(2), *symbols])
    rows = g.draws.pick([g.dim(1), g.dim(5), g.dim(9), *symbols])
    return batch, rows, rows if g.draws.chance(0.6) else g.dim(g.draws.integer(1, 9))


@maker("Attention", since=23, dtypes="f32", weight=2)
def attention(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    batch, rows, keys = sides(g)
    groups, width = g.draws.integer(1, 2), g.draws.pick((2, 4, 8, 5))
    heads = groups * g.draws.integer(1, 2)
    value_width = width if g.draws.chance(0.8) else width + 1
    flat = g.draws.chance(0.4)
    attrs: dict[str, object] = {}
    if flat:
        shapes = [
            (batch, rows, g.dim(heads * width)),
            (batch, keys, g.dim(groups * width)),
            (batch, keys, g.dim(groups * value_width)),
        ]
        result = (batch, rows, g.dim(heads * value_width))
        attrs = {"q_num_heads": heads, "kv_num_heads": groups}
    else:
        shapes = [
            (batch, g.dim(heads), rows, g.dim(width)),
            (batch, g.dim(groups), keys, g.dim(width)),
            (batch, g.dim(groups), keys, g.dim(value_width)),
        ]
        result = (batch, g.dim(heads), rows, g.dim(value_width))
    if not all(g.fits(shape) for shape in (*shapes, result, (batch, g.dim(heads), rows, keys))):
        return False
    inputs = [g.source("f32", shape) for shape in shapes]
    if g.draws.chance(0.4):
        one = g.dim(1)
        forms = [(rows, keys), (batch, one, rows, keys), (one, g.dim(heads), rows, keys)]
        mask = g.draws.pick(forms)
        inputs.append(g.source("f32", mask, -5.0, 0.0))
    if g.draws.chance(0.3) and rows == keys:
        attrs["is_causal"] = 1
    if g.draws.chance(0.3):
        attrs["scale"] = 0.25
    if g.draws.chance(0.2):
        attrs["softcap"] = 3.0
    g.node(op, inputs, "f32", result, (-3.0, 3.0), **attrs)
    return True


@maker("MultiHeadAttention", domain=MICROSOFT, dtypes="f32")
def multi_head_attention(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    batch, rows, keys = sides(g)
    heads, width = g.draws.integer(1, 3), g.draws.pick((2, 4, 8))
    hidden = g.dim(heads * width)
    shapes = [(batch, rows, hidden), (batch, keys, hidden), (batch, keys, hidden)]
    if not all(g.fits(shape) for shape in (*shapes, (batch, g.dim(heads), rows, keys))):
        return False
    inputs = [g.source("f32", shape) for shape in shapes]
    if g.draws.chance(0.4):
        inputs.append(g.constant("f32", (3 * heads * width,)))
    g.node(op, inputs, "f32", shapes[0], (-3.0, 3.0), domain=MICROSOFT, num_heads=heads)
    return True


@maker("RotaryEmbedding", since=23, dtypes="f32")
def rotary(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    batch, rows, _ = sides(g)
    heads, half = g.draws.integer(1, 3), g.draws.pick((1, 2, 4))
    rotated = half if half == 1 or g.draws.chance(0.7) else half // 2
    flat = g.draws.chance(0.4)
    attrs: dict[str, object] = {}
    shape = (batch, g.dim(heads), rows, g.dim(2 * half))
    if flat:
        shape, attrs = (batch, rows, g.dim(heads * 2 * half)), {"num_heads": heads}
    if not g.fits(shape):
        return False
    x = g.source("f32", shape)
    caches = [g.constant("f32", (12, rotated), -1.0, 1.0) for _ in range(2)]
    inputs = [x, *caches, g.source("i64", (batch, rows), 0, 11)]
    if rotated != half:
        attrs["rotary_embedding_dim"] = 2 * rotated
        attrs.setdefault("num_heads", heads)
    if g.draws.chance(0.4):
        attrs["interleaved"] = 1
    g.node(op, inputs, "f32", shape, (2 * x.low, 2 * x.high), **attrs)
    return True
