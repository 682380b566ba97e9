"""The instructions of ir/intrinsics.py in NumPy: all threads of a block at once.

What all lanes of a warp do together is checked: they come all or none. Asynchronous copies read
their source at once and arrive when they are waited for, the last moment that is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hidet_core.base.errors import ProgramError
from hidet_core.ir.intrinsics import (
    BITS,
    GROUP_DEPTH,
    GROUP_ROWS,
    INTRINSICS,
    TOGETHER,
    WARP,
    WARPGROUP,
)
from hidet_core.ir.stmt import Call

from .checked_memory import Site
from .thread_memory import ThreadMemory

Array = np.ndarray
ASYNC = ("copy_async", "copy_commit", "copy_wait")


@dataclass(frozen=True)
class Operands:
    """Of a call: values of expressions, (memory, indices) of places; None where it is the other."""

    values: Sequence[Any]
    places: Sequence[Any]


def is_async(call: Call) -> bool:
    """Whether `Copies` runs it, not `run_call`."""
    return call.name in ASYNC


def run_call(call: Call, operands: Operands, site: Site) -> None:
    """Read the operands, compute, write."""
    row = INTRINSICS[call.name]
    active = np.broadcast_to(site.active, site.numbers.shape)  # type: ignore[union-attr]
    _check_group(call, TOGETHER[row.by], active, site)
    if not row.operands:
        return  # a fence, or a wait for what is done at once here
    given: list[Array] = []
    targets: list[tuple[ThreadMemory, list[Any]]] = []
    for role, value, place in zip(row.operands, operands.values, operands.places, strict=True):
        if role.access == "value":
            given.append(np.broadcast_to(value, active.shape))
            continue
        memory, indices = place
        if row.by == "warpgroup" and role.scope == "shared":
            given.append(_read_once(memory, indices, active, site))
        elif role.access != "write":
            given.append(memory.stored(indices, _readers(call, active)))
        if role.access != "read":
            targets.append(place)
    if not targets:
        return  # a prefetch: the place was looked at
    (memory, indices), *_ = targets
    memory.write(indices, True, _FUNCTIONS[call.name](call, *given))


def _check_group(call: Call, size: int, active: Array, site: Site) -> None:
    groups = active.reshape(-1, size)
    if (groups.any(axis=1) != groups.all(axis=1)).any():
        why = f"{call.name}: some lanes of a {INTRINSICS[call.name].by} do not come to it"
        raise ProgramError(call.where or site.where, why)


def _readers(call: Call, active: Array) -> Array:
    """The threads whose places are read: load_matrix has 8 rows for each matrix."""
    if call.name != "load_matrix":
        return active
    lanes = np.arange(active.shape[0]).reshape(-1, 1) % WARP
    return active & (lanes < 8 * call.immediates[0])


def _read_once(memory: ThreadMemory, indices: Sequence[Any], active: Array, site: Site) -> Array:
    """What each warpgroup reads together, as its first thread: [groups, elements]."""
    numbers, before = site.numbers, site.active
    assert numbers is not None
    site.numbers, site.active = numbers[::WARPGROUP], active[::WARPGROUP]
    firsts = [i[::WARPGROUP] if np.ndim(i) > 1 and len(i) > 1 else i for i in indices]
    values = memory.stored(firsts, site.active)
    site.numbers, site.active = numbers, before
    return values


# values have shape [threads, elements]; in a warp lane l is thread l


def _load_matrix(call: Call, rows: Array) -> Array:
    """rows: of 16 bytes. Word w of a thread is of matrix w."""
    matrices, transposed = call.immediates
    if transposed:
        halves = rows.view(np.uint16).reshape(-1, 4, 8, 8).swapaxes(-1, -2)
        words = np.ascontiguousarray(halves).view(np.uint32)
    else:
        words = rows.view(np.uint32).reshape(-1, 4, 8, 4)
    kept = words[:, :matrices].reshape(-1, matrices, WARP)
    return kept.transpose(0, 2, 1).reshape(-1, matrices).view(_held(call))


def _held(call: Call) -> np.dtype:
    return call.operands[0].buffer.dtype.numpy  # type: ignore[union-attr]


def _numbers(call: Call, words: Array, is_left: bool) -> Array:
    """Words [..., 8] of a (the left operand) or b as the numbers in them [..., depth]."""
    words = np.ascontiguousarray(words)
    match call.name:
        case "mma_f16":
            return words.view(np.float16).astype(np.float32)
        case "mma_bf16":
            return _widened(words.view(np.uint16))
        case "mma_tf32":
            return (words.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    assert BITS[call.name] == 8
    is_unsigned = is_left and call.name == "mma_u8"
    return words.view(np.uint8 if is_unsigned else np.int8).astype(np.int32)


def _widened(halves: Array) -> Array:
    """bf16, as its bits, in f32."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _mma(call: Call, sums: Array, a: Array, b: Array) -> Array:
    """Lane 4 * g + t has sums (g, 2t), (g, 2t + 1), (g + 8, ...); of a the words (g, t),
    (g + 8, t), (g, t + 4), (g + 8, t + 4); of b those at depth t and t + 4 of column g.
    """
    left = a.reshape(-1, 8, 4, 2, 2).transpose(0, 4, 1, 3, 2).reshape(-1, 16, 8)
    right = b.reshape(-1, 8, 4, 2).transpose(0, 1, 3, 2).reshape(-1, 8, 8)
    product = _numbers(call, left, True) @ _numbers(call, right, False).swapaxes(-1, -2)
    parts = product.reshape(-1, 2, 8, 4, 2).transpose(0, 2, 3, 1, 4).reshape(-1, 4)
    return sums + parts


