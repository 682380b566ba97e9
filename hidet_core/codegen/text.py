"""The text of LLVM IR: type names, literals, and writers of functions and modules.

bf16 values are held as i16 and bools as i1; in memory a bool takes a byte. A module collects what
its functions need (declarations of intrinsics, internal helper functions) so that each appears
once.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

from hidet_core.ir.dtypes import DType

_SCALARS = {"f32": "float", "f64": "double", "f16": "half", "bf16": "i16", "bool": "i1"}


@functools.cache
def type_name(dtype: DType) -> str:
    """The LLVM type of a value."""
    scalar = _SCALARS.get(dtype.name) or f"i{dtype.bits}"
    return scalar if dtype.lanes == 1 else f"<{dtype.lanes} x {scalar}>"


@functools.cache
def memory_type(dtype: DType) -> str:
    """The LLVM type of a value in memory."""
    if not dtype.is_bool:
        return type_name(dtype)
    return "i8" if dtype.lanes == 1 else f"<{dtype.lanes} x i8>"


@functools.cache
def mangled(dtype: DType) -> str:
    """The type as part of an intrinsic's name, such as v16f32."""
    kind = "f" if dtype.is_float and dtype.name != "bf16" else "i"
    return (f"v{dtype.lanes}" if dtype.lanes > 1 else "") + f"{kind}{dtype.bits}"


def literal(value: Any, dtype: DType) -> str:
    """A Python number as an LLVM constant, in every lane."""
    scalar = _scalar_literal(value, dtype)
    if dtype.lanes == 1:
        return scalar
    return f"splat ({type_name(dtype.scalar)} {scalar})"


def _scalar_literal(value: Any, dtype: DType) -> str:
    if dtype.is_bool:
        return "true" if value else "false"
    if dtype.name == "bf16":
        return str(_bf16_bits(float(value)))
    if dtype.name == "f16":
        return f"0xH{_packed('e', 'H', value):04X}"
    if dtype.is_float:
        rounded = (
            struct.unpack("<f", struct.pack("<f", _clamp_f32(value)))[0]
            if dtype.bits == 32
            else value
        )
        return f"0x{_packed('d', 'Q', float(rounded)):016X}"
    return str(int(value))


def _packed(fmt: str, bits: str, value: float) -> int:
    try:
        return struct.unpack(f"<{bits}", struct.pack(f"<{fmt}", float(value)))[0]
    except OverflowError:  # f16 beyond its range
        return struct.unpack(
            f"<{bits}", struct.pack(f"<{fmt}", float("inf") if value > 0 else float("-inf"))
        )[0]


def _clamp_f32(value: float) -> float:
    try:
        struct.pack("<f", float(value))
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return float(value)


def _bf16_bits(value: float) -> int:
    bits = struct.unpack("<I", struct.pack("<f", _clamp_f32(value)))[0]
    if value != value:
        return 0x7FC0
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


class Module:
    """Declarations and helper functions of one LLVM module."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}
        self.helpers: dict[str, str] = {}
        self.functions: list[str] = []

    def declare(self, name: str, result: str, arguments: str) -> None:
        self.declarations.setdefault(name, f"declare {result} @{name}({arguments})")

    def helper(self, name: str, write: Callable[[], str]) -> None:
        """An internal function, written on its first use."""
        if name not in self.helpers:
            self.helpers[name] = ""  # helpers may use each other, but never themselves
            self.helpers[name] = write()

    def text(self) -> str:
        return "\n".join([*self.declarations.values(), *self.helpers.values(), *self.functions, ""])


class Writer:
    """The instructions of one function, in order; every method returns the name of the value it
    defines.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.allocas: list[str] = []
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0

    def op(self, instruction: str) -> str:
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def do(self, instruction: str) -> None:
        self.lines.append(f"  {instruction}")

    def label(self, hint: str) -> str:
        """A new block name, not placed yet."""
        self._count += 1
        return f"{hint}{self._count}"

    def place(self, label: str) -> None:
        """Instructions from here on belong to that block."""
        self.lines.append(f"{label}:")
        self.block = label

    def alloca(self, type_text: str, align: int) -> str:
        self._count += 1
        name = f"%s{self._count}"
        self.allocas.append(f"  {name} = alloca {type_text}, align {align}")
        return name

    def call(self, name: str, result: DType, *arguments: tuple[str, str]) -> str:
        """Call an intrinsic; arguments are (type, value) pairs."""
        types = ", ".join(t for t, _ in arguments)
        self.module.declare(name, type_name(result), types)
        return self.op(
            f"call {type_name(result)} @{name}({', '.join(f'{t} {v}' for t, v in arguments)})"
        )

    def splat(self, ref: str, dtype: DType) -> str:
        """A scalar in all lanes of dtype."""
        if dtype.lanes == 1:
            return ref
        kind = type_name(dtype)
        first = self.op(f"insertelement {kind} poison, {type_name(dtype.scalar)} {ref}, i64 0")
        return self.op(
            f"shufflevector {kind} {first}, {kind} poison, <{dtype.lanes} x i32> zeroinitializer"
        )

    def body(self) -> str:
        return "\n".join(["entry:", *self.allocas, *self.lines])
