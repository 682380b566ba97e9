"""The language of tensor programs: a Python function becomes a `Program` (Hidet, ASPLOS'23, section
5.1).

The schedule is written in place: buffers are declared in a scope, `for i, j in mapping.on(worker)`
gives tasks to workers, `mapping.lanes()` gives them to the lanes of vector registers,
`parallel(...)` is the grid of parallel tasks. Python control flow runs while the program is written
(so `for v in range(4)` copies its body four times).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hidet_core.base.errors import HidetError, ProgramError
from hidet_core.ir import expr as E
from hidet_core.ir.dtypes import DType, i64
from hidet_core.ir.dtypes import dtype as as_dtype
from hidet_core.ir.expr import Buffer, Expr, Var
from hidet_core.ir.node import rebuild
from hidet_core.ir.printer import text as as_text
from hidet_core.ir.stmt import Barrier, For, If, OnMapping, Prefetch, Program, Store
from hidet_core.mapping.mapping import TaskMapping, install_tracer

from .check import check
from .trace import Builder, close, current, located, where, writing


class Tensor:
    """A buffer inside a program: `t[i, j]` reads, `t[i, j] = value` writes, `t[i, j] += value`
    updates.
    """

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.shape = buffer.shape
        self.dtype = buffer.dtype

    def _indices(self, key: Any) -> tuple[Any, ...]:
        key = key if isinstance(key, tuple) else (key,)
        if len(key) != len(self.shape):
            text = f"{self.buffer.name} has {len(self.shape)} dims, got {len(key)} indices"
            raise ProgramError(where(), text)
        for axis, (index, extent) in enumerate(zip(key, self.shape, strict=True)):
            if isinstance(index, Expr) and not index.dtype.is_int:
                raise ProgramError(
                    where(),
                    f"{self.buffer.name}: index {axis} is {index.dtype}, expected an integer",
                )
            if not isinstance(index, Expr) and not hasattr(index, "__index__"):
                kind = type(index).__name__
                raise ProgramError(
                    where(), f"{self.buffer.name}: index {axis} is a {kind}, expected an integer"
                )
            too_large = isinstance(extent, int) and isinstance(index, int) and index >= extent
            if isinstance(index, int) and (index < 0 or too_large):
                bound = extent if isinstance(extent, int) else as_text(extent)
                text = f"{self.buffer.name}: index {axis} is {index}, expected 0 <= index < {bound}"
                raise ProgramError(where(), text)
        return key

    def _place(self, key: Any) -> tuple[Expr, ...]:
        return tuple(E.as_index(index, self.buffer) for index in self._indices(key))

    def __getitem__(self, key: Any) -> Expr:
        return E.load(self.buffer, *self._indices(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        indices = self._place(key)
        with located():
            value = E.wrap(value, self.dtype)
        if value.dtype.scalar != self.dtype:
            text = f"{self.buffer.name} holds {self.dtype}, got a value of {value.dtype}"
            raise ProgramError(where(), f"{text}: cast(value, '{self.dtype}')")
        current().emit(Store(self.buffer, indices, value, None, where()))


@dataclass(frozen=True)
class TensorSpec:
    """Annotation of a tensor parameter: `f32["m", "k"]`; a name is a symbolic dim, bound by the
    arrays passed.
    """

    dtype: DType
    dims: tuple[int | str, ...]


class TensorType:
    """`f32["m", 64]` in an annotation; `f32[()]` is a tensor of one element without dims. It also
    stands for its dtype wherever the language wants one.
    """

    def __init__(self, dtype: DType) -> None:
        self.dtype = dtype

    def __getitem__(self, dims: Any) -> TensorSpec:
        dims = dims if isinstance(dims, tuple) else (dims,)
        for dim in dims:
            is_symbol = isinstance(dim, str) and dim.isidentifier()
            if not is_symbol and not (type(dim) is int and dim > 0):
                text = f"a dim of {self.dtype}[...] is a name or a positive int, got {dim!r}"
                raise ProgramError(where(), text)
        return TensorSpec(self.dtype, dims)


def range_(extent: Any, name: str = "i") -> Iterator[Var]:
    """A serial loop: `for k in range_(n)`."""
    yield from _loop(name, extent, "serial")


def unroll(extent: int, name: str = "u") -> Iterator[Var]:
    """A loop that lowering expands; extent is a constant."""
    if not isinstance(extent, int):
        raise ProgramError(where(), f"unroll needs a constant extent, got {type(extent).__name__}")
    yield from _loop(name, extent, "unroll")


def _loop(name: str, extent: Any, kind: str) -> Iterator[Var]:
    builder = current()
    extent, place = _extent(extent), where()
    var = Var(builder.fresh(name), i64)
    with builder.block(f"loop over {var.name}") as body:
        yield var
    builder.emit(For(var, extent, body[0], kind, place))


def _extent(value: Any) -> Expr:
    """The number of iterations or tasks."""
    with located():
        extent = E.wrap(value, i64)
    if not extent.dtype.is_int:
        raise ProgramError(where(), f"an extent is an integer, got a value of {extent.dtype}")
    return E.cast(extent, i64)


def _on(mapping: TaskMapping, worker: Expr, loop: bool = False) -> Iterator[tuple[Var, ...]]:
    """`for i, j in mapping.on(worker)`."""
    builder = current()
    variables = tuple(Var(builder.fresh(f"t{axis}"), i64) for axis in range(len(mapping.shape)))
    with builder.block(f"loop over {mapping}") as body:
        yield variables
    builder.emit(OnMapping(variables, mapping, worker, body[0], not loop))


install_tracer(_on)


def loops(mapping: TaskMapping, worker: Any = 0) -> Iterator[tuple[Var, ...]]:
    """Like mapping.on(worker), but the steps of each worker are loops at run time, not unrolled
    code.
    """
    yield from _on(mapping, E.wrap(worker, i64), loop=True)


def lanes(mapping: TaskMapping) -> Iterator[tuple[Var, ...]]:
    """The workers of `mapping` are the lanes of a vector register: `for i, j in lanes(repeat(6, 4)
    * spatial(1, 16))`. Lanes must not read what other lanes store.

    A value that is the same in all lanes is computed once, also under a `when` that is off in every
    lane: what it loads must exist.
    """
    builder, place = current(), where()
    worker = Var(builder.fresh("lane"), i64)
    with builder.block(f"lanes of {mapping}") as body:
        yield from _on(mapping, worker)
    builder.emit(For(worker, E.wrap(mapping.num_workers), body[0], "lanes", place))


def threads(count: int) -> Iterator[Var]:
    """The threads of a block: `for thread in threads(256)`, once in a program and around all that
    they do; a task of `parallel` is a block then. Mappings give tasks to threads: `for i, j in
    (repeat(4, 1) * spatial(8, 32)).on(thread)`.
    """
    if type(count) is not int or count < 1:
        raise ProgramError(where(), f"threads(...) takes a positive int, got {count!r}")
    yield from _loop("thread", count, "threads")


def barrier() -> None:
    """All threads of the block wait here for each other, and see afterwards what they stored."""
    current().emit(Barrier(where()))


def parallel(*extents: Any) -> Iterator[tuple[Expr, ...]]:
    """The grid of parallel tasks; once in a program, around everything that a task does.

    The tasks run in any order and at the same time: an element that one stores belongs to it alone.
    """
    builder = current()
    if not extents:
        raise ProgramError(where(), "parallel(...) wants the extents of its grid")
    if builder.grid is not None:
        raise ProgramError(
            where(), "a program has one grid of parallel tasks: parallel(...) stands here twice"
        )
    if len(builder.blocks) != 1 or builder.blocks[0]:
        raise ProgramError(where(), "parallel(...) must be the outermost statement of the program")
    sizes = [_extent(extent) for extent in extents]
    task = Var("task", i64)
    builder.grid = (task, sizes)
    point: list[Expr] = []
    rest: Expr = task
    for size in reversed(sizes[1:]):
        point.append(rest % size)
        rest = rest // size
    point.append(rest)
    yield tuple(builder.let(f"g{axis}", value) for axis, value in enumerate(reversed(point)))
    builder.closed = True


def let(name: str, value: Any) -> Expr:
    """Compute a value once and give it a name; constants stay constants."""
    with located():
        value = E.wrap(value)
    return value if isinstance(value, (E.Const, Var)) else current().let(name, value)


def prefetch(tensor: Tensor, *indices: Any, level: int = 2) -> None:
    """Ask for the cache line of tensor[indices], which may lie outside of it; level: 1 to 3."""
    if level not in (1, 2, 3):
        raise ProgramError(where(), f"prefetch: level is 1, 2 or 3, got {level}")
    current().emit(Prefetch(tensor.buffer, tensor._place(indices), level))


@contextmanager
def when(cond: Expr | bool) -> Iterator[None]:
    """`with when(i < n):` runs its body where the condition holds."""
    builder, place = current(), where()
    with located():
        cond = E.wrap(cond)
    if not cond.dtype.is_bool:
        raise ProgramError(place, f"when(...) takes a condition, got a value of {cond.dtype}")
    with builder.block("when") as body:
        yield
    builder.emit(If(cond, body[0], None, place))


@contextmanager
def otherwise() -> Iterator[None]:
    """`with otherwise():` right after a `with when(...):` runs its body where that did not."""
    builder, before = current(), current().blocks[-1]
    branch = before[-1] if before else None
    if not isinstance(branch, If) or branch.orelse is not None:
        raise ProgramError(where(), "otherwise() stands right after the block of a when(...)")
    with builder.block("otherwise") as body:
        yield
    before[-1] = rebuild(branch, {"orelse": body[0]})


def _declare(
    name: str, dtype: DType | TensorType | str, shape: Sequence[int], scope: str
) -> Tensor:
    builder = current()
    with located():
        kind = as_dtype(getattr(dtype, "dtype", dtype))
    if any(not isinstance(extent, int) or extent < 1 for extent in shape):
        got = ", ".join(as_text(extent) for extent in shape)
        raise ProgramError(
            where(), f"{name}: extents of a {scope} buffer are positive ints, got [{got}]"
        )
    buffer = Buffer(builder.fresh(name), kind, tuple(shape), None, scope, 64)
    builder.locals.append(buffer)
    return Tensor(buffer)


def register(dtype: DType | TensorType | str, shape: Sequence[int], name: str = "reg") -> Tensor:
    """A buffer in registers, uninitialised. After unrolling its indices must be constants (plus the
    lane), else it is kept in memory like a `local`.
    """
    return _declare(name, dtype, shape, "register")


def local(dtype: DType | TensorType | str, shape: Sequence[int], name: str = "local") -> Tensor:
    """A buffer in a task's own memory (cache), uninitialised."""
    return _declare(name, dtype, shape, "local")


