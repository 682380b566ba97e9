"""Task mappings: which worker does which tasks, in which order (Hidet, ASPLOS'23, sections 4.1 and
5.1).

A mapping assigns the points of a d-dimensional grid of tasks to workers. Atoms: `spatial` (one task
per worker), `repeat` (one worker does all, in order), `custom`. Composition `a * b`: each task of
`a` is a tile of `b`; associative; shapes and numbers of workers multiply. Mappings are pure values;
`task` is the one evaluator and serves ints (tests, drawings) and IR expressions (lowering) alike,
because it uses nothing but + * // %.
"""

from __future__ import annotations

import itertools
import math
import operator
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Index = Any  # an int or an integer expression
Task = tuple[Index, ...]


class TaskMapping(ABC):
    """shape: extents of the task grid; num_workers: workers are numbered from 0; step_shape: each
    worker does prod(step_shape) tasks, in row-major order of the steps.
    """

    shape: tuple[int, ...]
    num_workers: int
    step_shape: tuple[int, ...]

    @abstractmethod
    def task(self, worker: Index, step: Sequence[Index]) -> Task:
        """The task that `worker` does in step `step` (an index into step_shape)."""

    @property
    def num_steps(self) -> int:
        """Tasks per worker."""
        return math.prod(self.step_shape)

    def tasks(self, worker: Index) -> list[Task]:
        """All tasks of a worker (an int or an expression), in order."""
        return [self.task(worker, step) for step in itertools.product(*map(range, self.step_shape))]

    def on(self, worker: Index) -> Iterator[Task]:
        """The tasks of a worker: one by one for an int, as loops of the program being written for
        an expression. Raises ValueError for a worker that the mapping does not have.
        """
        if hasattr(worker, "__index__"):
            worker = operator.index(worker)
            if not 0 <= worker < self.num_workers:
                raise ValueError(f"worker {worker} is not in [0, {self.num_workers}) of {self}")
            return iter(self.tasks(worker))
        if not _tracers:
            raise RuntimeError(
                f"{self}.on(<expression>): no program is being written (import hidet_core.lang)"
            )
        return _tracers[0](self, worker)

    def __mul__(self, inner: TaskMapping) -> TaskMapping:
        return Compose(self, inner)

    def inverse(self) -> dict[tuple[int, ...], tuple[int, int]]:
        """task -> (worker, step number). Raises ValueError if a task is done twice.

        Tasks that nobody does, as a custom mapping may leave some, are not in it.
        """
        table: dict[tuple[int, ...], tuple[int, int]] = {}
        for worker in range(self.num_workers):
            for step, task in enumerate(self.tasks(worker)):
                if task in table:
                    raise ValueError(
                        f"{self} has no inverse: task {task} is done by workers "
                        f"{table[task][0]} and {worker}"
                    )
                table[task] = (worker, step)
        return table


_tracers: list[
    Callable[[TaskMapping, Any], Iterator[Task]]
] = []  # set once by the language, which sits above us


def install_tracer(tracer: Callable[[TaskMapping, Any], Iterator[Task]]) -> None:
    """How `.on(expression)` writes loops; called by hidet_core.lang when it is imported."""
    _tracers[:] = [tracer]


