"""Calls of elementary functions: each (function, dtype) is an internal LLVM function, written on
its first use.

LLVM inlines it where that pays. f32 functions that are not in `single` are computed in f64 and
rounded once.
"""

from __future__ import annotations

from collections.abc import Callable

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import DType, f64

from ..text import Writer, mangled, type_name
from . import double, power, single
from .value import Vec

Function = Callable[..., Vec]
_SINGLE: dict[str, Function] = {
    f.__name__: f for f in (single.exp, single.log, single.sigmoid, single.tanh, single.erf)
}
_DOUBLE: dict[str, Function] = {
    f.__name__: f
    for f in (
        double.exp, double.log, double.sigmoid, double.tanh, double.erf, double.expm1, double.log1p,
        double.sin, double.cos, double.tan, double.asin, double.acos, double.atan,
        double.sinh, double.cosh, double.asinh, double.acosh, double.atanh,
    )
}  # fmt: skip
_DOUBLE["pow"] = power.pow_double
_WIDENED: dict[str, Function] = {**_DOUBLE, "pow": power.pow_single}


def call(w: Writer, op: str, dtype: DType, *arguments: str) -> str:
    """op(arguments) on f32 or f64 values of any number of lanes."""
    if dtype.name not in ("f32", "f64") or op not in _DOUBLE:
        raise CompilerBug("codegen", f"no operation {op!r} on {dtype}")
    name, kind = f"ht.{op}.{mangled(dtype)}", type_name(dtype)
    w.module.helper(name, lambda: _define(w, name, op, dtype, len(arguments)))
    return w.op(f"call {kind} @{name}({', '.join(f'{kind} {a}' for a in arguments)})")


def _define(outer: Writer, name: str, op: str, dtype: DType, count: int) -> str:
    w, kind = Writer(outer.module), type_name(dtype)
    arguments = [Vec(w, f"%x{i}", dtype) for i in range(count)]
    if dtype.name == "f64":
        result = _DOUBLE[op](*arguments)
    elif op in _SINGLE:
        result = _SINGLE[op](*arguments)
    else:
        result = _WIDENED[op](*(a.to(f64) for a in arguments)).to(dtype.scalar)
    w.do(f"ret {kind} {result.ref}")
    parameters = ", ".join(f"{kind} %x{i}" for i in range(count))
    attributes = "nounwind willreturn memory(none)"
    return f"define internal {kind} @{name}({parameters}) {attributes} {{\n{w.body()}\n}}"