def shared(dtype: DType | TensorType | str, shape: Sequence[int], name: str = "tile") -> Tensor:
    """A buffer that the threads of a block share, uninitialised; between two barriers an element is
    one thread's alone, unless nobody stores it.
    """
    return _declare(name, dtype, shape, "shared")


def finish(builder: Builder, params: Sequence[Buffer], scalars: Sequence[Var]) -> Program:
    """The program that a builder has recorded."""
    task, sizes = builder.grid or (Var("task", i64), [E.wrap(1)])
    tasks: Expr = sizes[0]
    for size in sizes[1:]:
        tasks = tasks * size
    body = close(builder.blocks[0])
    return Program(
        builder.name, tuple(params), tuple(scalars), task, tasks, tuple(builder.locals), body
    )


@contextmanager
def build(
    name: str, params: Sequence[Buffer], scalars: Sequence[Var] = ()
) -> Iterator[ProgramSlot]:
    """How schedule templates write a program: statements inside the block go to it; read `.program`
    afterwards.
    """
    slot = ProgramSlot()
    with writing(name) as builder:
        yield slot
    slot.program = finish(builder, params, scalars)


class ProgramSlot:
    """Receives the program when the block of `build` ends."""

    program: Program


def program(fn: Callable[..., None]) -> Program:
    """Decorator: the function's annotated parameters are tensors; its body is run once to record
    the program.

    Raises ProgramError (file, line and reason) for whatever the function does wrong.
    """
    symbols: dict[str, Var] = {}
    tensors: list[Tensor] = []
    origin = f"{inspect.getsourcefile(fn)}:{fn.__code__.co_firstlineno}"
    for name, parameter in inspect.signature(fn, eval_str=True).parameters.items():
        spec = parameter.annotation
        if not isinstance(spec, TensorSpec):
            text = f"parameter {name!r} of {fn.__name__} needs a tensor annotation"
            raise ProgramError(origin, f"{text} such as f32['m', 'n'], got {spec!r}")
        shape = tuple(
            symbols.setdefault(d, Var(d, i64)) if isinstance(d, str) else d for d in spec.dims
        )
        tensors.append(Tensor(Buffer(name, spec.dtype, shape)))
    with build(fn.__name__, [t.buffer for t in tensors], list(symbols.values())) as slot:
        try:
            fn(*tensors)
        except HidetError:
            raise
        except Exception as error:
            raise ProgramError(_line_of(error, fn), f"{type(error).__name__}: {error}") from error
    check(slot.program)
    return slot.program


def _line_of(error: BaseException, fn: Callable[..., None]) -> str:
    """ "file:line" of the deepest frame of the user's file in a traceback."""
    source = fn.__code__.co_filename
    place = f"{source}:{fn.__code__.co_firstlineno}"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == source:
            place = f"{source}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
