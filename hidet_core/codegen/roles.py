"""Threads of a block that wait for each other apart: roles, barrier objects, copies of boxes.

The interpreter's threads take each step together. Where a branch divides them, and a barrier object
is waited for inside, both sides become *roles*: each runs on a thread of Python until it waits for
a phase that is not over, then the other goes on; one runs at a time. A box arrives when its barrier
object is waited for, the last moment that is allowed; who touches its elements before is a mistake,
as are arrivals that nobody expects, a box that nobody waits for, and roles that all wait. Other
accesses before a wait count as done for everybody after it: whether they are is for the emulated
device to check.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hidet_core.base.errors import ProgramError, Unsupported
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import Call, Stmt
from hidet_core.ir.tensor_map import TensorMap

from .checked_memory import Site

Array = np.ndarray
WAIT, LOAD = "mbarrier_wait", "tensor_load"
CHUNK, LINE = 16, 128  # bytes that are exchanged in rows of swizzled boxes; by the number of lines


def waits(node: Stmt) -> bool:
    """Whether a barrier object is waited for in a statement."""
    return any(isinstance(part, Call) and part.name == WAIT for part in walk(node))


class _Left(BaseException):
    """Ends the thread of a role that nobody needs any more."""


@dataclass(eq=False)
class _Role:
    """active: its threads; ready: what it waits for."""

    active: Array
    run: Callable[[], None]
    ready: Callable[[], bool] = lambda: True
    where: str = ""
    error: BaseException | None = None
    is_done: bool = False
    is_left: bool = False
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Roles:
    """Runs the sides of a branch as roles."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.current: _Role | None = None

    def run(self, sides: Sequence[tuple[Array, Callable[[], None]]]) -> None:
        """Until all of them are done. sides: (the threads, what they do)."""
        if self.current is not None:
            raise Unsupported(WAIT, f"{self.site.where}: roles of threads inside of a role")
        roles = [_Role(active, action, where=self.site.where) for active, action in sides]
        for role in roles:
            threading.Thread(target=self._live, args=(role,), daemon=True).start()
        try:
            while not all(role.is_done for role in roles):
                able = [role for role in roles if not role.is_done and role.ready()]
                if not able:
                    where = next(role.where for role in roles if not role.is_done)
                    raise ProgramError(where, "deadlock: all wait for phases that do not end")
                for role in able:
                    self._resume(role)
        finally:
            for role in roles:
                role.is_left = True
                if not role.is_done:
                    self._switch(role)
            self.current = None

    def wait(self, ready: Callable[[], bool]) -> None:
        """The current role goes on when it may. Without roles: nobody else could help."""
        role = self.current
        if role is None:
            if not ready():
                raise ProgramError(self.site.where, "deadlock: this phase never ends")
            return
        if ready():
            return
        role.ready, role.where, role.active = ready, self.site.where, self.site.active
        role.back.release()
        role.go.acquire()
        if role.is_left:
            raise _Left

    def _resume(self, role: _Role) -> None:
        self.current = role
        self.site.active, self.site.where = role.active, role.where
        self._switch(role)
        self.current = None
        if role.error is not None:
            raise role.error

    def _switch(self, role: _Role) -> None:
        role.go.release()
        role.back.acquire()

    def _live(self, role: _Role) -> None:
        """What the thread of a role does."""
        role.go.acquire()
        try:
            with np.errstate(all="ignore"):
                if not role.is_left:
                    role.run()
        except _Left:
            pass
        except BaseException as error:
            role.error = error
        role.is_done = True
        role.back.release()


@dataclass(eq=False)
class _Object:
    """A barrier object. due, bytes: that the current phase, number `phase`, lacks; boxes: that are
    on their way to it, what makes each of them arrive.
    """

    arrivals: int
    due: int
    bytes: int = 0
    phase: int = 0
    boxes: list[Callable[[], int]] = field(default_factory=list)

    def is_over(self, parity: int) -> bool:
        """Whether the phase of a parity is."""
        self.end()
        while self.phase % 2 == parity and self.boxes:
            self.bytes -= self.boxes.pop(0)()
            self.end()
        return self.phase % 2 != parity

    def end(self) -> None:
        """The next phase begins where nothing lacks."""
        if self.due == 0 and self.bytes == 0:
            self.phase += 1
            self.due = self.arrivals


