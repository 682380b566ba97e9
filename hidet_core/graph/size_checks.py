"""Sizes that a graph takes to be equal and a run has to check.

takes: a graph after all passes      gives: pairs of dims, with the node that says so
A table cut to a symbolic length has min(length, rows) rows; where that broadcasts with the length
itself (positions added to a sequence) the two are equal in every valid run, and kernels count on
it (ops/elementwise.py). So are the sizes beside the axis of a concat: upsampled features and those
that they are joined with have different expressions for them (ops/layout.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import (
    Dim,
    Shape,
    dim_expr,
    dim_text,
    is_cut_of,
    product,
    same_dim,
)
from hidet_core.ir.expr import minimum

from .graph import Graph, Operator


@dataclass(frozen=True, eq=False)
class EqualSizes:
    """where: the ONNX node (or nodes)."""

    where: str
    left: Dim
    right: Dim


def size_checks(graph: Graph) -> list[EqualSizes]:
    """What has to hold for the symbols of a run."""
    found: dict[tuple[str, str], EqualSizes] = {}
    for operator in graph.operators:
        for picked, check in _picking(operator):
            found.setdefault((str(id(picked)), check.where), check)
        if operator.op.elementwise:
            shape = operator.output.type.shape
            values = operator.inputs
        elif operator.op.name == "attention" and len(operator.inputs) > 3:
            sides = (operator.inputs[0].type.shape[-2], operator.inputs[1].type.shape[-2])
            shape = (*operator.output.type.shape[:-2], *sides)
            values = operator.inputs[3:]
        elif operator.op.name == "top_k":
            size, k = operator.inputs[0].type.shape[operator.attrs["axis"]], operator.attrs["k"]
            if not isinstance(size, int):  # k <= size
                where = operator.name or operator.op.name
                found[f"k {k}", where] = EqualSizes(where, k, minimum(size, k))
            continue
        elif operator.op.name == "concat":
            for check in _beside(operator):
                found.setdefault(
                    (f"{dim_text(check.left)} {dim_text(check.right)}", check.where), check
                )
            continue
        else:
            continue
        for value in values:
            for cut, whole in _cuts(value.type.shape, shape):
                check = EqualSizes(operator.name or operator.op.name, whole, cut)
                found.setdefault((str(id(cut)), check.where), check)
    return list(found.values())


def _beside(concat: Operator) -> Iterator[EqualSizes]:
    """The sizes of a concat's inputs beside its axis are those of its output."""
    where = concat.name or concat.op.name
    for value in concat.inputs:
        sizes = zip(value.type.shape, concat.output.type.shape, strict=True)
        for axis, (own, whole) in enumerate(sizes):
            if axis != concat.attrs["axis"] and not same_dim(own, whole):
                yield EqualSizes(where, whole, own)


def _picking(operator: Operator) -> Iterator[tuple[Dim, EqualSizes]]:
    """Dims that indices run over: they are not 0 where there is something to pick. With `one` for a
    size cut to 1: one(dim) * one(picked) = one(picked). Not simplified, which takes symbols for
    sizes that are not 0.
    """
    name, attrs = operator.op.name, operator.attrs
    if name not in ("gather", "gather_elements", "gather_nd", "scatter_elements", "scatter_nd"):
        return
    shape, indices = (value.type.shape for value in operator.inputs[:2])
    dims: Shape = (shape[attrs["axis"]],) if "axis" in attrs else ()
    if name.endswith("nd"):
        start, depth = attrs.get("batch_dims", 0), indices[-1]
        assert isinstance(depth, int), "the operator saw to it"
        dims = shape[start : start + depth]
    changed = operator.inputs[-1] if name.startswith("scatter") else operator.output
    picked = minimum(dim_expr(product(changed.type.shape)), 1)
    for dim in dims:
        if not isinstance(dim, int) or dim == 0:
            both = minimum(dim_expr(dim), 1) * picked
            yield dim, EqualSizes(operator.name or name, both, picked)


def _cuts(shape: Shape, whole: Shape) -> Iterator[tuple[Dim, Dim]]:
    """Dims that count as those they are cut from, and those."""
    offset = len(whole) - len(shape)
    for position, dim in enumerate(shape, offset):
        if dim is not whole[position] and is_cut_of(dim, whole[position]):
            yield dim, whole[position]
