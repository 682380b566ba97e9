"""Arithmetic and comparisons on values of any dtype and number of lanes.

Floats: `contract` lets LLVM fuse a multiplication and an addition, nothing else is relaxed; min and
max give NaN if either side is NaN; mod and floordiv round towards minus infinity as for ints.  Ints
wrap; div truncates; dividing by zero gives 0 (mod: 0) instead of a trap; shifts by the width or
more give what shifting bit by bit would give. f16 and bf16 are computed in f32 and rounded after
every operation.
"""

from __future__ import annotations

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import DType, boolean, f32, f64, i32
from hidet_core.ir.fold import COMPARISONS

from .. import vecmath
from ..text import Writer, literal, mangled, type_name
from .convert import HALVES, convert, narrow, widen

_FLOAT = {"add": "fadd contract", "sub": "fsub contract", "mul": "fmul contract", "div": "fdiv"}
_INT = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_BOOL = {
    "and": "and",
    "or": "or",
    "xor": "xor",
    "add": "or",
    "mul": "and",
    "min": "and",
    "max": "or",
}
_FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}


def binary(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    """a op b, `dtype` being that of the operands; bool for comparisons."""
    if dtype.name in HALVES:
        single = f32.vector(dtype.lanes)
        result = binary(w, op, widen(w, a, dtype), widen(w, b, dtype), single)
        return result if op in COMPARISONS else narrow(w, result, dtype)
    if op in COMPARISONS:
        return compare(w, op, a, b, dtype)
    if dtype.is_bool:
        return w.op(f"{_lookup(_BOOL, op, dtype)} {type_name(dtype)} {a}, {b}")
    if dtype.is_float:
        return _float(w, op, a, b, dtype)
    return _int(w, op, a, b, dtype)


def compare(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    if dtype.is_float:
        return w.op(f"fcmp {_FLOAT_COMPARE[op]} {type_name(dtype)} {a}, {b}")
    sign = "" if op in ("eq", "ne") else "s" if dtype.kind == "i" else "u"
    return w.op(f"icmp {sign}{op} {type_name(dtype)} {a}, {b}")


def select(w: Writer, cond: str, a: str, b: str, dtype: DType) -> str:
    """cond has as many lanes as dtype."""
    kind = type_name(dtype)
    return w.op(f"select {type_name(boolean.vector(dtype.lanes))} {cond}, {kind} {a}, {kind} {b}")


def _lookup(table: dict[str, str], op: str, dtype: DType) -> str:
    if op not in table:
        raise CompilerBug("codegen", f"no operation {op!r} on {dtype}")
    return table[op]


def _float(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    if op in ("min", "max"):
        return _float_extreme(w, op, a, b, dtype)
    if op == "pow":
        return vecmath.call(w, op, dtype, a, b)
    if op in ("mod", "floordiv"):
        return _float_floor(w, op, a, b, dtype)
    return w.op(f"{_lookup(_FLOAT, op, dtype)} {type_name(dtype)} {a}, {b}")


def _float_extreme(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    """One machine instruction where a side is a literal number, three where both may be NaN."""
    order = "ogt" if op == "max" else "olt"
    kind = type_name(dtype)
    if not b.startswith("%"):
        a, b = b, a
    chosen = select(w, w.op(f"fcmp {order} {kind} {a}, {b}"), a, b, dtype)  # b where either is NaN
    if not a.startswith("%"):
        return chosen
    return select(w, w.op(f"fcmp uno {kind} {a}, {a}"), a, chosen, dtype)


def _float_floor(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    """Exact while |a / b| < 2**53; f32 is computed in f64."""
    wide = f64.vector(dtype.lanes)
    if dtype != wide:
        result = _float_floor(w, op, convert(w, a, dtype, wide), convert(w, b, dtype, wide), wide)
        return convert(w, result, wide, dtype)
    kind, name = type_name(wide), mangled(wide)
    quotient = w.call(f"llvm.floor.{name}", wide, (kind, w.op(f"fdiv {kind} {a}, {b}")))
    minus = w.op(f"fneg {kind} {quotient}")
    rest = w.call(f"llvm.fma.{name}", wide, (kind, minus), (kind, b), (kind, a))
    # the rounded quotient may be one too large: then the rest has the wrong sign
    wrong = w.op(f"fcmp olt {kind} {w.op(f'fmul {kind} {rest}, {b}')}, {literal(0, wide)}")
    if op == "floordiv":
        return select(w, wrong, w.op(f"fsub {kind} {quotient}, {literal(1, wide)}"), quotient, wide)
    return select(w, wrong, w.op(f"fadd {kind} {rest}, {b}"), rest, wide)


def _int(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    kind = type_name(dtype)
    if op in _INT:
        return w.op(f"{_INT[op]} {kind} {a}, {b}")
    if op in ("min", "max"):
        name = f"llvm.{'s' if dtype.kind == 'i' else 'u'}{op}.{mangled(dtype)}"
        return w.call(name, dtype, (kind, a), (kind, b))
    if op in ("shl", "shr"):
        return _shift(w, op, a, b, dtype)
    if op == "pow":
        return _int_power(w, a, b, dtype)
    if op in ("div", "floordiv", "mod"):
        return _divide(w, op, a, b, dtype)
    raise CompilerBug("codegen", f"no operation {op!r} on {dtype}")


def _shift(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    kind, top = type_name(dtype), literal(dtype.bits - 1, dtype)
    over = w.op(f"icmp ugt {kind} {b}, {top}")
    if op == "shr" and dtype.kind == "i":
        return w.op(f"ashr {kind} {a}, {select(w, over, top, b, dtype)}")
    shifted = w.op(
        f"{'shl' if op == 'shl' else 'lshr'} {kind} {a}, {select(w, over, top, b, dtype)}"
    )
    return select(w, over, literal(0, dtype), shifted, dtype)


def _divide(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    kind, zero = type_name(dtype), literal(0, dtype)
    by_zero = w.op(f"icmp eq {kind} {b}, {zero}")
    divisor = select(w, by_zero, literal(1, dtype), b, dtype)
    if dtype.kind == "u":
        quotient = _truncated(w, a, divisor, dtype)
    else:
        # -a instead of a / -1, which traps for the least int
        negate = w.op(f"icmp eq {kind} {b}, {literal(-1, dtype)}")
        safe = select(w, negate, literal(1, dtype), divisor, dtype)
        minus = w.op(f"sub {kind} {zero}, {a}")
        quotient = select(w, negate, minus, _truncated(w, a, safe, dtype), dtype)
    rest = w.op(f"sub {kind} {a}, {w.op(f'mul {kind} {quotient}, {divisor}')}")
    if op != "div" and dtype.kind == "i":
        quotient, rest = _to_floor(w, quotient, rest, divisor, dtype)
    return select(w, by_zero, zero, rest if op == "mod" else quotient, dtype)


def _to_floor(w: Writer, quotient: str, rest: str, divisor: str, dtype: DType) -> tuple[str, str]:
    kind, zero = type_name(dtype), literal(0, dtype)
    mixed = w.op(f"icmp slt {kind} {w.op(f'xor {kind} {rest}, {divisor}')}, {zero}")
    mask = type_name(boolean.vector(dtype.lanes))
    down = w.op(f"and {mask} {w.op(f'icmp ne {kind} {rest}, {zero}')}, {mixed}")
    lower = w.op(f"sub {kind} {quotient}, {literal(1, dtype)}")
    return select(w, down, lower, quotient, dtype), select(
        w, down, w.op(f"add {kind} {rest}, {divisor}"), rest, dtype
    )


def _truncated(w: Writer, a: str, b: str, dtype: DType) -> str:
    """a / b rounded towards zero. x86 has no vector division of ints: narrow ones go through
    floats, exactly.
    """
    instruction = "sdiv" if dtype.kind == "i" else "udiv"
    if dtype.lanes == 1 or dtype.bits == 64:
        return w.op(f"{instruction} {type_name(dtype)} {a}, {b}")
    through = (f64 if dtype.bits == 32 else f32).vector(dtype.lanes)
    left, right = convert(w, a, dtype, through), convert(w, b, dtype, through)
    return convert(w, w.op(f"fdiv {type_name(through)} {left}, {right}"), through, dtype)


def floor_known(w: Writer, op: str, a: str, b: str, dtype: DType) -> str:
    """floordiv or mod of a dividend known not to be negative by a positive literal; indices are
    below 2**52.
    """
    kind = type_name(dtype)
    if dtype.lanes == 1 or dtype.bits != 64 or _power_of_two(b):
        return w.op(f"{'udiv' if op == 'floordiv' else 'urem'} {kind} {a}, {b}")
    double = f64.vector(dtype.lanes)
    wide, magic = type_name(double), literal(2.0**52, double)
    bits = literal(0x4330000000000000, dtype)

    def exact(ref: str) -> str:  # int below 2**52 to f64, in instructions every x86 has
        raised = w.op(f"bitcast {kind} {w.op(f'or {kind} {ref}, {bits}')} to {wide}")
        return w.op(f"fsub {wide} {raised}, {magic}")

    ratio = w.op(f"fdiv {wide} {exact(a)}, {exact(b)}")
    whole = w.call(f"llvm.floor.{mangled(double)}", double, (wide, ratio))
    raised = w.op(f"bitcast {wide} {w.op(f'fadd {wide} {whole}, {magic}')} to {kind}")
    quotient = w.op(f"xor {kind} {raised}, {bits}")
    if op == "floordiv":
        return quotient
    return w.op(f"sub {kind} {a}, {w.op(f'mul {kind} {quotient}, {b}')}")


def _power_of_two(ref: str) -> bool:
    number = ref.rpartition(" ")[2].rstrip(")")
    return number.isdigit() and int(number) & (int(number) - 1) == 0


def _int_power(w: Writer, base: str, exponent: str, dtype: DType) -> str:
    """base ** exponent by squaring, wrapping; a negative exponent gives 1 / base rounded towards
    zero.
    """
    kind, zero, one = type_name(dtype), literal(0, dtype), literal(1, dtype)
    result, square, mask = one, base, type_name(boolean.vector(dtype.lanes))
    for bit in range(dtype.bits if dtype.bits <= 8 else 16):
        power = literal(1 << bit, dtype)
        is_set = w.op(f"icmp ne {kind} {w.op(f'and {kind} {exponent}, {power}')}, {zero}")
        result = select(w, is_set, w.op(f"mul {kind} {result}, {square}"), result, dtype)
        square = w.op(f"mul {kind} {square}, {square}")
    if dtype.kind == "u":
        return result
    negative = w.op(f"icmp slt {kind} {exponent}, {zero}")
    plus = w.op(f"icmp eq {kind} {base}, {one}")
    minus = w.op(f"icmp eq {kind} {base}, {literal(-1, dtype)}")
    unit = w.op(f"or {mask} {plus}, {minus}")
    return select(w, negative, select(w, unit, result, zero, dtype), result, dtype)


def small_power(w: Writer, a: str, exponent: float, dtype: DType) -> str:
    """a ** 1, 2 or 3."""
    result = a
    for _ in range(int(exponent) - 1):
        result = binary(w, "mul", result, a, dtype)
    return result


def to_i32(w: Writer, ref: str, dtype: DType) -> str:
    """A scalar i64 known to fit, as i32."""
    return w.op(f"trunc {type_name(dtype)} {ref} to {type_name(i32)}")
