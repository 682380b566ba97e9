"""Loads and stores: contiguous vectors, scalars, gathers and scatters, masks.

A flat index is classified once: `Ramp(base, 1)` is a contiguous access, a small constant stride a
few contiguous ones and shuffles, `Broadcast` a scalar one, anything else a gather or scatter.
Locals are arrays on the stack or, large ones, in the workspace, unless `registers` can keep them.
"""

from __future__ import annotations

from collections.abc import Callable

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import DType, boolean, u8
from hidet_core.ir.expr import Buffer, Expr, Load, Ramp, is_const
from hidet_core.ir.stmt import Prefetch, Program, Store

from ..text import Writer, literal, mangled, memory_type, type_name
from .access import contiguous, one_place
from .registers import Registers
from .workspace import elements, workspace_offsets

MAX_SHUFFLED_STRIDE = 4
Refs = Callable[[Expr], str]


class Memory:
    """Where each buffer of a program is, and how it is read and written. `refs` gives the value of
    an expression.
    """

    def __init__(self, writer: Writer, program: Program, refs: Refs) -> None:
        self.w = writer
        self.refs = refs
        self.pointers = {id(b): f"%p{i}" for i, b in enumerate(program.params)}
        self.registers = Registers(writer, program, refs)
        places = workspace_offsets(program)
        self.pointers |= {id(b): f"%w{i}" for i, b in enumerate(places)}
        for buffer in program.locals:
            if buffer not in self.registers and buffer not in places:
                self.pointers[id(buffer)] = self._array(buffer)

    def load(self, node: Load) -> str:
        index, mask, dtype = node.indices[0], node.mask, node.dtype
        if dtype.lanes != index.dtype.lanes:
            raise CompilerBug("codegen", f"load of {node.buffer.name}: {dtype} at {index.dtype}")
        if node.buffer in self.registers:
            return self._masked(self.registers.load(node), mask, dtype)
        if mask is not None and is_const(mask, True):
            mask = None
        single = one_place(index)
        if single is not None:
            return self._load_splat(node.buffer, single, mask, dtype)
        if dtype.lanes == 1:
            return self._load_scalar(node.buffer, index, None if mask is None else self.refs(mask))
        if contiguous(index):
            return self._load_vector(node.buffer, index.base, mask, dtype)
        if mask is None and isinstance(index, Ramp) and is_const(index.stride):
            if 2 <= index.stride.value <= MAX_SHUFFLED_STRIDE:
                return self._load_strided(
                    node.buffer, self.refs(index.base), index.stride.value, dtype
                )
        return self._gather(node.buffer, index, mask, dtype)

    def store(self, node: Store) -> None:
        index, mask, lanes = node.indices[0], node.mask, node.indices[0].dtype.lanes
        if mask is not None and is_const(mask, True):
            mask = None
        value = self.refs(node.value)
        dtype = node.value.dtype
        if dtype.lanes != lanes:
            value, dtype = self.w.splat(value, dtype.vector(lanes)), dtype.vector(lanes)
        if node.buffer in self.registers:
            self.registers.store(node.buffer, index, value, dtype, mask)
        elif lanes == 1:
            self._store_scalar(node.buffer, index, value, dtype, mask)
        elif contiguous(index):
            self._store_vector(node.buffer, index.base, value, dtype, mask)
        else:
            self._scatter(node.buffer, index, value, dtype, mask)

    def prefetch(self, node: Prefetch) -> None:
        address = self._address(node.buffer, self.refs(node.indices[0]))
        self.w.module.declare("llvm.prefetch.p0", "void", "ptr, i32, i32, i32")
        locality = 4 - node.level  # LLVM counts from 3 (keep near the core) down
        self.w.do(f"call void @llvm.prefetch.p0(ptr {address}, i32 0, i32 {locality}, i32 1)")

    def _masked(self, value: str, mask: Expr | None, dtype: DType) -> str:
        """The value where the mask is on, 0 elsewhere."""
        if mask is None:
            return value
        kind = type_name(dtype)
        chosen = f"{kind} {value}, {kind} {literal(0, dtype)}"
        return self.w.op(f"select {type_name(mask.dtype)} {self.refs(mask)}, {chosen}")

    def _array(self, buffer: Buffer) -> str:
        size = max(elements(buffer), 1)
        return self.w.alloca(f"[{size} x {memory_type(buffer.dtype)}]", 64)

    def _address(self, buffer: Buffer, index: str) -> str:
        pointer = self.pointers.get(id(buffer))
        if pointer is None:
            raise CompilerBug(
                "codegen", f"buffer {buffer.name} is neither a parameter nor a local of the program"
            )
        if index == "0":
            return pointer
        kind = "i64" if not index.startswith("<") else index
        return self.w.op(
            f"getelementptr {memory_type(buffer.dtype)}, ptr {pointer}, {kind} {index}"
        )

    def _load_splat(self, buffer: Buffer, index: Expr, mask: Expr | None, dtype: DType) -> str:
        """One element in all lanes; it is read if any lane wants it."""
        if mask is None or mask.dtype.lanes == 1:
            wanted = None if mask is None else self.refs(mask)
            return self.w.splat(self._load_scalar(buffer, index, wanted), dtype)
        lanes = boolean.vector(dtype.lanes)
        vector = (type_name(lanes), self.refs(mask))
        wanted = self.w.call(f"llvm.vector.reduce.or.v{dtype.lanes}i1", boolean, vector)
        value = self.w.splat(self._load_scalar(buffer, index, wanted), dtype)
        return self._masked(value, mask, dtype)

    def _load_scalar(self, buffer: Buffer, index: Expr, wanted: str | None) -> str:
        address = self._address(buffer, self.refs(index))
        if wanted is None:
            return self._read(buffer.dtype, address)
        done, inside, before = self.w.label("m"), self.w.label("t"), self.w.block
        self.w.do(f"br i1 {wanted}, label %{inside}, label %{done}")
        self.w.place(inside)
        value = self._read(buffer.dtype, address)
        self.w.do(f"br label %{done}")
        self.w.place(done)
        zero = literal(0, buffer.dtype)
        return self.w.op(f"phi {type_name(buffer.dtype)} [{value}, %{inside}], [{zero}, %{before}]")

    def _store_scalar(
        self, buffer: Buffer, index: Expr, value: str, dtype: DType, mask: Expr | None
    ) -> None:
        address = self._address(buffer, self.refs(index))
        stored = self._as_stored(value, dtype)
        text = f"store {memory_type(dtype)} {stored}, ptr {address}, align {dtype.bytes}"
        if mask is None:
            self.w.do(text)
            return
        condition, done, inside = self.refs(mask), self.w.label("m"), self.w.label("t")
        self.w.do(f"br i1 {condition}, label %{inside}, label %{done}")
        self.w.place(inside)
        self.w.do(text)
        self.w.do(f"br label %{done}")
        self.w.place(done)

    def _load_vector(self, buffer: Buffer, base: Expr, mask: Expr | None, dtype: DType) -> str:
        address = self._address(buffer, self.refs(base))
        if mask is None:
            return self._read(dtype, address)
        held, kind, bits = stored_dtype(dtype), memory_type(dtype), self._mask(mask, dtype.lanes)
        lanes = type_name(boolean.vector(dtype.lanes))
        name = f"llvm.masked.load.{_memory_mangled(dtype)}.p0"
        self.w.module.declare(name, kind, f"ptr, i32, {lanes}, {kind}")
        arguments = f"ptr {address}, i32 {dtype.bytes}, {lanes} {bits}, {kind} zeroinitializer"
        return self._as_value(self.w.op(f"call {type_name(held)} @{name}({arguments})"), dtype)

    def _store_vector(
        self, buffer: Buffer, base: Expr, value: str, dtype: DType, mask: Expr | None
    ) -> None:
        address, stored = self._address(buffer, self.refs(base)), self._as_stored(value, dtype)
        kind = memory_type(dtype)
        if mask is None:
            self.w.do(f"store {kind} {stored}, ptr {address}, align {dtype.bytes}")
            return
        lanes, bits = type_name(boolean.vector(dtype.lanes)), self._mask(mask, dtype.lanes)
        if dtype.bytes < 4:
            bits = self._unknown(bits, dtype.lanes)
        name = f"llvm.masked.store.{_memory_mangled(dtype)}.p0"
        self.w.module.declare(name, "void", f"{kind}, ptr, i32, {lanes}")
        self.w.do(
            f"call void @{name}({kind} {stored}, ptr {address}, i32 {dtype.bytes}, {lanes} {bits})"
        )

    def _unknown(self, bits: str, lanes: int) -> str:
        """A mask that LLVM cannot know: of truncated values in one lane that is known it makes (22)
        a scalar store of all their bits, over what lies behind.
        """
        wide = 32 if lanes <= 32 else 64
        number = self.w.op(f"bitcast <{lanes} x i1> {bits} to i{lanes}")
        if lanes < wide:
            number = self.w.op(f"zext i{lanes} {number} to i{wide}")
        number = self.w.op(f'call i{wide} asm "", "=r,0"(i{wide} {number})')
        if lanes < wide:
            number = self.w.op(f"trunc i{wide} {number} to i{lanes}")
        return self.w.op(f"bitcast i{lanes} {number} to <{lanes} x i1>")

    def _load_strided(self, buffer: Buffer, base: str, stride: int, dtype: DType) -> str:
        """Contiguous loads that cover the first to the last element, nothing beyond, then
        shuffles.
        """
        lanes, kind = dtype.lanes, type_name(dtype)
        span = stride * (lanes - 1) + 1
        starts = [*range(0, span - lanes, lanes), span - lanes]
        found: list[int | None] = [None] * lanes
        result = "poison"
        for start in starts:
            address = self._address(
                buffer, self.w.op(f"add nsw i64 {base}, {start}") if start else base
            )
            part = self._read(dtype, address)
            picks = []
            for lane in range(lanes):
                offset = lane * stride - start
                if found[lane] is None and 0 <= offset < lanes:
                    found[lane] = offset
                    picks.append(f"i32 {lanes + offset}")
                else:
                    picks.append("i32 poison" if found[lane] is None else f"i32 {lane}")
            operands = f"{kind} {result}, {kind} {part}"
            result = self.w.op(f"shufflevector {operands}, <{lanes} x i32> <{', '.join(picks)}>")
        return result

    def _gather(self, buffer: Buffer, index: Expr, mask: Expr | None, dtype: DType) -> str:
        lanes, kind, held = dtype.lanes, memory_type(dtype), stored_dtype(dtype)
        pointers, bits = self._pointers(buffer, index), self._mask(mask, lanes)
        name = f"llvm.masked.gather.{_memory_mangled(dtype)}.v{lanes}p0"
        self.w.module.declare(name, kind, f"<{lanes} x ptr>, i32, <{lanes} x i1>, {kind}")
        source = f"<{lanes} x ptr> {pointers}, i32 {dtype.bytes}, <{lanes} x i1> {bits}"
        arguments = f"{source}, {kind} zeroinitializer"
        return self._as_value(self.w.op(f"call {type_name(held)} @{name}({arguments})"), dtype)

    def _scatter(
        self, buffer: Buffer, index: Expr, value: str, dtype: DType, mask: Expr | None
    ) -> None:
        lanes, kind = dtype.lanes, memory_type(dtype)
        stored, pointers = self._as_stored(value, dtype), self._pointers(buffer, index)
        name = f"llvm.masked.scatter.{_memory_mangled(dtype)}.v{lanes}p0"
        self.w.module.declare(name, "void", f"{kind}, <{lanes} x ptr>, i32, <{lanes} x i1>")
        bits = self._mask(mask, lanes)
        target = f"<{lanes} x ptr> {pointers}, i32 {dtype.bytes}, <{lanes} x i1> {bits}"
        self.w.do(f"call void @{name}({kind} {stored}, {target})")

    def _pointers(self, buffer: Buffer, index: Expr) -> str:
        pointer = self._address(buffer, "0")
        kind = memory_type(buffer.dtype)
        return self.w.op(
            f"getelementptr {kind}, ptr {pointer}, {type_name(index.dtype)} {self.refs(index)}"
        )

    def _mask(self, mask: Expr | None, lanes: int) -> str:
        if mask is None:
            return literal(True, boolean.vector(lanes))
        bits = self.refs(mask)
        return bits if mask.dtype.lanes == lanes else self.w.splat(bits, boolean.vector(lanes))

    def _read(self, dtype: DType, address: str) -> str:
        return self._as_value(
            self.w.op(f"load {memory_type(dtype)}, ptr {address}, align {dtype.bytes}"), dtype
        )

    def _as_value(self, ref: str, dtype: DType) -> str:
        if not dtype.is_bool:
            return ref
        return (
            self.w.op(f"icmp ne {memory_type(dtype)} {ref}, zeroinitializer")
            if dtype.lanes > 1
            else self.w.op(f"icmp ne i8 {ref}, 0")
        )

    def _as_stored(self, ref: str, dtype: DType) -> str:
        if not dtype.is_bool:
            return ref
        return self.w.op(f"zext {type_name(dtype)} {ref} to {memory_type(dtype)}")


def stored_dtype(dtype: DType) -> DType:
    return u8.vector(dtype.lanes) if dtype.is_bool else dtype


def _memory_mangled(dtype: DType) -> str:
    return mangled(stored_dtype(dtype))
