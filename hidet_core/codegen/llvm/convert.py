"""Conversions between dtypes, any number of lanes.

float -> int truncates (lanes out of range: what x86 gives, never undefined for 8 and 16 bits, which
wrap); anything -> bool is `!= 0`.  f16 and bf16 go through f32; every rounding is to nearest even,
also from f64 to 16 bits.
"""

from __future__ import annotations

from hidet_core.ir.dtypes import DType, f32, f64, i32, i64, u16, u32

from ..text import Writer, literal, type_name

HALVES = ("f16", "bf16")


def convert(w: Writer, ref: str, source: DType, target: DType) -> str:
    """The value as `target` (same lanes)."""
    if source == target:
        return ref
    if target.is_bool:
        return _to_bool(w, ref, source)
    if source.name in HALVES:
        return convert(w, widen(w, ref, source), f32.vector(source.lanes), target)
    if target.name in HALVES:
        return _to_half(w, ref, source, target)
    if source.is_bool:
        return _simple(w, "uitofp" if target.is_float else "zext", ref, source, target)
    if source.is_float:
        return _from_float(w, ref, source, target)
    if target.is_float:
        return _simple(w, "sitofp" if source.kind == "i" else "uitofp", ref, source, target)
    if source.bits == target.bits:
        return ref
    grow = "sext" if source.kind == "i" else "zext"
    return _simple(w, grow if target.bits > source.bits else "trunc", ref, source, target)


def widen(w: Writer, ref: str, dtype: DType) -> str:
    """f16 or bf16 to f32."""
    single = f32.vector(dtype.lanes)
    if dtype.name == "f16":
        return _simple(w, "fpext", ref, dtype, single)
    bits = u32.vector(dtype.lanes)
    wide = _simple(w, "zext", ref, u16.vector(dtype.lanes), bits)
    high = w.op(f"shl {type_name(bits)} {wide}, {literal(16, bits)}")
    return _simple(w, "bitcast", high, bits, single)


def narrow(w: Writer, ref: str, dtype: DType) -> str:
    """f32 to f16 or bf16."""
    single = f32.vector(dtype.lanes)
    if dtype.name == "f16":
        return _simple(w, "fptrunc", ref, single, dtype)
    kind, bits = type_name(single), u32.vector(dtype.lanes)
    ints = type_name(bits)
    raw = _simple(w, "bitcast", ref, single, bits)
    odd = w.op(f"and {ints} {w.op(f'lshr {ints} {raw}, {literal(16, bits)}')}, {literal(1, bits)}")
    bias = w.op(f"add {ints} {odd}, {literal(0x7FFF, bits)}")
    rounded = w.op(f"add {ints} {raw}, {bias}")
    quiet = w.op(f"or {ints} {raw}, {literal(0x400000, bits)}")
    is_nan = w.op(f"fcmp uno {kind} {ref}, {ref}")
    mask = f"<{dtype.lanes} x i1>" if dtype.lanes > 1 else "i1"
    kept = w.op(f"select {mask} {is_nan}, {ints} {quiet}, {ints} {rounded}")
    top = w.op(f"lshr {ints} {kept}, {literal(16, bits)}")
    return w.op(f"trunc {ints} {top} to {type_name(dtype)}")


def _simple(w: Writer, instruction: str, ref: str, source: DType, target: DType) -> str:
    return w.op(f"{instruction} {type_name(source)} {ref} to {type_name(target)}")


def _to_bool(w: Writer, ref: str, source: DType) -> str:
    if source.name in HALVES:
        ref, source = widen(w, ref, source), f32.vector(source.lanes)
    compare = "fcmp une" if source.is_float else "icmp ne"
    return w.op(f"{compare} {type_name(source)} {ref}, {literal(0, source)}")


def _from_float(w: Writer, ref: str, source: DType, target: DType) -> str:
    if target.is_float:
        return _simple(w, "fpext" if target.bits > source.bits else "fptrunc", ref, source, target)
    if target.kind == "u" and target.bits == 64:
        return _simple(w, "fptoui", ref, source, target)
    through = (i32 if target.bits < 32 or target.name == "i32" else i64).vector(source.lanes)
    whole = _simple(w, "fptosi", ref, source, through)
    return convert(w, whole, through, target)


def _to_half(w: Writer, ref: str, source: DType, target: DType) -> str:
    single = f32.vector(source.lanes)
    if source == f64.vector(source.lanes):
        ref = _round_to_odd(w, ref, source.lanes)
    elif source != single:
        ref = convert(w, ref, source, single)
    return narrow(w, ref, target)


def _round_to_odd(w: Writer, ref: str, lanes: int) -> str:
    """f64 to f32 so that a second rounding to 16 bits gives what one rounding would have given."""
    double, single, bits = (type_name(t.vector(lanes)) for t in (f64, f32, u32))
    near = w.op(f"fptrunc {double} {ref} to {single}")
    back = w.op(f"fpext {single} {near} to {double}")
    inexact = w.op(f"fcmp one {double} {back}, {ref}")
    size = w.call(f"llvm.fabs.{_suffix(lanes)}", f64.vector(lanes), (double, ref))
    size_back = w.call(f"llvm.fabs.{_suffix(lanes)}", f64.vector(lanes), (double, back))
    away = w.op(f"fcmp ogt {double} {size_back}, {size}")
    mask = f"<{lanes} x i1>" if lanes > 1 else "i1"
    raw = w.op(f"bitcast {single} {near} to {bits}")
    down = w.op(f"sub {bits} {raw}, {w.op(f'zext {mask} {away} to {bits}')}")
    odd = w.op(f"or {bits} {down}, {w.op(f'zext {mask} {inexact} to {bits}')}")
    return w.op(f"bitcast {bits} {odd} to {single}")


def _suffix(lanes: int) -> str:
    return f"v{lanes}f64" if lanes > 1 else "f64"
