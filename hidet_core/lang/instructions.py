"""Instructions of NVIDIA GPUs in the language: asynchronous copies, tensor cores, shuffles.

An operand that is written or read as a whole is given by its first element, `tile[stage, row, 0]`;
the others lie after it along the last dim. Fragments of matrices are registers of u32 words (f32
for tf32); what lies in which lane is in ir/intrinsics.py and codegen/calls.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hidet_core.base.errors import ProgramError
from hidet_core.ir import expr as E
from hidet_core.ir.dtypes import i32, i64
from hidet_core.ir.expr import Expr, Load
from hidet_core.ir.intrinsics import BITS, GROUP_ROWS, INTRINSICS, MATRIX_BYTES, WARP
from hidet_core.ir.stmt import Call, Place
from hidet_core.ir.tensor_map import TensorMap

from .language import Tensor, register
from .trace import current, located, where


def _call(name: str, *operands: Any, immediates: tuple[int, ...] = ()) -> None:
    node = Call(name, operands, immediates, where())
    for role, operand in zip(INTRINSICS[name].operands, operands, strict=True):
        dtype = operand.buffer.dtype if isinstance(operand, Place) else operand.dtype
        if role.dtypes and dtype not in role.dtypes:
            names = " or ".join(map(str, role.dtypes))
            raise ProgramError(where(), f"{name}: expected an operand of {names}, got {dtype}")
        if isinstance(operand, Place) and operand.buffer.scope != role.scope:
            text = f"{name}: {operand.buffer.name} is {operand.buffer.scope}"
            raise ProgramError(where(), f"{text}, expected {role.scope}")
    wrong = INTRINSICS[name].misfit(node)
    if wrong is not None:
        raise ProgramError(where(), f"{name}: expected {wrong}")
    current().emit(node)


def _place(name: str, first: Any, count: int) -> Place:
    if not isinstance(first, Load):
        kind = type(first).__name__
        raise ProgramError(where(), f"{name}: expected an element of a buffer, got {kind}")
    return Place(first.buffer, first.indices, count)


def atomic_add(tensor: Tensor, indices: Sequence[Any], value: Any) -> Expr:
    """Add to an i32 of a tensor in memory and give what it was before, at once, whichever threads
    and blocks do it too. Who adds later sees what all threads of a block stored that an earlier
    one's barrier, before its addition, had waited for.
    """
    if tensor.dtype != i32 or tensor.buffer.scope != "global":
        what = f"{tensor.buffer.scope} {tensor.buffer.name} of {tensor.dtype}"
        raise ProgramError(where(), f"atomic_add() takes a tensor of i32 in memory, got {what}")
    before = register(i32, [1], "before")
    with located():
        added = E.wrap(value, i32)
    place = tensor._place(tuple(indices))
    out = _place("atomic_add", before[0], 1)
    _call("atomic_add", out, Place(tensor.buffer, place), added)
    return before[0]


def copy_async(to: Expr, source: Expr, count: int = 1, inside: Any = True) -> None:
    """Copy `count` elements (of 4, 8 or 16 bytes, aligned as such) from global to shared memory, 0
    where `inside` does not hold (then the source need not exist). They are there for this thread
    after the `copy_wait` for their group, for others after a barrier behind that.
    """
    with located():
        cond = E.wrap(inside)
    places = _place("copy_async", to, count), _place("copy_async", source, count)
    _call("copy_async", *places, cond, immediates=(count,))


def prefetch_l2(source: Expr, count: int = 1) -> None:
    """Ask for `count` elements of global memory, which must exist, to come to the level 2 cache."""
    _call("prefetch_l2", _place("prefetch_l2", source, count))


def copy_commit() -> None:
    """The thread's copies since the last commit become a group (maybe an empty one)."""
    _call("copy_commit")


def copy_wait(pending: int) -> None:
    """Wait for all groups of this thread but the last `pending`."""
    _call("copy_wait", immediates=(pending,))


