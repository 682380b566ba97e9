"""dot4, with the sum it is added to: one instruction where the CPU has it (VNNI), else products of
16-bit halves, else shifts.

total + u8(a) . i8(b), bytes in the words of i32 vectors. No way saturates: pmaddwd adds two
products of at most 255 * 128, and `vpdpbusd` (without -s) wraps.
"""

from __future__ import annotations

from hidet_core.ir.dtypes import DType, i16
from hidet_core.target.cpu import Cpu

from ..text import Writer, literal, type_name

_VNNI = {16: "512", 8: "256", 4: "128"}  # by lanes
_MULTIPLY_ADD = {
    16: "llvm.x86.avx512.pmaddw.d.512",
    8: "llvm.x86.avx2.pmadd.wd",
    4: "llvm.x86.sse2.pmadd.wd",
}


def dot4(w: Writer, total: str | None, a: str, b: str, dtype: DType, cpu: Cpu | None) -> str:
    """total (0 where it is None) + dot4(a, b). cpu: None for code that any x86 runs."""
    width = dtype.lanes * dtype.bytes
    fits = cpu is not None and dtype.lanes in _VNNI and width <= cpu.vector_bytes
    kind = type_name(dtype)
    if fits and cpu is not None and cpu.has_vnni:
        name = f"llvm.x86.avx512.vpdpbusd.{_VNNI[dtype.lanes]}"
        return w.call(name, dtype, (kind, total or literal(0, dtype)), (kind, a), (kind, b))
    products = _by_halves(w, a, b, dtype) if fits else _by_shifts(w, a, b, dtype)
    return products if total is None else w.op(f"add {kind} {total}, {products}")


def _by_halves(w: Writer, a: str, b: str, dtype: DType) -> str:
    """The even and the odd bytes as 16-bit integers, whose products pmaddwd adds in pairs."""
    kind, short = type_name(dtype), i16.vector(dtype.lanes * 2)
    shorts, low, eight = type_name(short), literal(0x00FF00FF, dtype), literal(8, dtype)

    def halves(ref: str) -> str:
        return w.op(f"bitcast {kind} {ref} to {shorts}")

    even_a = halves(w.op(f"and {kind} {a}, {low}"))
    odd_a = halves(w.op(f"and {kind} {w.op(f'lshr {kind} {a}, {eight}')}, {low}"))
    pairs, by = halves(b), literal(8, short)
    even_b = w.op(f"ashr {shorts} {w.op(f'shl {shorts} {pairs}, {by}')}, {by}")
    odd_b = w.op(f"ashr {shorts} {pairs}, {by}")
    sums = [
        w.call(_MULTIPLY_ADD[dtype.lanes], dtype, (shorts, left), (shorts, right))
        for left, right in ((even_a, even_b), (odd_a, odd_b))
    ]
    return w.op(f"add {kind} {sums[0]}, {sums[1]}")


def _by_shifts(w: Writer, a: str, b: str, dtype: DType) -> str:
    """Byte by byte, in operations that every target and every number of lanes has."""
    kind, byte = type_name(dtype), literal(255, dtype)
    total = ""
    for place in range(4):
        down, up = literal(8 * place, dtype), literal(24 - 8 * place, dtype)
        left = w.op(f"and {kind} {w.op(f'lshr {kind} {a}, {down}')}, {byte}")
        high = w.op(f"shl {kind} {b}, {up}")
        right = w.op(f"ashr {kind} {high}, {literal(24, dtype)}")
        product = w.op(f"mul {kind} {left}, {right}")
        total = w.op(f"add {kind} {total}, {product}") if total else product
    return total
