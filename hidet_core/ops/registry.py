"""Operators: what each computes (shape rule and definition), never how.

An `OpDef` is a row of the registry `OPS`; the modules of this package fill it when imported.
`define` gives the definitions in order of dependence; the last ones are the operator's outputs, in
order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.definition import Definition
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Expr

Attrs = Mapping[str, Any]
Types = tuple[TensorType, ...]
Infer = Callable[[Types, Attrs], Types]
Define = Callable[[tuple[Buffer, ...], Types, Attrs], tuple[Definition, ...]]
InferOne = Callable[[Types, Attrs], TensorType]
DefineOne = Callable[[tuple[Buffer, ...], TensorType, Attrs], tuple[Definition, ...]]
# (k, index into input k, input types, output type, attrs) -> index into the output
Scatter = Callable[[int, Sequence[Expr], Types, TensorType, Attrs], tuple[Expr, ...]]
Reference = Callable[[Sequence[np.ndarray], Attrs], np.ndarray]

KINDS = ("injective", "reduce", "anchor")


@dataclass(frozen=True, eq=False)
class OpDef:
    """kind: 'injective' (no Reduce), 'reduce' (generic reductions), 'anchor' (has a schedule
    template).

    elementwise: every input is read at the output's own index, NumPy broadcasting aside.  scatter:
    where an element of input k goes, for layout operators that copy each element of it to exactly
    one place.  rereads: its schedules store an element of the output several times and read it
    back, so that nothing can be fused behind them.  reference: of an anchor without a definition
    (`define` is None), whose values depend on each other: the output's array from the inputs'.
    """

    name: str
    kind: str
    infer: Infer
    define: Define | None
    scatter: Scatter | None = None
    elementwise: bool = False
    rereads: bool = False
    reference: Reference | None = None


OPS: dict[str, OpDef] = {}


def operator(
    name: str,
    kind: str,
    infer: InferOne,
    define: DefineOne,
    scatter: Scatter | None = None,
    elementwise: bool = False,
    rereads: bool = False,
) -> OpDef:
    """Register an operator of one output from functions that know only that output."""

    def infer_all(types: Types, attrs: Attrs) -> Types:
        return (infer(types, attrs),)

    def define_all(
        inputs: tuple[Buffer, ...], outputs: Types, attrs: Attrs
    ) -> tuple[Definition, ...]:
        return define(inputs, outputs[0], attrs)

    return register(OpDef(name, kind, infer_all, define_all, scatter, elementwise, rereads))


def register(op: OpDef) -> OpDef:
    """Add an operator to the registry."""
    if op.name in OPS:
        raise CompilerBug("ops", f"operator {op.name!r} is registered twice")
    if op.kind not in KINDS:
        raise CompilerBug(
            "ops", f"operator {op.name!r} has kind {op.kind!r}, expected one of {KINDS}"
        )
    if (op.define is None) == (op.reference is None):
        raise CompilerBug("ops", f"operator {op.name!r} wants a definition or a reference")
    OPS[op.name] = op
    return op


def find_op(name: str) -> OpDef:
    """The operator of a name."""
    if name not in OPS:
        raise CompilerBug("ops", f"unknown operator {name!r}, known: {', '.join(sorted(OPS))}")
    return OPS[name]
