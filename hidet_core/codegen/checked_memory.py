"""The memory of the interpreter: every access is checked before it is made.

Checked: indices against the bounds of the buffer's shape and of its memory; reads of a local's
elements that its task never wrote; accesses to elements of a parameter that another task wrote.  A
violation is a ProgramError. Inactive lanes are not checked; they read 0 and write nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hidet_core.base.errors import ProgramError
from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Buffer
from hidet_core.ir.tensor_map import SCOPE as MAP

NOBODY = -1


@dataclass
class Site:
    """What is running now: the task, and the author's line (or the program's name). In a threads
    loop: the numbers of the threads, and which of them run, both of shape [threads, 1].
    """

    where: str
    task: int = 0
    numbers: np.ndarray | None = None
    active: Any = True


class CheckedMemory:
    """The elements of one buffer. flat: its memory; shape and strides in elements."""

    def __init__(
        self,
        buffer: Buffer,
        flat: np.ndarray,
        shape: Sequence[int],
        strides: Sequence[int],
        site: Site,
    ) -> None:
        self.buffer = buffer
        self.flat = flat
        self.shape = shape
        self.strides = strides
        self.site = site
        is_given = buffer.scope in ("global", MAP)
        self.size = flat.size if is_given else math.prod(shape)
        self.owner: np.ndarray | None = None  # which task wrote each element; None: not checked
        self.written: np.ndarray | None = None  # which elements this task wrote; None: not checked

    def read(self, indices: Sequence[Any], mask: Any) -> Any:
        """The values at the indices; 0 in the lanes where the mask is off."""
        one = self._plain_place(indices, mask)
        if one >= 0 and (self.written is None or self.written[one]):
            return self.flat[one]
        return _as_value(self.stored(indices, mask), self.buffer.dtype)[()]

    def stored(self, indices: Sequence[Any], mask: Any) -> np.ndarray:
        """The elements at the indices as memory has them: bf16 as u16."""
        place, active = self._place(indices, mask)
        chosen = place[active]
        self._check_owner(chosen, active, "load of")
        if self.written is not None and not self.written[chosen].all():
            missing = chosen[~self.written[chosen]][0] % self.size
            self._fail(f"{self.buffer.name} is read at {missing} before it is written")
        values = np.zeros(place.shape, self.flat.dtype)
        values[active] = self.flat[chosen]
        return values

    def write(self, indices: Sequence[Any], mask: Any, value: Any) -> None:
        """Store the value where the mask is on."""
        one = self._plain_place(indices, mask)
        if one >= 0:
            self.flat[one] = value
            if self.written is not None:
                self.written[one] = True
            if self.owner is not None:
                self.owner[one] = self.site.task
            return
        place, active = self._place(indices, mask)
        chosen = place[active]
        self._check_owner(chosen, active, "store to")
        if self.written is not None:
            self.written[chosen] = True
        if self.owner is not None:
            self.owner[chosen] = self.site.task
        lanes = np.broadcast_to(value, place.shape)[active]
        self.flat[chosen] = _as_stored(lanes, self.buffer.dtype)

    def places(self, indices: Sequence[Any]) -> np.ndarray:
        """The flat indices of elements, which have to exist."""
        return self._place(indices, True)[0].reshape(-1)

    def _plain_place(self, indices: Sequence[Any], mask: Any) -> int:
        """The short way: the flat index of a scalar access with nothing wrong, else -1."""
        if mask is not True or self.buffer.dtype.name == "bf16":
            return -1
        place = 0
        extents = self.shape if self._by_dims(indices) else (self.flat.size,)
        strides = self.strides if self._by_dims(indices) else (1,)
        if len(indices) != len(extents):
            return -1
        for index, extent, stride in zip(indices, extents, strides, strict=True):
            if isinstance(index, np.ndarray) or not 0 <= index < extent:
                return -1
            place += int(index) * stride
        if place >= self.flat.size:
            return -1
        ours = self.owner is None or self.owner[place] in (NOBODY, self.site.task)
        return place if ours else -1

    def _by_dims(self, indices: Sequence[Any]) -> bool:
        """Whether the indices are one per dim, not one flat index."""
        return len(indices) > 1 or (len(self.shape) == 1 and self.buffer.strides is None)

    def _place(self, indices: Sequence[Any], mask: Any) -> tuple[np.ndarray, np.ndarray]:
        """(flat indices, which lanes are active), of one shape."""
        lanes = np.broadcast_shapes(*(np.shape(i) for i in indices), np.shape(mask))
        active = np.broadcast_to(mask, lanes)
        if self._by_dims(indices):
            place = self._flatten(indices, active)
        else:
            place = np.asarray(indices[0])
        place = np.broadcast_to(place, lanes)
        self._check_inside(place, self.size, active, " of its memory")
        return place, active

    def _flatten(self, indices: Sequence[Any], active: np.ndarray) -> np.ndarray:
        if len(indices) != len(self.shape):
            self._fail(f"{self.buffer.name} has {len(self.shape)} dims, got {len(indices)} indices")
        place = np.zeros((), np.int64)
        for axis, index in enumerate(indices):
            self._check_inside(index, self.shape[axis], active, f" in axis {axis}")
            place = place + index * self.strides[axis]
        return place

    def _check_inside(self, index: Any, extent: int, active: np.ndarray, what: str) -> None:
        index = np.broadcast_to(index, active.shape)
        wrong = ((index < 0) | (index >= extent)) & active
        if wrong.any():
            bounds = f"bounds [0, {extent}){what}"
            self._fail(f"index {index[wrong].flat[0]} is outside {self.buffer.name}: {bounds}")

    def _check_owner(self, chosen: np.ndarray, active: np.ndarray, what: str) -> None:
        if self.owner is None:
            return
        owners = self.owner[chosen]
        wrong = (owners != NOBODY) & (owners != self.site.task)
        if wrong.any():
            element = f"{self.buffer.name} at {chosen[wrong][0]}"
            other = f"which task {owners[wrong][0]} stores"
            self._fail(f"task {self.site.task} has a {what} {element}, {other}")

    def _fail(self, why: str) -> None:
        raise ProgramError(self.site.where, why)


def _as_value(stored: np.ndarray, dtype: DType) -> np.ndarray:
    if dtype.name == "bf16" and stored.dtype == np.uint16:
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return stored


def _as_stored(value: np.ndarray, dtype: DType) -> np.ndarray:
    if dtype.name == "bf16":
        return (value.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    return value


def flat_view(buffer: Buffer, array: np.ndarray) -> np.ndarray:
    """A buffer's array as its elements: bf16 as u16. Raises ValueError for another one."""
    wanted = np.dtype(np.uint16) if buffer.dtype.name == "bf16" else buffer.dtype.numpy
    if array.dtype == buffer.dtype.numpy:
        array = array.view(wanted)
    if array.dtype != wanted or not array.flags.c_contiguous:
        raise ValueError(
            f"{buffer.name}: expected a C-contiguous array of {wanted}, got {array.dtype}"
        )
    return array.reshape(-1)