class Barriers:
    """The barrier objects of a block, and the boxes on their way.

    meet: forgets who has touched what.
    """

    def __init__(self, site: Site, roles: Roles, meet: Callable[[], None]) -> None:
        self.site, self.roles, self.meet = site, roles, meet
        self.objects: dict[tuple[int, int], _Object] = {}

    def runs(self, call: Call) -> bool:
        """Whether a call is for us."""
        return call.name == LOAD or (call.name.startswith("mbarrier_") and bool(call.operands))

    def end(self) -> None:
        """Of a task."""
        if any(each.boxes for each in self.objects.values()):
            raise ProgramError(self.site.where, "a box is on its way that nobody waited for")
        self.objects.clear()

    def run(self, call: Call, values: Sequence[Any], places: Sequence[Any]) -> None:
        active, where = np.broadcast_to(self.site.active, self._numbers.shape), self.site.where
        threads = np.flatnonzero(active)
        if call.name == WAIT:
            objects = {
                (self._object(places[0], thread), int(_of(values[1], thread))) for thread in threads
            }
            self.roles.wait(lambda: all(each.is_over(parity) for each, parity in objects))
            self.site.where = where
            self.meet()  # what was touched before is taken for ordered by the barrier object
            return
        for thread in threads:
            self._step(call, values, places, thread)

    @property
    def _numbers(self) -> Array:
        assert self.site.numbers is not None
        return self.site.numbers

    def _step(self, call: Call, values: Sequence[Any], places: Sequence[Any], thread: int) -> None:
        if call.name == LOAD:
            self._load(places, thread)
            return
        if call.name == "mbarrier_init":
            count = int(_of(values[1], thread))
            self.objects[self._key(places[0], thread)] = _Object(count, count)
            return
        found = self._object(places[0], thread)
        found.end()
        if found.due == 0:
            raise ProgramError(self.site.where, "an arrival more than the phase expects")
        found.due -= 1
        if call.name == "mbarrier_expect":
            found.bytes += int(_of(values[1], thread))

    def _key(self, place: Any, thread: int) -> tuple[int, int]:
        memory, indices = place
        with _alone(self.site):
            (index,) = memory.places([_of(i, thread) for i in indices])
        return id(memory), int(index)

    def _object(self, place: Any, thread: int) -> _Object:
        found = self.objects.get(self._key(place, thread))
        if found is None:
            name = place[0].buffer.name
            raise ProgramError(self.site.where, f"{name}: a barrier object that nobody initialised")
        return found

    def _load(self, places: Sequence[Any], thread: int) -> None:
        (target, to), (source, first), barrier = places
        boxes = source.buffer
        assert isinstance(boxes, TensorMap)
        with _alone(self.site):
            to_elements = target.places([_of(i, thread) for i in to])[_swizzled(boxes)]
            start = [int(np.atleast_1d(_of(i, thread))[0]) for i in first]
            index = [begin + axis.reshape(-1) for begin, axis in zip(start, np.indices(boxes.box))]
            inside = np.ones(boxes.box_elements, bool)
            for axis, size in zip(index, source.shape, strict=True):
                inside &= (axis >= 0) & (axis < size)
            values = source.stored(index, inside)
        target.expect(to_elements)

        def arrive() -> int:
            target.receive(to_elements, values)
            return values.size * boxes.dtype.bytes

        self._object(barrier, thread).boxes.append(arrive)


@contextmanager
def _alone(site: Site) -> Iterator[None]:
    """What is read and looked up here is no single thread's."""
    numbers, site.numbers = site.numbers, None
    try:
        yield
    finally:
        site.numbers = numbers


def _of(value: Any, thread: int) -> Any:
    """A thread's own value."""
    whole = np.asarray(value)
    return whole[thread if len(whole) > 1 else 0] if whole.ndim > 1 else value


def _swizzled(boxes: TensorMap) -> Array:
    """Where each element of a box lies in shared memory."""
    bytes_ = np.arange(boxes.box_elements) * boxes.dtype.bytes
    turn = bytes_ // LINE % max(boxes.swizzle // CHUNK, 1)
    return (bytes_ ^ turn * CHUNK) // boxes.dtype.bytes
