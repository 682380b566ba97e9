"""Buffers kept in registers: one stack slot per vector, which LLVM promotes.

That takes a constant place in every access, and vectors of one width at multiples of it; an element
of a vector is then an extract or an insert.  A 'register' buffer with any other access is an array
in memory like a 'local' one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Buffer, Expr, Load, is_const
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import Program, Store

from ..text import Writer, type_name
from .access import constant_base, contiguous, one_place


@dataclass
class Slots:
    """A buffer in registers: stack slots of `width` elements each, by slot number."""

    width: int
    names: dict[int, str] = field(default_factory=dict)


class Registers:
    """The slots of a program's register buffers. `refs` gives the value of an expression."""

    def __init__(self, writer: Writer, program: Program, refs: Callable[[Expr], str]) -> None:
        self.w = writer
        self.refs = refs
        widths = register_widths(program)
        self.buffers = {key: Slots(width) for key, width in widths.items() if width}

    def __contains__(self, buffer: Buffer) -> bool:
        return id(buffer) in self.buffers

    def _slot(self, buffer: Buffer, number: int) -> tuple[str, DType]:
        slots = self.buffers[id(buffer)]
        dtype = buffer.dtype.vector(slots.width)
        if number not in slots.names:
            slots.names[number] = self.w.alloca(
                type_name(dtype), max(dtype.bytes, 64 if slots.width > 1 else 1)
            )
        return slots.names[number], dtype

    def load(self, node: Load) -> str:
        index = node.indices[0]
        flat, width = constant_base(index), self.buffers[id(node.buffer)].width
        name, dtype = self._slot(node.buffer, flat // width)
        whole = self.w.op(f"load {type_name(dtype)}, ptr {name}")
        if contiguous(index) and node.dtype.lanes > 1:
            return whole
        if width > 1:
            whole = self.w.op(f"extractelement {type_name(dtype)} {whole}, i64 {flat % width}")
        return self.w.splat(whole, node.dtype)

    def store(
        self, buffer: Buffer, index: Expr, value: str, dtype: DType, mask: Expr | None
    ) -> None:
        flat, width = constant_base(index), self.buffers[id(buffer)].width
        name, slot = self._slot(buffer, flat // width)
        kind = type_name(slot)
        if mask is not None or dtype.lanes != width:
            old = self.w.op(f"load {kind}, ptr {name}")
            if dtype.lanes != width:
                lane, before = f"i64 {flat % width}", type_name(dtype)
                if mask is not None:
                    kept = self.w.op(f"extractelement {kind} {old}, {lane}")
                    value = self.w.op(
                        f"select i1 {self.refs(mask)}, {before} {value}, {before} {kept}"
                    )
                value = self.w.op(f"insertelement {kind} {old}, {before} {value}, {lane}")
            else:
                value = self._choose(mask, value, old, slot)
        self.w.do(f"store {kind} {value}, ptr {name}")

    def _choose(self, mask: Expr, value: str, other: str, dtype: DType) -> str:
        kind = type_name(dtype)
        chosen = f"{kind} {value}, {kind} {other}"
        return self.w.op(f"select {type_name(mask.dtype)} {self.refs(mask)}, {chosen}")


def register_widths(program: Program) -> dict[int, int]:
    """For each register buffer, by id: its access width, 0 where an access forbids to keep it in
    registers.
    """
    accesses: dict[int, list[Expr]] = {id(b): [] for b in program.locals if b.scope == "register"}
    clashing: set[int] = set()  # buffers with a vector stored to one element
    for node in walk(program.body):
        if isinstance(node, (Load, Store)) and id(node.buffer) in accesses:
            accesses[id(node.buffer)].append(node.indices[0])
            if isinstance(node, Store) and one_place(node.indices[0]) is not None:
                clashing.add(id(node.buffer))
    return {key: 0 if key in clashing else _width(found) for key, found in accesses.items()}


def _width(indices: list[Expr]) -> int:
    singles = [one_place(index) for index in indices]
    vectors = [
        i for i, one in zip(indices, singles, strict=True) if i.dtype.lanes > 1 and one is None
    ]
    widths = {index.dtype.lanes for index in vectors}
    if len(widths) > 1:
        return 0
    width = widths.pop() if widths else 1
    for index, one in zip(indices, singles, strict=True):
        if index.dtype.lanes == 1 or one is not None:
            known = is_const(index if one is None else one)
        else:
            known = contiguous(index) and is_const(index.base) and index.base.value % width == 0
        if not known:
            return 0
    return width
