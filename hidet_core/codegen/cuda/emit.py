"""A lowered program as CUDA C++ text.

in:  a flat Program without lanes loops (loops to be unrolled are left to the compiler)
out: `intrinsics.h` and one kernel `name(pointers..., scalars...)`, launched with a block per task
     and the threads and shared bytes of `launch_of(program)`
A vector statement becomes a loop over its lanes, which the compiler unrolls, around accesses of
whole vectors where the lanes are contiguous; masks become branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.expr import Binary, Buffer, Const, Expr, Load, Ramp, is_const
from hidet_core.ir.intrinsics import GRID_WAIT, PROGRAMMATIC, stored_buffers
from hidet_core.ir.intrinsics import INTRINSICS as TABLE
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import (
    Barrier,
    Call,
    For,
    If,
    Let,
    Place,
    Prefetch,
    Program,
    Seq,
    Stmt,
    Store,
)
from hidet_core.ir.tensor_map import TensorMap

from .launch import ALIGNMENT, launch_of
from .names import Names, type_name
from .values import Values
from .wgmma import KINDS, products_source
from .widths import INT_MAX, MAX_GRID, SIZE

INTRINSICS = (Path(__file__).parent / "intrinsics.h").read_text()
INSTRUCTIONS = (Path(__file__).parent / "instructions.h").read_text()
PROGRAMMATIC_TEXT = (Path(__file__).parent / "programmatic.h").read_text()
HOPPER = (Path(__file__).parent / "hopper.h").read_text()
PRODUCT = "wgmma_"
HOPPER_CALLS = {name for name, row in TABLE.items() if row.by == "warpgroup"}
HOPPER_CALLS |= {"fence_proxy_async", "tensor_load", "tensor_prefetch"}
HOPPER_CALLS |= {name for name in TABLE if name.startswith("mbarrier_")}


def emit_cuda(program: Program) -> str:
    """The whole source of a kernel."""
    calls = [node for node in walk(program.body) if isinstance(node, Call)]
    headers = [INTRINSICS]
    if any(call.name not in PROGRAMMATIC for call in calls):
        headers.append(INSTRUCTIONS)
    if any(call.name in PROGRAMMATIC for call in calls):
        headers.append(PROGRAMMATIC_TEXT)
    if any(call.name in HOPPER_CALLS for call in calls):
        products = {
            (call.name.removeprefix(PRODUCT), call.immediates[0])
            for call in calls
            if call.name.removeprefix(PRODUCT) in KINDS
        }
        headers += [HOPPER, products_source(products)]
    return "\n".join([*headers, kernel_text(program)])


def kernel_text(program: Program) -> str:
    """The kernel alone."""
    return _Emitter(program).text()


class _Emitter:
    """Writes one kernel, statement by statement."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.launch = launch_of(program)
        self.names = Names()
        self.values = Values(self.names)
        self.lines: list[str] = []
        self.depth = 1

    def text(self) -> str:
        program = self.program
        stored = stored_buffers(program)
        parameters = []
        for buffer in program.params:
            if isinstance(buffer, TensorMap):
                name = self.names.of(buffer)
                parameters.append(f"const HT_GRID_CONSTANT ht_tensor_map {name}")
                continue
            const = "" if buffer in stored else "const "
            name = self.names.of(buffer)
            parameters.append(f"{const}{type_name(buffer.dtype)}* HT_RESTRICT {name}")
        for var in program.scalars:
            self.values.widths.bind(var, SIZE, is_narrow=False)
            parameters.append(f"const i64 {self.names.of(var)}")
        bounds = f"__launch_bounds__({self._bounds()})"
        heading = f'extern "C" __global__ void {bounds} {program.name}(\n    '
        self._declare()
        blocks = min(self.values.widths.interval(program.tasks)[1], MAX_GRID)
        self.values.widths.bind(program.task, (0, blocks - 1), is_narrow=True)
        self.line(f"const int {self.names.of(program.task)} = ht_block();")
        self._statements(program.body)
        body = "\n".join(self.lines)
        return f"{heading}{f',{chr(10)}    '.join(parameters)}) {{\n{body}\n}}\n"

    def _bounds(self) -> str:
        """Registers are only exchanged between threads where a block's number of them is known."""
        names = {node.name for node in walk(self.program.body) if isinstance(node, Call)}
        alone = ", 1" if "registers_increase" in names else ""
        return f"{self.launch.threads}{alone}"

    def _declare(self) -> None:
        """The buffers of a block and of a thread."""
        if self.launch.shared_bytes:
            alignment = f"__align__({self.launch.alignment})"
            self.line(f"extern __shared__ {alignment} unsigned char arena[];")
        for buffer in self.program.locals:
            kind, name = type_name(buffer.dtype), self.names.of(buffer)
            if buffer.scope == "shared":
                place = f"ht_shared<{kind}>(arena, {self.launch.offsets[buffer]})"
                self.line(f"{kind}* const {name} = {place};")
            else:
                self.line(f"{kind} {name}[{math.prod(int(dim) for dim in buffer.shape)}];")

    def line(self, text: str) -> None:
        self.lines.append("  " * self.depth + text)

    # statements: a work list, because Let chains can be thousands deep

    def _statements(self, body: Stmt) -> None:
        work: list[Stmt | Callable[[], None]] = [body]
        while work:
            item = work.pop()
            match item:
                case Seq():
                    work.extend(reversed(item.stmts))
                case Store():
                    self._store(item)
                case Prefetch():
                    pass  # other threads hide the latency
                case Barrier():
                    self.line("ht_barrier();")
                case Call():
                    self._call(item)
                case Let():
                    self._let(item)
                    work.append(item.body)
                case For():
                    work += [*self._for(item), item.body]
                case If():
                    self._if(item, work)
                case Stmt():
                    kind = type(item).__name__
                    raise CompilerBug("codegen", f"{kind} is not part of lowered programs")
                case _:
                    item()

    def _open(self, heading: str) -> None:
        self.line(f"{heading} {{".lstrip())
        self.depth += 1

    def _close(self) -> None:
        self.depth -= 1
        self.line("}")

    def _for(self, node: For) -> list[Callable[[], None]]:
        widths = self.values.widths
        high = widths.interval(node.extent)[1]
        name = self.names.of(node.var)
        if node.kind == "threads":
            widths.bind(node.var, (0, high - 1), is_narrow=True)
            self.line(f"const int {name} = ht_thread();")
            return []
        if node.kind == "lanes":
            raise CompilerBug("codegen", "a loop over lanes: vectorize_lanes comes before")
        narrow = high <= INT_MAX
        widths.bind(node.var, (0, max(high - 1, 0)), narrow)
        if node.kind == "unroll":
            self.line("HT_UNROLL")
        kind = "int" if narrow else "i64"
        extent = self.values.write(node.extent, 8)
        self._open(f"for ({kind} {name} = 0; {name} < {extent}; ++{name})")
        return [self._close]

    def _if(self, node: If, work: list[Stmt | Callable[[], None]]) -> None:
        self._open(f"if ({self.values.write(node.cond)})")
        if node.orelse is None:
            work += [self._close, node.then]
            return

        def otherwise() -> None:
            self._close()
            self._open("else")

        work += [self._close, node.orelse, otherwise, node.then]

    def _let(self, node: Let) -> None:
        widths, value = self.values.widths, node.value
        name, kind = self.names.of(node.var), self.values.type_of(value)
        if value.dtype.lanes == 1:
            self.line(f"const {kind} {name} = {self.values.write(value)};")
        else:
            self._hoist(value)
            self.line(f"{kind} {name};")
            self._lane_loop(value.dtype.lanes, f"{name}.lane[lane] = {self.values.write(value)};")
        if widths.is_index(value):
            widths.bind(node.var, widths.interval(value), widths.narrow(value))

    def _lane_loop(self, lanes: int, statement: str) -> None:
        self.line("HT_UNROLL")
        self._open(f"for (int lane = 0; lane < {lanes}; ++lane)")
        self.line(statement)
        self._close()

    def _store(self, node: Store) -> None:
        index, lanes = node.indices[0], node.indices[0].dtype.lanes
        target = self.names.of(node.buffer)
        if lanes == 1:
            value = self.values.write(node.value)
            guard = "" if node.mask is None else f"if ({self.values.write(node.mask)}) "
            self.line(f"{guard}{target}[{self.values.write(index)}] = {value};")
            return
        self._open("")
        self._hoist(node.value)
        value = self.values.write(node.value)
        if node.mask is None and _is_wide(node.buffer, index):
            name = self.names.fresh("vector")
            self.line(f"{type_name(node.buffer.dtype.vector(lanes))} {name};")
            self._lane_loop(lanes, f"{name}.lane[lane] = {value};")
            place = f"{target} + {self.values.write(_first(index), 8)}"
            self.line(f"ht_store{self._aligned(node.buffer, index)}<{lanes}>({place}, {name});")
        else:
            guard = "" if node.mask is None else f"if ({self.values.write(node.mask)}) "
            self._lane_loop(lanes, f"{guard}{target}[{self.values.write(index)}] = {value};")
        self._close()

    def _call(self, node: Call) -> None:
        if node.name == GRID_WAIT:
            self.line("if (!ht_grid_wait()) return;")  # it is true; see programmatic.h
            return
        operands, coordinates = [], []
        for operand in node.operands:
            if isinstance(operand, Place) and isinstance(operand.buffer, TensorMap):
                operands.append(f"&{self.names.of(operand.buffer)}")
                first = reversed(operand.indices) if operand.count else ()
                coordinates = [f"int({self.values.write(i)})" for i in first]
            elif isinstance(operand, Place):
                index = self.values.write(operand.indices[0], 8)
                operands.append(f"{self.names.of(operand.buffer)} + {index}")
            else:
                operands.append(self.values.write(operand))
        fixed = f"<{', '.join(map(str, node.immediates))}>" if node.immediates else ""
        self.line(f"ht_{node.name}{fixed}({', '.join(operands + coordinates)});")

    def _hoist(self, value: Expr) -> None:
        """Do the loads of whole vectors in a value."""
        for node in walk(value):
            if not isinstance(node, Load) or node.dtype.lanes == 1 or node.mask is not None:
                continue
            index = node.indices[0]
            if _is_wide(node.buffer, index):
                name = self.names.fresh(node.buffer.name)
                place = f"{self.names.of(node.buffer)} + {self.values.write(_first(index), 8)}"
                kind = self._aligned(node.buffer, index)
                lanes = node.dtype.lanes
                load = f"ht_load{kind}<{lanes}>({place})"
                self.line(f"const {type_name(node.dtype)} {name} = {load};")
                self.values.hoisted[id(node)] = name

    def _aligned(self, buffer: Buffer, index: Expr) -> str:
        lanes = index.dtype.lanes
        promised = ALIGNMENT if buffer.scope == "shared" else buffer.alignment
        proven = promised >= lanes * buffer.dtype.bytes and _divides(_first(index), lanes)
        return "_aligned" if proven else ""


def _is_wide(buffer: Buffer, index: Expr) -> bool:
    """Whether the lanes of an access are one piece of memory that one instruction moves."""
    size = index.dtype.lanes * buffer.dtype.bytes
    is_piece = isinstance(index, Ramp) and is_const(index.stride, 1)
    return is_piece and buffer.scope in ("global", "shared") and size in (2, 4, 8, 16)


def _first(index: Expr) -> Expr:
    assert isinstance(index, Ramp)
    return index.base


def _divides(value: Expr, number: int) -> bool:
    """Whether a value is a multiple of the number for sure."""
    match value:
        case Const(held, _):
            return held % number == 0
        case Binary("add" | "sub", a, b, _):
            return _divides(a, number) and _divides(b, number)
        case Binary("mul", a, b, _):
            return _divides(a, number) or _divides(b, number)
    return False