def _operand(call: Call, rows: Array, count: int) -> Array:
    """Of each warpgroup, the step of rows as they lie in shared memory: [groups, count, 16]."""
    _, row_bytes, step, _ = call.immediates
    chunks = row_bytes // 16
    held = rows.reshape(-1, count, chunks, GROUP_DEPTH // 2)
    turn = np.arange(count) * row_bytes // 128 % chunks
    places = (step * 2 + np.arange(2)) ^ turn.reshape(-1, 1)
    chosen = held[:, np.arange(count).reshape(-1, 1), places]
    return _halves(call, chosen.reshape(-1, count, GROUP_DEPTH))


def _turned_operand(call: Call, rows: Array, count: int) -> Array:
    """The same of b that lies as [count / 64][depth][64]."""
    _, row_bytes, step, _ = call.immediates
    side, chunks = row_bytes // 2, row_bytes // 16  # of a row; rows are as many as its elements
    held = rows.reshape(-1, count // side, side, chunks, 8)
    depth = step * GROUP_DEPTH + np.arange(GROUP_DEPTH).reshape(-1, 1)
    chosen = held[:, :, depth, np.arange(chunks) ^ (depth % chunks)]
    return (
        _halves(call, chosen.reshape(-1, count // side, GROUP_DEPTH, side))
        .swapaxes(-1, -2)
        .reshape(-1, count, GROUP_DEPTH)
    )


def _halves(call: Call, values: Array) -> Array:
    if call.name == "wgmma_f16":
        return values.astype(np.float32)
    return _widened(np.ascontiguousarray(values).view(np.uint16))


def _wgmma(call: Call, sums: Array, a: Array, b: Array) -> Array:
    cols, _, _, turned = call.immediates
    left = _operand(call, a, GROUP_ROWS)
    right = (_turned_operand if turned else _operand)(call, b, cols)
    product = left @ right.swapaxes(-1, -2)
    # rows are [warp, half, lane / 4], columns [j, lane % 4, pair]
    parts = product.reshape(-1, 4, 2, 8, cols // 8, 4, 2).transpose(0, 1, 3, 5, 4, 2, 6)
    return sums + parts.reshape(-1, cols // 2)


def _round_tf32(call: Call, values: Array) -> Array:
    bits = values.view(np.uint32)
    rounded = (bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    finite = (bits & np.uint32(0x7F800000)) != np.uint32(0x7F800000)
    return np.where(finite, rounded, bits).view(np.float32)


def _pack(call: Call, pairs: Array) -> Array:
    pairs = np.ascontiguousarray(pairs)
    if call.name == "pack_f16":
        with np.errstate(over="ignore"):
            return pairs.astype(np.float16).view(np.uint32)
    bits = pairs.view(np.uint32)
    rounded = (bits + (bits >> np.uint32(16) & np.uint32(1)) + np.uint32(0x7FFF)) >> np.uint32(16)
    quiet = bits >> np.uint32(16) | np.uint32(0x40)
    return np.where(np.isnan(pairs), quiet, rounded).astype(np.uint16).view(np.uint32)


def _shuffle(call: Call, values: Array, lanes: Array) -> Array:
    inside = lanes < WARP
    source = np.where(inside, lanes, np.arange(WARP))
    return values.reshape(-1, WARP)[:, source].reshape(-1, 1)


def _shuffle_xor(call: Call, values: Array) -> Array:
    return _shuffle(call, values, np.arange(WARP) ^ call.immediates[0])


def _shuffle_down(call: Call, values: Array) -> Array:
    return _shuffle(call, values, np.arange(WARP) + call.immediates[0])


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "load_matrix": _load_matrix,
    **dict.fromkeys(BITS, _mma),
    **dict.fromkeys(("wgmma_f16", "wgmma_bf16"), _wgmma),
    "pack_f16": _pack,
    "pack_bf16": _pack,
    "round_tf32": _round_tf32,
    "wgmma_results": lambda call, sums: sums,
    "shuffle_xor": _shuffle_xor,
    "shuffle_down": _shuffle_down,
}


class Copies:
    """The asynchronous copies of a block that nobody has waited for. Each thread has groups of its
    own, numbered from 0; `closed` counts those that it has committed.
    """

    def __init__(self, site: Site, threads: int) -> None:
        self.site = site
        self.closed = np.zeros((threads, 1), np.int64)
        self.start()

    def start(self) -> None:
        """Of a task."""
        self.closed[:] = 0
        # (target, its elements, what they become, the group of each or NEVER)
        self.sent: list[tuple[ThreadMemory, Array, Array, Array]] = []

    def run(self, call: Call, operands: Operands) -> None:
        active = np.broadcast_to(self.site.active, self.closed.shape)
        match call.name:
            case "copy_async":
                self._send(operands)
            case "copy_commit":
                self.closed += active
            case "copy_wait":
                self._wait(np.where(active, self.closed - call.immediates[0], 0))

    def _send(self, operands: Operands) -> None:
        (target, to), (source, start), _ = operands.places
        inside = operands.values[2]
        values = source.stored(start, inside)
        place, active = target.send(to)
        values = np.broadcast_to(np.where(inside, values, values.dtype.type(0)), place.shape)
        groups = np.where(active, self.closed, _NEVER)
        self.sent.append((target, place, values, groups))

    def _wait(self, limit: Array) -> None:
        """The copies of groups below the limit, of each thread, arrive."""
        rest = []
        for target, place, values, groups in self.sent:
            arrives = groups < limit
            if arrives.any():
                target.arrive(place, values, arrives)
            groups = np.where(arrives, _NEVER, groups)
            if (groups != _NEVER).any():
                rest.append((target, place, values, groups))
        self.sent = rest


_NEVER = np.iinfo(np.int64).max
