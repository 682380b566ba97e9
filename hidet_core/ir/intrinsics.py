"""The instructions that a Call names, as a table: what each does with its operands.

A new instruction is a row here, a function of the interpreter (codegen/calls.py), and `ht_<name>`
in a header of codegen/cuda, in PTX and for the emulated device. Fragments of matrices are 32-bit
words of registers, each with one f32 (tf32), two f16 or bf16, or four i8, as PTX has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .dtypes import DType, bf16, f16, f32, i8, i32, i64, u32, u64
from .expr import Buffer, Expr
from .node import all_fields, walk
from .stmt import Call, Place, Prefetch, Program
from .tensor_map import SCOPE as MAP
from .tensor_map import TensorMap

WARP, WARPGROUP = 32, 128
TOGETHER = {"thread": 1, "warp": WARP, "warpgroup": WARPGROUP}  # threads that do a call at once
GRID_WAIT, GRID_LAUNCH = "grid_wait", "grid_launch_dependents"
PREFETCH = "tensor_prefetch"
PROGRAMMATIC = (GRID_WAIT, GRID_LAUNCH)  # calls that may stand outside of a threads loop too
COPY_BYTES = (4, 8, 16)  # that an asynchronous copy can have
MATRIX_BYTES = 16  # of a row of a matrix that load_matrix loads
SHAPE_M, SHAPE_N, SHAPE_WORDS = 16, 8, 8  # of a matrix product; depth in words
GROUP_ROWS, GROUP_DEPTH = 64, 16  # of a product of a warpgroup, of 16-bit elements
GROUP_COLS = range(8, 257, 8)
GROUP_ROW_BYTES = (64, 128)  # of rows of its operands in shared memory, swizzled
TURNED_COLS = 64  # side by side in a row of b's, where depth goes from row to row
LEAST_REGISTERS, MOST_REGISTERS, REGISTER_STEP = 24, 256, 8  # of a thread, that may be set


@dataclass(frozen=True)
class Operand:
    """access: "read", "write", "update" of a place, "value" of an expression. scope: of the place;
    count: of its elements (0: see `misfit`). dtypes: of the elements, () for all.
    """

    access: str
    scope: str = ""
    count: int = 0
    dtypes: tuple[DType, ...] = ()


@dataclass(frozen=True)
class Intrinsic:
    """by: who does it together, each "thread" alone, all lanes of a "warp" or all 128 threads of a
    "warpgroup" at once. misfit: what else is wrong with a call, None if nothing is.
    """

    operands: tuple[Operand, ...]
    by: str = "thread"
    immediates: int = 0
    misfit: Callable[[Call], str | None] = lambda call: None


def _copy_misfit(call: Call) -> str | None:
    to, source = call.operands[:2]
    assert isinstance(to, Place) and isinstance(source, Place)
    bytes_ = to.count * to.buffer.dtype.bytes
    if to.buffer.dtype != source.buffer.dtype or (to.count, to.count) != (
        source.count,
        *call.immediates,
    ):
        return "source and target of an asynchronous copy have the same elements"
    return None if bytes_ in COPY_BYTES else f"a copy of {bytes_} bytes, not one of {COPY_BYTES}"


def _load_matrix_misfit(call: Call) -> str | None:
    to, row = call.operands
    assert isinstance(to, Place) and isinstance(row, Place)
    matrices, transposed = call.immediates
    if matrices not in (1, 2, 4) or to.count != matrices:
        return f"1, 2 or 4 matrices, each with a word of registers, not {matrices} in {to.count}"
    if transposed and row.buffer.dtype.bytes != 2:
        return "only matrices of 16-bit elements are transposed"
    is_row = row.count * row.buffer.dtype.bytes == MATRIX_BYTES
    return None if is_row else f"a row of {MATRIX_BYTES} bytes"


def _round_misfit(call: Call) -> str | None:
    (place,) = call.operands
    assert isinstance(place, Place)
    return None if call.immediates == (place.count,) else "as many elements as it says"


def _wait_misfit(call: Call) -> str | None:
    return None if call.immediates[0] >= 0 else "a number of groups >= 0"


def _registers_misfit(call: Call) -> str | None:
    count = call.immediates[0]
    fits = LEAST_REGISTERS <= count <= MOST_REGISTERS and count % REGISTER_STEP == 0
    return None if fits else f"{LEAST_REGISTERS} to {MOST_REGISTERS} registers, a multiple of 8"


def _tensor_load_misfit(call: Call) -> str | None:
    to, source = call.operands[:2]
    assert isinstance(to, Place) and isinstance(source, Place)
    if not isinstance(source.buffer, TensorMap):
        return "a box of a tensor map"
    if to.buffer.dtype != source.buffer.dtype:
        return "source and target of one type"
    size = source.buffer.box_elements
    return None if (to.count, source.count) == (size, size) else f"{size} elements, a whole box"


def _tensor_prefetch_misfit(call: Call) -> str | None:
    (source,) = call.operands
    assert isinstance(source, Place)
    return None if source.count == 0 else "a place of no elements"


def _wgmma_misfit(call: Call) -> str | None:
    cols, row_bytes, step, turned = call.immediates
    sums, a, b = call.operands
    assert isinstance(sums, Place) and isinstance(a, Place) and isinstance(b, Place)
    if cols not in GROUP_COLS or row_bytes not in GROUP_ROW_BYTES:
        return f"8, 16 ... 256 columns and rows of {GROUP_ROW_BYTES} bytes"
    if turned and (row_bytes != GROUP_ROW_BYTES[-1] or cols % TURNED_COLS):
        return f"rows of {GROUP_ROW_BYTES[-1]} bytes, {TURNED_COLS} columns, where b is turned"
    row, depth = row_bytes // a.buffer.dtype.bytes, GROUP_DEPTH
    if a.buffer.dtype != b.buffer.dtype or not 0 <= step < row // depth:
        return f"operands of one type, a step below {row // depth}"
    counts = (cols // 2, GROUP_ROWS * row, cols * row)
    got = (sums.count, a.count, b.count)
    return None if got == counts else f"{counts} elements of sums and operands, not {got}"


def _barrier(*more: Operand) -> Intrinsic:
    """Something with a barrier object (mbarrier): 8 bytes of shared memory."""
    return Intrinsic((Operand("update", "shared", 1, (u64,)), *more))


def _wgmma() -> Intrinsic:
    """sums[64 x cols] += a[64 x 16] * b[cols x 16]^T, step by step along rows of `row_bytes`; b is
    there as [cols][depth], or, turned, as [cols / 64][depth][64].
    """
    halves = Operand("read", "shared", 0, (f16, bf16))
    sums = Operand("update", "register", 0, (f32,))
    return Intrinsic((sums, halves, halves), "warpgroup", 4, _wgmma_misfit)


def _mma(words: DType, sums: DType = f32) -> Intrinsic:
    """sums[16 x 8] += a[16 x 8 words] * b[8 words x 8]."""
    return Intrinsic(
        (
            Operand("update", "register", 4, (sums,)),
            Operand("read", "register", 4, (words,)),
            Operand("read", "register", 2, (words,)),
        ),
        by="warp",
    )


def _pack() -> Intrinsic:
    """out = two 16-bit floats in a word."""
    word, pair = Operand("write", "register", 1, (u32,)), Operand("read", "register", 2, (f32,))
    return Intrinsic((word, pair))


def _shuffle() -> Intrinsic:
    """out = the value of another lane, chosen by the immediate."""
    numbers = (f32, i32, u32)
    return Intrinsic(
        (Operand("write", "register", 1, numbers), Operand("value", dtypes=numbers)), "warp", 1
    )


INTRINSICS: dict[str, Intrinsic] = {
    # out = place; place += value, at once. Of the threads, and of the tasks, that add to an
    # element, a later one sees after it what an earlier one had stored before, or seen at a barrier
    "atomic_add": Intrinsic(
        (
            Operand("write", "register", 1, (i32,)),
            Operand("update", "global", 1, (i32,)),
            Operand("value", dtypes=(i32,)),
        )
    ),
    # to = source where the third operand holds, else 0; done when a group of copies is waited for
    "copy_async": Intrinsic(
        (Operand("write", "shared"), Operand("read", "global"), Operand("value")),
        immediates=1,
        misfit=_copy_misfit,
    ),
    # the thread's copies since the last commit are a group
    "copy_commit": Intrinsic(()),
    # all of the thread's groups but the last n are there
    "copy_wait": Intrinsic((), immediates=1, misfit=_wait_misfit),
    # bring the place to the level 2 cache; it must exist
    "prefetch_l2": Intrinsic((Operand("read", "global"),)),
    # until the kernels before this one are done (lower/wait_for_grid.py); the next one may start
    GRID_WAIT: Intrinsic(()),
    GRID_LAUNCH: Intrinsic(()),
    # lane l gives row l % 8 of matrix l / 8, and gets word l % 4 of row l / 4 of each
    "load_matrix": Intrinsic(
        (Operand("write", "register", 0, (u32, f32)), Operand("read", "shared")),
        by="warp",
        immediates=2,
        misfit=_load_matrix_misfit,
    ),
    "mma_f16": _mma(u32),
    "mma_bf16": _mma(u32),
    "mma_tf32": _mma(f32),
    "mma_i8": _mma(u32, i32),
    "mma_u8": _mma(u32, i32),  # u8 of a times i8 of b
    # two f32 rounded to nearest, the first in the low half of the word
    "pack_f16": _pack(),
    "pack_bf16": _pack(),
    # to the nearest, ties away from zero; mma_tf32 itself ignores what a tf32 has not
    "round_tf32": Intrinsic(
        (Operand("update", "register", 0, (f32,)),), immediates=1, misfit=_round_misfit
    ),
    # what the thread knows to be stored in shared memory, warpgroups' products and copies see
    "fence_proxy_async": Intrinsic(()),
    # columns, bytes of a row, step, is b turned: chunk c (16 bytes) of row r of an operand lies at
    # place c ^ (r's place in bytes / 128 mod the chunks of a row) of the row. Thread t gets of row
    # t / 32 * 16 + t % 32 / 4 (and 8 below) the columns 8 * j + t % 4 * 2 and the next, for each j
    "wgmma_f16": _wgmma(),
    "wgmma_bf16": _wgmma(),
    # before products, once sums were used; after them; until all groups but the last n are done
    "wgmma_fence": Intrinsic((), by="warpgroup"),
    "wgmma_commit": Intrinsic((), by="warpgroup"),
    "wgmma_wait": Intrinsic((), by="warpgroup", immediates=1, misfit=_wait_misfit),
    # registers of floats that a product in flight had: nothing uses them earlier than here
    "wgmma_results": Intrinsic(
        (Operand("update", "register", 0, (f32,)),), "warpgroup", 1, _round_misfit
    ),
    # Barrier objects. One thread initialises them for so many arrivals and fences them, then the
    # block meets at a barrier. A phase is over when all arrivals have come and all bytes that were
    # announced; who waits for the parity of a phase (0, 1, 0 ...) goes on when it is over. Of a new
    # barrier the phase of parity 1 is over
    "mbarrier_init": _barrier(Operand("value", dtypes=(i64,))),
    "mbarrier_fence": Intrinsic(()),
    "mbarrier_arrive": _barrier(),
    # an arrival that announces bytes of copies
    "mbarrier_expect": _barrier(Operand("value", dtypes=(i64,))),
    "mbarrier_wait": _barrier(Operand("value", dtypes=(i64,))),
    # to = the box of a tensor whose first element is given, zeros outside of the tensor; chunks of
    # its rows lie as wgmma wants them (see there) if the map is swizzled. One thread does it; the
    # bytes arrive at the barrier object
    "tensor_load": Intrinsic(
        (
            Operand("write", "shared"),
            Operand("read", MAP),
            Operand("update", "shared", 1, (u64,)),
        ),
        misfit=_tensor_load_misfit,
    ),
    # the map itself, not the tensor, comes to where loads will want it; a place of no elements
    "tensor_prefetch": Intrinsic((Operand("read", MAP),), misfit=_tensor_prefetch_misfit),
    # how many registers the threads of a warpgroup have from here on, of those of the block
    "registers_decrease": Intrinsic((), "warpgroup", 1, _registers_misfit),
    "registers_increase": Intrinsic((), "warpgroup", 1, _registers_misfit),
    "shuffle_xor": _shuffle(),
    "shuffle_down": _shuffle(),
}
BITS = {"mma_f16": 16, "mma_bf16": 16, "mma_tf32": 32, "mma_i8": i8.bits, "mma_u8": i8.bits}


def roles(call: Call) -> Iterator[tuple[Operand, Place | Expr]]:
    """The operands with what the call does with them."""
    return zip(INTRINSICS[call.name].operands, call.operands, strict=True)


def written(call: Call) -> Iterator[Place]:
    """The places that a call writes."""
    for role, operand in roles(call):
        if role.access in ("write", "update"):
            assert isinstance(operand, Place)
            yield operand


def stored_buffers(program: Program) -> set[Buffer]:
    """The buffers that a program may write: those used by more than loads."""
    found: set[Buffer] = set()
    for node in walk(program.body):
        if isinstance(node, Call):
            found.update(place.buffer for place in written(node))
        elif not isinstance(node, (Expr, Prefetch, Place)):
            fields = (getattr(node, name) for name in all_fields(type(node)))
            found.update(field for field in fields if isinstance(field, Buffer))
    return found