@dataclass(frozen=True)
class Spatial(TaskMapping):
    """One task per worker. ranks[i] is the place of dim i in the order of workers (0 = slowest);
    default row-major.
    """

    shape: tuple[int, ...]
    ranks: tuple[int, ...] = ()
    step_shape: tuple[int, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", _checked(self.shape, self.ranks))

    @property
    def num_workers(self) -> int:
        return math.prod(self.shape)

    def task(self, worker: Index, step: Sequence[Index]) -> Task:
        return _unravel(worker, self.shape, self.ranks)

    def __str__(self) -> str:
        return _show("spatial", self.shape, self.ranks)


@dataclass(frozen=True)
class Repeat(TaskMapping):
    """One worker does all tasks. ranks[i] is the place of dim i in the nest of loops (0 =
    outermost).
    """

    shape: tuple[int, ...]
    ranks: tuple[int, ...] = ()
    num_workers: int = field(default=1, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", _checked(self.shape, self.ranks))

    @property
    def step_shape(self) -> tuple[int, ...]:
        return tuple(self.shape[self.ranks.index(place)] for place in range(len(self.shape)))

    def task(self, worker: Index, step: Sequence[Index]) -> Task:
        return tuple(step[place] for place in self.ranks)

    def __str__(self) -> str:
        return _show("repeat", self.shape, self.ranks)


@dataclass(frozen=True)
class Custom(TaskMapping):
    """fn(worker) -> its tasks, in order; fn uses + * // % only, so that it works on expressions too
    (swizzles). Two of them are equal if all workers do the same.
    """

    shape: tuple[int, ...]
    num_workers: int
    fn: Callable[[Index], Sequence[Task]] = field(compare=False, repr=False)
    name: str = "custom"
    table: tuple[tuple[Task, ...], ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        _checked(self.shape, ())
        if not isinstance(self.num_workers, int) or self.num_workers < 1:
            raise ValueError(
                f"{self.name}: workers are counted by a positive int, got {self.num_workers!r}"
            )
        rows = tuple(
            tuple(tuple(task) for task in self.fn(worker)) for worker in range(self.num_workers)
        )
        object.__setattr__(self, "table", rows)
        for worker, tasks in enumerate(rows):
            self._check_row(worker, tasks)

    def _check_row(self, worker: int, tasks: tuple[Task, ...]) -> None:
        if len(tasks) != len(self.table[0]):
            text = f"{self.name}: worker {worker} has {len(tasks)} tasks"
            raise ValueError(f"{text}, worker 0 has {len(self.table[0])}: they must have as many")
        for task in tasks:
            is_inside = len(task) == len(self.shape) and all(
                0 <= index < extent for index, extent in zip(task, self.shape, strict=True)
            )
            if not is_inside:
                raise ValueError(
                    f"{self.name}: task {task} of worker {worker} is outside the grid {self.shape}"
                )

    @property
    def step_shape(self) -> tuple[int, ...]:
        return (len(self.table[0]),)

    def task(self, worker: Index, step: Sequence[Index]) -> Task:
        if not isinstance(step[0], int):
            raise TypeError(
                f"{self}: the steps of a custom mapping are unrolled, they take no expression"
            )
        return tuple(self.fn(worker)[step[0]])

    def __str__(self) -> str:
        # the digest tells mappings apart in the text of a program, which is its key in the cache
        digest = zlib.crc32(repr(self.table).encode())
        shape = ", ".join(map(str, self.shape))
        return f"{self.name}({shape}; {self.num_workers} workers, #{digest:08x})"


@dataclass(frozen=True)
class Compose(TaskMapping):
    """outer * inner: each task of outer is a tile of inner.shape tasks."""

    outer: TaskMapping
    inner: TaskMapping

    def __post_init__(self) -> None:
        if len(self.outer.shape) != len(self.inner.shape):
            raise ValueError(
                f"cannot compose {self.outer} with {self.inner}: "
                f"{len(self.outer.shape)} and {len(self.inner.shape)} dims"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(o * i for o, i in zip(self.outer.shape, self.inner.shape, strict=True))

    @property
    def num_workers(self) -> int:
        return self.outer.num_workers * self.inner.num_workers

    @property
    def step_shape(self) -> tuple[int, ...]:
        return self.outer.step_shape + self.inner.step_shape

    def task(self, worker: Index, step: Sequence[Index]) -> Task:
        cut = len(self.outer.step_shape)
        outer = self.outer.task(worker // self.inner.num_workers, step[:cut])
        inner = self.inner.task(worker % self.inner.num_workers, step[cut:])
        return tuple(o * n + i for o, n, i in zip(outer, self.inner.shape, inner, strict=True))

    def __str__(self) -> str:
        return f"{self.outer} * {self.inner}"


def spatial(*shape: int, ranks: Sequence[int] = ()) -> TaskMapping:
    """One task per worker: prod(shape) workers. Raises ValueError on bad extents or ranks."""
    return Spatial(tuple(shape), tuple(ranks))


def repeat(*shape: int, ranks: Sequence[int] = ()) -> TaskMapping:
    """One worker that does all tasks of the grid, in row-major order or in that of `ranks`."""
    return Repeat(tuple(shape), tuple(ranks))


def custom(
    shape: Sequence[int],
    num_workers: int,
    fn: Callable[[Index], Sequence[Task]],
    name: str = "custom",
) -> TaskMapping:
    """An arbitrary mapping: fn(worker) gives the worker's tasks, as many for every worker.

    Raises ValueError for tasks outside the grid and for workers with unequal numbers of them.
    """
    return Custom(tuple(shape), num_workers, fn, name)


def _checked(shape: tuple[int, ...], ranks: tuple[int, ...]) -> tuple[int, ...]:
    if not shape or any(type(extent) is not int or extent < 1 for extent in shape):
        raise ValueError(f"extents of a task mapping are positive ints, got {shape}")
    ranks = ranks or tuple(range(len(shape)))
    if sorted(ranks) != list(range(len(shape))):
        raise ValueError(f"ranks must be a permutation of 0..{len(shape) - 1}, got {ranks}")
    return ranks


def _unravel(worker: Index, shape: tuple[int, ...], ranks: tuple[int, ...]) -> Task:
    """The grid point of a worker's number, the dim of rank 0 varying slowest."""
    point: list[Index] = [0] * len(shape)
    slower = math.prod(shape)
    for place in range(len(shape)):
        dim = ranks.index(place)
        faster = slower // shape[dim]
        outermost = place == 0
        value = worker // faster if faster > 1 else worker
        point[dim] = value if outermost else value % shape[dim]
        slower = faster
    return tuple(point)


def _show(kind: str, shape: tuple[int, ...], ranks: tuple[int, ...]) -> str:
    order = "" if ranks == tuple(range(len(shape))) else f", ranks={list(ranks)}"
    return f"{kind}({', '.join(map(str, shape))}{order})"
