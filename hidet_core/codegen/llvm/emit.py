"""A lowered program as LLVM IR text.

in:  a lowered Program (ir/stmt.py)      out: a module that defines
     void name(ptr args, ptr scalars, i64 begin, i64 end, ptr workspace)
which loads pointers and scalars and calls an inner function that loops over the tasks [begin, end);
its pointers are `noalias` except those the caller names.  Invariant: an expression object is
emitted once per scope that needs it; values read from memory that the program writes are kept until
the next store only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from hidet_core.base.errors import CompilerBug, ProgramError
from hidet_core.ir.expr import Buffer, Var, is_const
from hidet_core.ir.stmt import For, If, Let, Prefetch, Program, Seq, Stmt, Store
from hidet_core.target.cpu import Cpu

from ..text import Module, Writer
from .values import FRESH, NONNEG, Value, Values
from .workspace import ALIGNMENT, workspace_offsets


class Loop(NamedTuple):
    """A loop that is being written: its counter, its blocks, the bound, and how much was known
    before it.
    """

    counter: str
    head: str
    stop: str
    done: str
    mark: int


def emit(program: Program, may_alias: Collection[str] = (), cpu: Cpu | None = None) -> str:
    """LLVM IR of a lowered program. may_alias: names of parameters whose memory another parameter
    may share. cpu: whose instructions may be called by name; None: those that any x86 has.
    """
    module = Module()
    inner = Emitter(module, program, cpu).text(may_alias)
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
    for i, offset in enumerate(workspace_offsets(program).values()):
        lines.append(f"  %w{i} = getelementptr i8, ptr %workspace, i64 {offset}")
        arguments.append(f"ptr %w{i}")
    call = ", ".join([*arguments, "i64 %begin", "i64 %end"])
    abi = "ptr %args, ptr %scalars, i64 %begin, i64 %end, ptr %workspace"
    return "\n".join([
        f'define void @"{program.name}"({abi}) nounwind {{',
        *lines, f'  call void @"{program.name}.tasks"({call})', "  ret void", "}",
    ])  # fmt: skip


class Emitter:
    """Emits one program's body, statement by statement."""

    def __init__(self, module: Module, program: Program, cpu: Cpu | None) -> None:
        self.program = program
        self.w = Writer(module)
        self.values = Values(self.w, program, cpu)

    def text(self, may_alias: Collection[str]) -> str:
        program, w = self.program, self.w
        for i, var in enumerate(program.scalars):
            self.values.remember(var, Value(f"%n{i}", NONNEG))
        loop = self._open_loop(program.task, "%begin", "%end", may_be_empty=True)
        self._statements(program.body)
        self._close_loop(loop)
        w.do("ret void")
        parameters = [f"ptr {_promises(b, may_alias)} %p{i}" for i, b in enumerate(program.params)]
        parameters += [f"i64 %n{i}" for i in range(len(program.scalars))]
        large = range(len(workspace_offsets(program)))
        parameters += [f"ptr noalias align {ALIGNMENT} %w{i}" for i in large]
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
                    self.values.store(item)
                case Prefetch():
                    self.values.memory.prefetch(item)
                case Let():
                    work += [self._let(item), item.body]
                case For(kind="threads"):
                    why = "threads(...): CPUs run no threads of a block; interpret() does"
                    raise ProgramError(item.where or self.program.name, why)
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
        value = self.values.value(node.value)
        mark = self.values.mark()
        # a let-bound value stays what it was when bound: later stores do not change it
        self.values.remember(node.var, Value(value.ref, value.facts & ~FRESH))
        return lambda: self.values.forget(mark)

    def _for(self, node: For, work: list[Any]) -> None:
        if node.kind != "serial":
            raise CompilerBug(
                "codegen", f"loop over {node.var.name} of kind {node.kind!r} was not lowered"
            )
        if is_const(node.extent) and node.extent.value <= 1:
            if node.extent.value == 1:
                mark = self.values.mark()
                self.values.remember(node.var, Value("0", NONNEG))
                work += [lambda: self.values.forget(mark), node.body]
            return
        loop = self._open_loop(
            node.var, "0", self.values.ref(node.extent), may_be_empty=not is_const(node.extent)
        )
        work += [lambda: self._close_loop(loop), node.body]

    def _open_loop(self, var: Var, start: str, stop: str, may_be_empty: bool) -> Loop:
        w = self.w
        self.values.forget_fresh()
        head, done, before, counter = w.label("h"), w.label("e"), w.block, w.label("%i")
        if may_be_empty:
            w.do(f"br i1 {w.op(f'icmp slt i64 {start}, {stop}')}, label %{head}, label %{done}")
        else:
            w.do(f"br label %{head}")
        w.place(head)
        # the other incoming value is known by name before the loop's end is
        w.do(f"{counter} = phi i64 [{start}, %{before}], [{counter}n, %{head}l]")
        mark = self.values.mark()
        self.values.remember(var, Value(counter, NONNEG))
        return Loop(counter, head, stop, done, mark)

    def _close_loop(self, loop: Loop) -> None:
        w, (counter, head, stop, done, mark) = self.w, loop
        w.do(f"br label %{head}l")
        w.place(f"{head}l")
        w.do(f"{counter}n = add nuw nsw i64 {counter}, 1")
        w.do(f"br i1 {w.op(f'icmp slt i64 {counter}n, {stop}')}, label %{head}, label %{done}")
        w.place(done)
        self.values.forget(mark)

    def _if(self, node: If, work: list[Any]) -> None:
        if is_const(node.cond):
            taken = node.then if node.cond.value else node.orelse
            work.extend([taken] if taken is not None else [])
            return
        w = self.w
        condition = self.values.ref(node.cond)
        self.values.forget_fresh()
        then, orelse, done = w.label("t"), w.label("f"), w.label("d")
        other = done if node.orelse is None else orelse
        w.do(f"br i1 {condition}, label %{then}, label %{other}")
        w.place(then)
        mark = self.values.mark()

        def leave(following: str) -> Callable[[], None]:
            def end() -> None:
                w.do(f"br label %{done}")
                w.place(following)
                self.values.forget(mark)

            return end

        if node.orelse is not None:
            work += [leave(done), node.orelse, leave(orelse), node.then]
        else:
            work += [leave(done), node.then]


def _promises(buffer: Buffer, may_alias: Collection[str]) -> str:
    alias = "" if buffer.name in may_alias else "noalias "
    return alias + (f"align {buffer.alignment}" if buffer.alignment > 1 else "")
