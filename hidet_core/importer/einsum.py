"""Einsum as diagonals, transposes, matmuls, products and reductions.

A letter that comes twice in a term takes the diagonal of its axes; an ellipsis stands for letters
of its own, aligned at the right. Operands are contracted one after the other. Of two, letters of
both that are still wanted are batch, letters of both that are not are contracted, letters of one
operand alone that are not wanted are summed first.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

from hidet_core.compute.dims import Dim, product, same_dim
from hidet_core.graph.graph import Value
from hidet_core.ir.expr import is_const

from .context import Context
from .registry import onnx_op

ELLIPSIS_LETTERS = "0123456789"
MAX_HIDDEN = len(ELLIPSIS_LETTERS)


@dataclass(frozen=True)
class _Term:
    """A value and a letter for each of its axes."""

    value: Value
    letters: str

    @property
    def sizes(self) -> dict[str, Dim]:
        return dict(zip(self.letters, self.value.type.shape, strict=True))


@onnx_op("Einsum", since=12)
def einsum(ctx: Context) -> Value:
    terms, result = _parse(ctx)
    terms = _without_ones(ctx, [_diagonal(ctx, term) for term in terms])
    while len(terms) > 1:
        wanted = result + "".join(term.letters for term in terms[2:])
        terms = [_contract(ctx, terms[0], terms[1], wanted), *terms[2:]]
    last = _sum_out(ctx, terms[0], result)
    if set(last.letters) != set(result):
        ctx.fail(f"a letter of the result of {ctx.attr('equation')!r} is in no operand")
    return ctx.builder.transpose(last.value, [last.letters.index(c) for c in result])


def _parse(ctx: Context) -> tuple[list[_Term], str]:
    """The operands with their letters, and those of the result."""
    equation = ctx.attr("equation").replace(" ", "")
    left, arrow, result = equation.partition("->")
    texts, values = left.split(","), ctx.values()
    known = set(string.ascii_letters + ".,")
    if len(texts) != len(values) or not set(left + result) <= known or "," in result:
        ctx.fail(f"equation {equation!r} does not fit {len(values)} operands")
    hidden = [v.type.rank - len(t.replace("...", "")) for t, v in zip(texts, values, strict=True)]
    spread = [count for count, text in zip(hidden, texts, strict=True) if "..." in text]
    fits = all(count == 0 or "..." in t for count, t in zip(hidden, texts, strict=True))
    if not fits or min(hidden) < 0 or max(spread, default=0) > MAX_HIDDEN:
        ctx.fail(f"equation {equation!r} does not fit its operands")

    def spelled(text: str, count: int) -> str:
        return text.replace("...", ELLIPSIS_LETTERS[MAX_HIDDEN - count :])

    terms = [_Term(v, spelled(t, n)) for v, t, n in zip(values, texts, hidden, strict=True)]
    if arrow:
        result = spelled(result, max(spread, default=0))
    else:
        plain = left.replace(".", "").replace(",", "")
        once = sorted(c for c in set(plain) if plain.count(c) == 1)
        result = spelled("..." if spread else "", max(spread, default=0)) + "".join(once)
    if len(set(result)) != len(result) or "." in result or any("." in t.letters for t in terms):
        ctx.fail(f"equation {equation!r} is not supported")
    return terms, result


def _diagonal(ctx: Context, term: _Term) -> _Term:
    """Each letter once."""
    letters = "".join(dict.fromkeys(term.letters))
    if letters == term.letters:
        return term
    axes = tuple(letters.index(c) for c in term.letters)
    return _Term(ctx.emit("diagonal", term.value, axes=axes), letters)


def _without_ones(ctx: Context, terms: Sequence[_Term]) -> list[_Term]:
    """Without the axes of 1 that other operands stretch."""
    sizes: dict[str, Dim] = {}
    for term in terms:
        for letter, dim in term.sizes.items():
            if letter not in sizes or is_const(sizes[letter], 1):
                sizes[letter] = dim
    found = []
    for term in terms:
        kept = [c for c in term.letters if same_dim(term.sizes[c], sizes[c])]
        if not all(is_const(term.sizes[c], 1) for c in term.letters if c not in kept):
            ctx.fail(f"sizes of a letter of {ctx.attr('equation')!r} differ (or may differ)")
        value = ctx.builder.reshape(term.value, [term.sizes[c] for c in kept])
        found.append(_Term(value, "".join(kept)))
    return found


def _sum_out(ctx: Context, term: _Term, kept: str) -> _Term:
    """Summed over the letters that are not kept."""
    axes = tuple(k for k, letter in enumerate(term.letters) if letter not in kept)
    if not axes:
        return term
    value = ctx.emit("reduce", term.value, op="sum", axes=axes, keepdims=False)
    return _Term(value, "".join(letter for letter in term.letters if letter in kept))


def _contract(ctx: Context, left: _Term, right: _Term, wanted: str) -> _Term:
    """The product of two operands, summed over the letters that nobody wants."""
    a = _sum_out(ctx, left, right.letters + wanted)
    b = _sum_out(ctx, right, left.letters + wanted)
    shared = [c for c in a.letters if c in b.letters]
    batch, inner = (
        [c for c in shared if (c in wanted) is is_wanted] for is_wanted in (True, False)
    )
    if not inner:
        return _multiply(ctx, a, b)
    rows, columns = ([c for c in term.letters if c not in shared] for term in (a, b))
    sizes = {**b.sizes, **a.sizes}
    depth, outer = product(sizes[c] for c in inner), [sizes[c] for c in batch]
    height, width = (product(sizes[c] for c in letters) for letters in (rows, columns))
    builder = ctx.builder
    x = builder.transpose(a.value, [a.letters.index(c) for c in batch + rows + inner])
    y = builder.transpose(b.value, [b.letters.index(c) for c in batch + inner + columns])
    x, y = builder.reshape(x, (*outer, height, depth)), builder.reshape(y, (*outer, depth, width))
    order = batch + rows + columns
    result = builder.cast(ctx.emit("matmul", x, y), a.value.type.dtype)
    value = builder.reshape(result, [sizes[c] for c in order])
    return _Term(value, "".join(order))


def _multiply(ctx: Context, a: _Term, b: _Term) -> _Term:
    """The product of two operands, nothing of which is summed."""
    order = a.letters + "".join(c for c in b.letters if c not in a.letters)

    def spread(term: _Term) -> Value:
        present = [c for c in order if c in term.letters]
        value = ctx.builder.transpose(term.value, [term.letters.index(c) for c in present])
        return ctx.builder.reshape(value, [term.sizes.get(c, 1) for c in order])

    return _Term(ctx.emit("mul", spread(a), spread(b)), order)
