"""Unary operations on values of any dtype and number of lanes.

What x86 has instructions for is emitted in place; the functions of `vecmath` become calls of
internal functions. round is half to even.  f16 and bf16 are computed in f32.
"""

from __future__ import annotations

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import BITS, DType, boolean, f32

from .. import vecmath
from ..text import Writer, literal, mangled, type_name
from .arith import select
from .convert import HALVES, narrow, widen

_ROUNDING = {"floor": "floor", "ceil": "ceil", "round": "roundeven", "trunc": "trunc"}
_PREDICATES = ("isnan", "isinf")


def unary(w: Writer, op: str, a: str, dtype: DType) -> str:
    """op(a), `dtype` being that of a."""
    if op in BITS:
        to = type_name(BITS[op].vector(dtype.lanes))
        same = to == type_name(dtype)
        return a if same else w.op(f"bitcast {type_name(dtype)} {a} to {to}")
    if dtype.name in HALVES:
        result = unary(w, op, widen(w, a, dtype), f32.vector(dtype.lanes))
        return result if op in _PREDICATES else narrow(w, result, dtype)
    if op == "not" and not dtype.is_float:
        return w.op(f"xor {type_name(dtype)} {a}, {literal(True if dtype.is_bool else -1, dtype)}")
    if dtype.is_float:
        return _float(w, op, a, dtype)
    if dtype.is_int:
        return _int(w, op, a, dtype)
    raise CompilerBug("codegen", f"no operation {op!r} on {dtype}")


def _float(w: Writer, op: str, a: str, dtype: DType) -> str:
    kind, name = type_name(dtype), mangled(dtype)
    match op:
        case "neg":
            return w.op(f"fneg {kind} {a}")
        case "abs":
            return w.call(f"llvm.fabs.{name}", dtype, (kind, a))
        case "sqrt":
            return w.call(f"llvm.sqrt.{name}", dtype, (kind, a))
        case "rsqrt":
            root = w.call(f"llvm.sqrt.{name}", dtype, (kind, a))
            return w.op(f"fdiv {kind} {literal(1, dtype)}, {root}")
        case "recip":
            return w.op(f"fdiv {kind} {literal(1, dtype)}, {a}")
        case "floor" | "ceil" | "round" | "trunc":
            return w.call(f"llvm.{_ROUNDING[op]}.{name}", dtype, (kind, a))
        case "sign":
            return _sign(w, a, dtype)
        case "isnan":
            return w.op(f"fcmp uno {kind} {a}, {a}")
        case "isinf":
            size = w.call(f"llvm.fabs.{name}", dtype, (kind, a))
            return w.op(f"fcmp oeq {kind} {size}, {literal(float('inf'), dtype)}")
    return vecmath.call(w, op, dtype, a)


def _sign(w: Writer, a: str, dtype: DType) -> str:
    """-1, 0 or 1; NaN stays NaN."""
    kind, zero = type_name(dtype), literal(0, dtype)
    less, greater = ("fcmp olt", "fcmp ogt") if dtype.is_float else ("icmp slt", "icmp sgt")
    if dtype.kind == "u":
        less, greater = "icmp ult", "icmp ugt"
    below = select(
        w,
        w.op(f"{less} {kind} {a}, {zero}"),
        literal(-1 if dtype.kind != "u" else 0, dtype),
        a,
        dtype,
    )
    return select(w, w.op(f"{greater} {kind} {a}, {zero}"), literal(1, dtype), below, dtype)


def _int(w: Writer, op: str, a: str, dtype: DType) -> str:
    kind = type_name(dtype)
    match op:
        case "neg":
            return w.op(f"sub {kind} {literal(0, dtype)}, {a}")
        case "abs":
            if dtype.kind == "u":
                return a
            return w.call(f"llvm.abs.{mangled(dtype)}", dtype, (kind, a), ("i1", "false"))
        case "floor" | "ceil" | "round" | "trunc":
            return a
        case "sign":
            return _sign(w, a, dtype)
        case "isnan" | "isinf":
            return literal(False, boolean.vector(dtype.lanes))
    raise CompilerBug("codegen", f"no operation {op!r} on {dtype}")
