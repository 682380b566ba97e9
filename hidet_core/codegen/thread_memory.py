"""The memory of the interpreter in programs with threads: who touches what between barriers.

Values that differ between threads have shape [threads, 1], with lanes [threads, lanes]; all threads
take each step at once, so what one of them did to an element since the last barrier is known
whatever the order. Two threads that touch an element, one of them storing, are a ProgramError, as
is who touches an element to which an asynchronous copy is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .checked_memory import NOBODY, CheckedMemory

MANY = -2  # several threads read the element


class ThreadMemory(CheckedMemory):
    """One buffer of a program with threads; is_private: each thread has its own."""

    def __init__(self, *args: Any, is_private: bool) -> None:
        super().__init__(*args)
        self.is_private = is_private
        self.writer = np.full(0 if is_private else self.flat.size, NOBODY)
        self.reader = self.writer.copy()
        self.touched: list[np.ndarray] = []
        self.on_the_way = np.zeros(self.writer.size, bool)

    def read(self, indices: Sequence[Any], mask: Any) -> Any:
        return super().read(indices, self._live(mask))

    def write(self, indices: Sequence[Any], mask: Any, value: Any) -> None:
        super().write(indices, self._live(mask), value)

    def stored(self, indices: Sequence[Any], mask: Any) -> np.ndarray:
        return super().stored(indices, self._live(mask))

    def send(self, indices: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """An asynchronous copy to the indices begins: the elements, and which are written."""
        place, active = self._place(indices, self.site.active)
        chosen = place[active]
        self._check_owner(chosen, active, "store to")
        self.on_the_way[chosen] = True
        return place, active

    def arrive(self, place: np.ndarray, values: np.ndarray, arrives: np.ndarray) -> None:
        """It is done, where `arrives`."""
        chosen = place[arrives]
        self.on_the_way[chosen] = False
        self._check_owner(chosen, arrives, "store to")
        self.flat[chosen] = values[arrives]
        if self.written is not None:
            self.written[chosen] = True

    def expect(self, place: np.ndarray) -> None:
        """A box of a tensor, which no thread copies, begins its way to the elements."""
        if self.on_the_way[place].any():
            self._fail(f"two boxes are on their way to {self.buffer.name} at {place[0]}")
        self.on_the_way[place] = True

    def receive(self, place: np.ndarray, values: np.ndarray) -> None:
        """It is there."""
        self.on_the_way[place] = False
        self.flat[place] = values
        if self.written is not None:
            self.written[place] = True

    def add(self, indices: Sequence[Any], value: Any) -> np.ndarray:
        """Each thread that runs adds to its element, one after the other: what it found there."""
        place, active = self._place(indices, self._live(np.ones_like(self.site.numbers, bool)))
        before = np.zeros(place.shape, self.flat.dtype)
        added = np.broadcast_to(value, place.shape)
        for thread in np.flatnonzero(active):
            at = place.flat[thread]
            before.flat[thread] = self.flat[at]
            self.flat[at] += added.flat[thread]
        return before

    def publish(self) -> None:
        """An atomic of this task: others may see what it has stored so far. (Whether they come
        after it is for the emulated device to check, where tasks run in any order.)
        """
        if self.owner is not None:
            self.owner[self.owner == self.site.task] = NOBODY

    def meet(self) -> None:
        """A barrier: what was touched before it is nobody's."""
        for chosen in self.touched:
            self.writer[chosen] = self.reader[chosen] = NOBODY
        self.touched.clear()

    def _live(self, mask: Any) -> Any:
        return mask if self.site.numbers is None else mask & self.site.active

    def _place(self, indices: Sequence[Any], mask: Any) -> tuple[np.ndarray, np.ndarray]:
        place, active = super()._place(indices, mask)
        if self.is_private and self.site.numbers is not None:
            place = place + self.site.numbers * self.size
        return place, active

    def _check_owner(self, chosen: np.ndarray, active: np.ndarray, what: str) -> None:
        super()._check_owner(chosen, active, what)
        if self.is_private or self.site.numbers is None:
            return
        if self.on_the_way[chosen].any():
            element = f"{self.buffer.name} at {chosen[self.on_the_way[chosen]][0]}"
            self._fail(f"a {what} {element}, to which a copy is on its way: wait for it before")
        who = np.broadcast_to(self.site.numbers, active.shape)[active]
        self.touched.append(chosen)
        is_store = what == "store to"
        self._check_apart(self.writer[chosen], who, chosen)
        if is_store:
            self._check_apart(self.reader[chosen], who, chosen)
            self.writer[chosen] = who
            self._check_apart(self.writer[chosen], who, chosen)
            return
        before = self.reader[chosen]
        self.reader[chosen] = np.where((before == NOBODY) | (before == who), who, MANY)
        self.reader[chosen[self.reader[chosen] != who]] = MANY

    def _check_apart(self, others: np.ndarray, who: np.ndarray, chosen: np.ndarray) -> None:
        wrong = (others != NOBODY) & (others != who)
        if wrong.any():
            other = others[wrong][0]
            pair = f"threads {who[wrong][0]} and {'others' if other == MANY else other}"
            element = f"{self.buffer.name} at {chosen[wrong][0]}"
            self._fail(f"{pair} touch {element} with no barrier between, and one of them stores")