def load_matrix(to: Expr, row: Expr, matrices: int, transposed: bool = False) -> None:
    """ldmatrix: 8 x 16 bytes each of 1, 2 or 4 matrices in shared memory, into a word each of
    registers. row: the first element of row lane % 8 of matrix lane / 8. All lanes of a warp.
    """
    place = _place("load_matrix", row, 1)
    whole = Place(place.buffer, place.indices, MATRIX_BYTES // place.buffer.dtype.bytes)
    target = _place("load_matrix", to, matrices)
    _call("load_matrix", target, whole, immediates=(matrices, int(transposed)))


def mma(kind: str, sums: Expr, a: Expr, b: Expr) -> None:
    """sums += a * b on tensor cores, all lanes of a warp together: 16 x 8 sums in 4 registers of a
    lane (f32; i32 for i8, u8), a in 4 words, b in 2; kind: f16, bf16, tf32, i8 or
    u8 (of a, times i8).
    """
    name = f"mma_{kind}"
    if name not in BITS:
        known = ", ".join(key.removeprefix("mma_") for key in BITS)
        raise ProgramError(where(), f"mma: kind is one of {known}, got {kind!r}")
    _call(name, _place(name, sums, 4), _place(name, a, 4), _place(name, b, 2))


def wgmma(
    kind: str, sums: Expr, a: Expr, b: Expr, shape: tuple[int, int], step: int, turned: bool = False
) -> None:
    """sums += a * b on tensor cores, the 128 threads of a warpgroup together: 64 x columns sums, in
    columns / 2 registers of a thread, of operands of 64 and `columns` rows in shared memory whose
    first elements are given. shape: (columns, bytes of a row: 64 or 128); step: which 16 elements
    of the rows; turned: b lies as [columns / 64][depth][64], in rows of 128 bytes. How rows are
    swizzled, and who has which sum: ir/intrinsics.py; kind: f16, bf16.
    """
    name = f"wgmma_{kind}"
    if name not in INTRINSICS:
        raise ProgramError(where(), f"wgmma: kind is f16 or bf16, got {kind!r}")
    columns, row_bytes = shape
    places = []
    for first, rows in ((a, GROUP_ROWS), (b, columns)):
        place = _place(name, first, 1)
        count = rows * row_bytes // place.buffer.dtype.bytes
        places.append(Place(place.buffer, place.indices, count))
    fixed = columns, row_bytes, step, int(turned)
    _call(name, _place(name, sums, columns // 2), *places, immediates=fixed)


def wgmma_fence() -> None:
    """Before the first `wgmma` and after sums were used. All threads of a warpgroup."""
    _call("wgmma_fence")


def wgmma_commit() -> None:
    """The warpgroup's products since the last commit become a group."""
    _call("wgmma_commit")


def wgmma_wait(pending: int) -> None:
    """Wait for all groups but the last `pending`: until then their sums and operands are theirs."""
    _call("wgmma_wait", immediates=(pending,))


def wgmma_results(first: Expr, count: int) -> None:
    """After the wait for the products whose sums these registers are, before they are used."""
    _call("wgmma_results", _place("wgmma_results", first, count), immediates=(count,))


def mbarrier_init(barrier: Expr, arrivals: int) -> None:
    """A barrier object (an element of a shared buffer of u64) whose phases have so many arrivals.
    By one thread; then `mbarrier_fence`, then a `barrier` of the block.
    """
    _barrier_call("mbarrier_init", barrier, arrivals)


def mbarrier_fence() -> None:
    """By the thread that has initialised barrier objects, after the last of them."""
    _call("mbarrier_fence")


def mbarrier_arrive(barrier: Expr) -> None:
    """One of the arrivals of the current phase: what the thread did before is seen by who waits."""
    _barrier_call("mbarrier_arrive", barrier)


def mbarrier_expect(barrier: Expr, bytes_: int) -> None:
    """An arrival; the phase lasts until so many bytes of copies have come too."""
    _barrier_call("mbarrier_expect", barrier, bytes_)


def mbarrier_wait(barrier: Expr, parity: Any) -> None:
    """Until the phase of this parity is over: 0, 1, 0 ...; before any, that of 1 is."""
    _barrier_call("mbarrier_wait", barrier, parity)


def _barrier_call(name: str, barrier: Expr, *values: Any) -> None:
    with located():
        numbers = [E.wrap(value, i64) for value in values]
    _call(name, _place(name, barrier, 1), *numbers)


def tensor_load(to: Expr, source: TensorMap, first: Sequence[Any], barrier: Expr) -> None:
    """Copy a box of a tensor to shared memory, from its first element on; by one thread. `first`
    says where the box begins, an index for each dim of the map, which may lie outside: zeros come
    from there. The bytes of the whole box arrive at the barrier object.
    """
    with located():
        place = tuple(E.as_index(index, source) for index in first)
    if len(place) != len(source.shape):
        text = f"tensor_load: {source.name} has {len(source.shape)} dims, got {len(place)} indices"
        raise ProgramError(where(), text)
    box = source.box_elements
    operands = _place("tensor_load", to, box), Place(source, place, box)
    _call("tensor_load", *operands, _place("tensor_load", barrier, 1))


def tensor_prefetch(source: TensorMap) -> None:
    """Fetch a map (not the tensor) before it is used; by one thread."""
    with located():
        place = tuple(E.as_index(0, source) for _ in source.shape)
    _call("tensor_prefetch", Place(source, place, 0))


def registers_decrease(count: int) -> None:
    """The threads of a warpgroup need only so many registers from here on (a multiple of 8)."""
    _call("registers_decrease", immediates=(count,))


def registers_increase(count: int) -> None:
    """The threads of a warpgroup wait for, and take, so many registers (a multiple of 8)."""
    _call("registers_increase", immediates=(count,))


def fence_proxy_async() -> None:
    """What this thread knows to be in shared memory is there for `wgmma`. Before the barrier."""
    _call("fence_proxy_async")


def round_tf32(first: Expr, count: int = 1) -> None:
    """Round f32 registers to what tf32 holds, to nearest; mma itself would cut them off."""
    _call("round_tf32", _place("round_tf32", first, count), immediates=(count,))


def pack(kind: str, word: Expr, pair: Expr) -> None:
    """A word of registers from two f32 side by side, rounded to f16 or bf16; kind: either."""
    name = f"pack_{kind}"
    if name not in INTRINSICS:
        raise ProgramError(where(), f"pack: kind is f16 or bf16, got {kind!r}")
    _call(name, _place(name, word, 1), _place(name, pair, 2))


def shuffle_xor(value: Expr, bits: int) -> Expr:
    """The value of lane (own lane ^ bits). All lanes of a warp together."""
    return _shuffle("shuffle_xor", value, bits)


def shuffle_down(value: Expr, delta: int) -> Expr:
    """The value of the lane `delta` further on; its own where there is none."""
    return _shuffle("shuffle_down", value, delta)


def _shuffle(name: str, value: Expr, number: int) -> Expr:
    if not 0 <= number < WARP:
        raise ProgramError(where(), f"{name}: lanes are 0 to {WARP - 1}, got {number}")
    out = register(value.dtype, [1], "shuffled")
    place = _place(name, out[0], 1)
    _call(name, place, value, immediates=(number,))
    return out[0]


def warp_reduce(op: str, value: Expr) -> Expr:
    """op ("add", "max", "min") over the values of all lanes of a warp, in all of them."""
    total = register(value.dtype, [1], "total")
    total[0] = value
    for step in range(WARP.bit_length() - 2, -1, -1):
        total[0] = E.binary(op, total[0], shuffle_xor(total[0], 1 << step))
    return total[0]
