"""A lowered program as LLVM IR text.

in:  a lowered Program (ir/stmt.py)      out: a module that defines
     void name(ptr args, ptr scalars, i64 begin, i64 end)
which loads pointers and scalars and calls an inner function that loops over the tasks [begin, end);
its pointers are `noalias` except those the caller names.  Invariant: an expression object is
emitted once per scope that needs it; values read from memory that the program writes are kept until
the next store only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ...base.errors import CompilerBug
from ...ir.dtypes import boolean, i32, i64
from ...ir.expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Select,
    Unary,
    Var,
    is_const,
)
from ...ir.node import walk
from ...ir.stmt import For, If, Let, Program, Seq, Stmt, Store
from ..text import Module, Writer, literal, type_name
from . import arith
from .convert import convert
from .memory import Memory, contiguous
from .unary import unary

NONNEG = 1  # an integer known not to be negative
DATA = 2  # made from values in memory: its arithmetic may wrap, that of indices does not
FRESH = 4  # read from memory that the program also writes: good until the next store


class Value(NamedTuple):
    """The LLVM name or literal of an expression, and what is known of it."""

    ref: str
    facts: int


class Loop(NamedTuple):
    """A loop that is being written: its counter, its blocks, the bound, and how much was known
    before it.
    """

    counter: str
    head: str
    stop: str
    done: str
    mark: int


def emit(program: Program, may_alias: Collection[str] = ()) -> str:
    """LLVM IR of a lowered program. may_alias: names of parameters whose memory another parameter
    may share.
    """
    module = Module()
    inner = Emitter(module, program).text(may_alias)
    module.functions += [inner, _entry(program)]
    return module.text()


def _entry(program: Program) -> str:
    """The function of the kernel ABI: unpacks the arguments."""
    lines, arguments = [], []
    for i in range(len(program.params)):
        lines += [
            f"  %q{i} = getelementptr ptr, ptr %args, i64 {i}",
            f"  %p{i} = load ptr, ptr %q{i}, align 8",
        ]
        arguments.append(f"ptr %p{i}")
    for i in range(len(program.scalars)):
        lines += [
            f"  %r{i} = getelementptr i64, ptr %scalars, i64 {i}",
            f"  %n{i} = load i64, ptr %r{i}, align 8",
        ]
        arguments.append(f"i64 %n{i}")
    call = ", ".join([*arguments, "i64 %begin", "i64 %end"])
    return "\n".join([
        f'define void @"{program.name}"(ptr %args, ptr %scalars, i64 %begin, i64 %end) nounwind {{',
        *lines, f'  call void @"{program.name}.tasks"({call})', "  ret void", "}",
    ])  # fmt: skip


class Emitter:
    """Emits one program's body, statement by statement."""

    def __init__(self, module: Module, program: Program) -> None:
        self.program = program
        self.w = Writer(module)
        self.memory = Memory(self.w, program, self.ref)
        self.known: dict[int, Value] = {}
        self.trail: list[
            int
        ] = []  # ids in `known`, in order, to forget them where their scope ends
        self.fresh: list[int] = []
        self.written = {id(node.buffer) for node in walk(program.body) if isinstance(node, Store)}

    def text(self, may_alias: Collection[str]) -> str:
        program, w = self.program, self.w
        for i, var in enumerate(program.scalars):
            self.known[id(var)] = Value(f"%n{i}", NONNEG)
        loop = self._open_loop(program.task, "%begin", "%end", may_be_empty=True)
        self._statements(program.body)
        self._close_loop(loop)
        w.do("ret void")
        parameters = [f"ptr {_promises(b, may_alias)} %p{i}" for i, b in enumerate(program.params)]
        parameters += [f"i64 %n{i}" for i in range(len(program.scalars))]
        heading = ", ".join([*parameters, "i64 %begin", "i64 %end"])
        name = f'@"{program.name}.tasks"({heading})'
        return f"define internal void {name} noinline nounwind {{\n{w.body()}\n}}"

    # statements: a work list, because Let chains can be thousands deep

    def _statements(self, body: Stmt) -> None:
        work: list[Stmt | Callable[[], None]] = [body]
        while work:
            item = work.pop()
            match item:
                case Seq():
                    work.extend(reversed(item.stmts))
                case Store():
                    self.memory.store(item)
                    self._forget_fresh()
                case Let():
                    work += [self._let(item), item.body]
                case For():
                    self._for(item, work)
                case If():
                    self._if(item, work)
                case Stmt():
                    raise CompilerBug(
                        "codegen", f"{type(item).__name__} is not part of lowered programs"
                    )
                case _:
                    item()

    def _let(self, node: Let) -> Callable[[], None]:
        value = self.value(node.value)
        mark = len(self.trail)
        # a let-bound value stays what it was when bound: later stores do not change it
        self._remember(node.var, Value(value.ref, value.facts & ~FRESH))
        return lambda: self._forget(mark)

    def _for(self, node: For, work: list[Any]) -> None:
        if node.kind != "serial":
            raise CompilerBug(
                "codegen", f"loop over {node.var.name} of kind {node.kind!r} was not lowered"
            )
        if is_const(node.extent) and node.extent.value <= 1:
            if node.extent.value == 1:
                mark = len(self.trail)
                self._remember(node.var, Value("0", NONNEG))
                work += [lambda: self._forget(mark), node.body]
            return
        loop = self._open_loop(
            node.var, "0", self.ref(node.extent), may_be_empty=not is_const(node.extent)
        )
        work += [lambda: self._close_loop(loop), node.body]

    def _open_loop(self, var: Var, start: str, stop: str, may_be_empty: bool) -> Loop:
        w = self.w
        self._forget_fresh()
        head, done, before, counter = w.label("h"), w.label("e"), w.block, w.label("%i")
        if may_be_empty:
            w.do(f"br i1 {w.op(f'icmp slt i64 {start}, {stop}')}, label %{head}, label %{done}")
        else:
            w.do(f"br label %{head}")
        w.place(head)
        # the other incoming value is known by name before the loop's end is
        w.do(f"{counter} = phi i64 [{start}, %{before}], [{counter}n, %{head}l]")
        mark = len(self.trail)
        self._remember(var, Value(counter, NONNEG))
        return Loop(counter, head, stop, done, mark)

    def _close_loop(self, loop: Loop) -> None:
        w, (counter, head, stop, done, mark) = self.w, loop
        w.do(f"br label %{head}l")
        w.place(f"{head}l")
        w.do(f"{counter}n = add nuw nsw i64 {counter}, 1")
        w.do(f"br i1 {w.op(f'icmp slt i64 {counter}n, {stop}')}, label %{head}, label %{done}")
        w.place(done)
        self._forget(mark)

    def _if(self, node: If, work: list[Any]) -> None:
        if is_const(node.cond):
            taken = node.then if node.cond.value else node.orelse
            work.extend([taken] if taken is not None else [])
            return
        w = self.w
        condition = self.ref(node.cond)
        self._forget_fresh()
        then, orelse, done = w.label("t"), w.label("f"), w.label("d")
        other = done if node.orelse is None else orelse
        w.do(f"br i1 {condition}, label %{then}, label %{other}")
        w.place(then)
        mark = len(self.trail)

        def leave(following: str) -> Callable[[], None]:
            def end() -> None:
                w.do(f"br label %{done}")
                w.place(following)
                self._forget(mark)

            return end

        if node.orelse is not None:
            work += [leave(done), node.orelse, leave(orelse), node.then]
        else:
            work += [leave(done), node.then]

    # what is known where

    def _remember(self, expr: Expr, value: Value) -> Value:
        self.known[id(expr)] = value
        self.trail.append(id(expr))
        if value.facts & FRESH:
            self.fresh.append(id(expr))
        return value

    def _forget(self, mark: int) -> None:
        for key in self.trail[mark:]:
            self.known.pop(key, None)
        del self.trail[mark:]
        self._forget_fresh()

    def _forget_fresh(self) -> None:
        for key in self.fresh:
            self.known.pop(key, None)
        self.fresh.clear()

    # expressions

    def ref(self, expr: Expr) -> str:
        return self.value(expr).ref

    def value(self, expr: Expr) -> Value:
        known = self.known.get(id(expr))
        if known is not None:
            return known
        return self._remember(expr, _RULES[type(expr)](self, expr))

    def _const(self, node: Const) -> Value:
        nonneg = NONNEG if node.dtype.is_int and node.value >= 0 else 0
        return Value(literal(node.value, node.dtype), nonneg)

    def _var(self, node: Var) -> Value:
        raise CompilerBug("codegen", f"variable {node.name} is used where it is not bound")

    def _load(self, node: Load) -> Value:
        facts = DATA | (FRESH if id(node.buffer) in self.written else 0)
        for part in (node.indices[0], node.mask):
            if part is not None:
                facts |= self._index_facts(part) & FRESH
        if node.dtype.kind in "ub":
            facts |= NONNEG
        return Value(self.memory.load(node), facts)

    def _index_facts(self, index: Expr) -> int:
        if isinstance(index, Ramp) and contiguous(index):
            return self.value(index.base).facts
        return self.value(index.a if isinstance(index, Broadcast) else index).facts

    def _ramp(self, node: Ramp) -> Value:
        base, stride = self.value(node.base), self.value(node.stride)
        w, dtype = self.w, node.dtype
        if dtype.lanes == 1:
            return base
        kind = type_name(dtype)
        steps = [k * node.stride.value if is_const(node.stride) else k for k in range(dtype.lanes)]
        offsets = "<" + ", ".join(f"{type_name(dtype.scalar)} {k}" for k in steps) + ">"
        if not is_const(node.stride):
            offsets = w.op(f"mul {kind} {offsets}, {w.splat(stride.ref, dtype)}")
        facts = (base.facts & stride.facts & NONNEG) | ((base.facts | stride.facts) & ~NONNEG)
        return Value(w.op(f"add {kind} {w.splat(base.ref, dtype)}, {offsets}"), facts)

    def _broadcast(self, node: Broadcast) -> Value:
        value = self.value(node.a)
        return Value(self.w.splat(value.ref, node.dtype), value.facts)

    def _cast(self, node: Cast) -> Value:
        value = self.value(node.a)
        source, target = node.a.dtype, node.dtype
        nonneg = value.facts & NONNEG
        if not (
            source.is_bool or target.kind == "u" or (source.is_int and target.bits >= source.bits)
        ):
            nonneg = 0
        if source.kind == "u" and target.kind == "i" and target.bits == source.bits:
            nonneg = 0
        return Value(convert(self.w, value.ref, source, target), (value.facts & ~NONNEG) | nonneg)

    def _select(self, node: Select) -> Value:
        cond, a, b = self.value(node.cond), self.value(node.a), self.value(node.b)
        kind = type_name(node.dtype)
        ref = self.w.op(
            f"select {type_name(node.cond.dtype)} {cond.ref}, {kind} {a.ref}, {kind} {b.ref}"
        )
        return Value(
            ref, (a.facts & b.facts & NONNEG) | ((cond.facts | a.facts | b.facts) & ~NONNEG)
        )

    def _unary(self, node: Unary) -> Value:
        value = self.value(node.a)
        return Value(unary(self.w, node.op, value.ref, node.a.dtype), value.facts & ~NONNEG)

    def _binary(self, node: Binary) -> Value:
        if node.op == "lt" and node.dtype.lanes > 1 and contiguous(node.a):
            if node.a.dtype.bits == 64 and (isinstance(node.b, Broadcast) or is_const(node.b)):
                return self._lanes_below(node)
        a, b = self.value(node.a), self.value(node.b)
        dtype = node.a.dtype
        facts = ((a.facts | b.facts) & ~NONNEG) | _sign(node, a.facts, b.facts)
        if node.op == "pow" and dtype.is_float and is_const(node.b) and node.b.value in (1, 2, 3):
            return Value(arith.small_power(self.w, a.ref, node.b.value, dtype), facts)
        index = dtype.bits == 64 and dtype.kind == "i" and not facts & DATA
        if index and node.op in ("floordiv", "mod") and a.facts & NONNEG and _positive(node.b):
            return Value(arith.floor_known(self.w, node.op, a.ref, b.ref, dtype), facts)
        if index and node.op in ("add", "sub", "mul"):
            return Value(self.w.op(f"{node.op} nsw {type_name(dtype)} {a.ref}, {b.ref}"), facts)
        return Value(arith.binary(self.w, node.op, a.ref, b.ref, dtype), facts)

    def _lanes_below(self, node: Binary) -> Value:
        """Ramp(base, 1) < bound, the mask of a tail: one 32-bit comparison with min(bound - base,
        lanes).
        """
        w, lanes = self.w, node.dtype.lanes
        base = self.value(node.a.base)
        bound = (
            self.value(node.b.a) if isinstance(node.b, Broadcast) else Value(str(node.b.value), 0)
        )
        left = w.op(f"sub i64 {bound.ref}, {base.ref}")
        room = w.call("llvm.smin.i64", i64, ("i64", left), ("i64", str(lanes)))
        room = w.call("llvm.smax.i64", i64, ("i64", room), ("i64", "0"))
        vector = i32.vector(lanes)
        limit = w.splat(arith.to_i32(w, room, i64), vector)
        numbers = "<" + ", ".join(f"i32 {k}" for k in range(lanes)) + ">"
        facts = (base.facts | bound.facts) & ~NONNEG
        return Value(w.op(f"icmp slt {type_name(vector)} {numbers}, {limit}"), facts)


def _sign(node: Binary, a: int, b: int) -> int:
    """NONNEG where the result cannot be negative."""
    if node.dtype == boolean or not node.a.dtype.is_int:
        return 0
    match node.op:
        case "add" | "mul" | "floordiv" | "div" | "min" | "shr":
            return a & b & NONNEG if not (a | b) & DATA or node.op not in ("add", "mul") else 0
        case "max" | "and":
            return (a | b) & NONNEG
        case "mod":
            return NONNEG if b & NONNEG else 0
    return 0


def _promises(buffer: Buffer, may_alias: Collection[str]) -> str:
    alias = "" if buffer.name in may_alias else "noalias "
    return alias + (f"align {buffer.alignment}" if buffer.alignment > 1 else "")


def _positive(expr: Expr) -> bool:
    return is_const(expr) and expr.value > 0


_RULES: dict[type, Callable[[Emitter, Any], Value]] = {
    Const: Emitter._const, Var: Emitter._var, Load: Emitter._load, Ramp: Emitter._ramp,
    Broadcast: Emitter._broadcast, Cast: Emitter._cast, Select: Emitter._select,
    Unary: Emitter._unary, Binary: Emitter._binary,
}  # fmt: skip
