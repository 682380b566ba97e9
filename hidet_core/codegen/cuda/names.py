"""Names of types, variables and literals in CUDA C++."""

from __future__ import annotations

import math
import re
from typing import Any

from hidet_core.ir.dtypes import FLOAT8, DType
from hidet_core.ir.expr import Buffer, Var

_TYPES = {"f32": "float", "f64": "double", "f16": "ht_f16", "bf16": "ht_bf16"}
_TYPES |= {t.name: "u8" for t in FLOAT8}
_RESERVED = frozenset(
    "alignas and asm auto bool break case catch char class const continue default delete do double"
    " else enum explicit export extern false float for friend goto if inline int long mutable"
    " namespace new not operator or private protected public register return short signed sizeof"
    " static struct switch template this throw true try typedef union unsigned using virtual void"
    " volatile while xor i8 i16 i32 i64 u8 u16 u32 u64 lane arena".split()
)


def type_name(dtype: DType) -> str:
    """The C++ type of a value: i32 and the like are typedefs of intrinsics.h."""
    scalar = _TYPES.get(dtype.name, dtype.name)
    return scalar if dtype.lanes == 1 else f"ht_vec<{scalar}, {dtype.lanes}>"


def literal(value: Any, dtype: DType) -> str:
    """A number as a constant of that (scalar) type."""
    if dtype.is_bool:
        return "true" if value else "false"
    if dtype.is_float:
        return _float(float(value), dtype)
    if dtype.kind == "i" and value == -(1 << dtype.bits - 1):
        return f"{type_name(dtype)}({value + 1} - 1)" if dtype.bits < 64 else f"({value + 1}ll - 1)"
    suffix = {("i", 64): "ll", ("u", 64): "ull", ("u", 32): "u"}.get((dtype.kind, dtype.bits), "")
    return f"{value}{suffix}" if dtype.bits >= 32 else f"{type_name(dtype)}({value})"


def _float(value: float, dtype: DType) -> str:
    if dtype.bits == 16:
        return f"{type_name(dtype)}({_float(value, _SINGLE)})"
    if math.isnan(value):
        return f"ht_nan<{type_name(dtype)}>()"
    if math.isinf(value) or (dtype.bits == 32 and abs(value) > _LARGEST):
        return f"{'-' if value < 0 else ''}ht_inf<{type_name(dtype)}>()"
    return f"{value!r}{'f' if dtype.bits == 32 else ''}"


_SINGLE = DType("f32", "f", 32, 1)
_LARGEST = 3.4028235677973366e38  # from here on a float is infinite


class Names:
    """Gives every variable and buffer of a kernel a name of its own."""

    def __init__(self) -> None:
        self.known: dict[Var | Buffer, str] = {}
        self.counts: dict[str, int] = {}

    def of(self, node: Var | Buffer) -> str:
        name = self.known.get(node)
        if name is None:
            name = self.known[node] = self.fresh(node.name)
        return name

    def fresh(self, wanted: str) -> str:
        """A name that nothing else has."""
        plain = re.sub(r"\W", "_", wanted, flags=re.ASCII)
        if not plain or plain[0].isdigit() or plain in _RESERVED or plain.startswith(("ht_", "HT")):
            plain = f"v_{plain}"
        while True:
            count = self.counts.get(plain, 0)
            self.counts[plain] = count + 1
            name = plain if count == 0 else f"{plain}_{count}"
            if name == plain or name not in self.counts:
                self.counts.setdefault(name, 1)
                return name
