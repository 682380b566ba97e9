"""The plan as frozen dataclasses: no behaviour, no bytes.

Sizes, offsets, task counts and scalars are `Dim`s: ints, or int64 expressions over the plan's
symbols (add, sub, mul, floordiv, mod, min, max). A symbol is a `Var` that is the size of some input
axis; the runtime takes its value from the first such axis and checks all other dims. Launches have
the effect of running one after the other, in order.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Expr, Var

Dim = int | Expr


@dataclass(frozen=True)
class TensorSpec:
    """An input or output: contiguous, row-major, of this shape."""

    name: str
    dtype: DType
    shape: tuple[Dim, ...]


class BufferKind(enum.IntEnum):
    """Where a buffer's memory comes from. The numbers are part of the file format."""

    INPUT = 0
    OUTPUT = 1
    CONSTANT = 2
    TEMP = 3


@dataclass(frozen=True)
class Buffer:
    """Memory that kernels use.

    index: of the plan's input or output, or of the constant array; 0 for TEMP, which lies in the
    arena. halo_key (TEMP only): the buffer has a border that stays zero. It is zeroed when the
    arena is made, and shares memory only with buffers of an equal key (the same layout, kernels
    store into its interior only) that are not alive with it. A workspace that kernels find zero and
    leave zero is such a buffer too. alignment: of its start, in bytes, that kernels rely on.
    """

    kind: BufferKind
    index: int
    bytes: Dim
    halo_key: str | None = None
    alignment: int = 1


@dataclass(frozen=True)
class KernelCode:
    """A function of an image. Kernels with equal images share the loaded code.

    On a CPU the image is an ELF relocatable object, `threads` is 0, `shared_bytes` are those of a
    thread's workspace, and the C signature is
        void symbol(void* const* args, const int64_t* scalars,
                    int64_t task_begin, int64_t task_end, void* workspace)
    For CUDA it is what cuModuleLoadData takes; a block per task has `threads` threads and
    `shared_bytes` of dynamic shared memory; parameters are the arguments (pointers, or tensor maps
    by value), then the scalars (i64).
    dependent: the kernel waits by itself (griddepcontrol.wait) for those before it, so it may start
    before they end.
    """

    symbol: str
    image: bytes
    threads: int = 0
    shared_bytes: int = 0
    dependent: bool = False


@dataclass(frozen=True)
class TensorMap:
    """What cuTensorMapEncodeTiled takes, the contiguous dimension first: sizes, strides in bytes
    (the first is that of an element), and of a box the size in each dimension; swizzle: bytes.
    """

    dtype: DType
    sizes: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    box: tuple[int, ...]
    swizzle: int = 0


@dataclass(frozen=True)
class Argument:
    """A pointer given to a kernel: offset_bytes into a buffer. stored: the kernel may write there;
    else it only reads. part: through arguments of one buffer with different parts, none of them 0,
    no two kernels use the same element. map: the kernel gets not the pointer but a CUtensorMap of
    the tensor that lies there.
    """

    buffer: int
    offset_bytes: Dim = 0
    stored: bool = True
    part: int = 0
    map: TensorMap | None = None


@dataclass(frozen=True)
class Launch:
    """One call of a kernel over tasks [0, tasks). work: estimated ns per task on one core."""

    kernel: int
    args: tuple[Argument, ...]
    scalars: tuple[Dim, ...]
    tasks: Dim
    work: float
    name: str


@dataclass(frozen=True)
class SizeCheck:
    """Two sizes that have to be equal for the inputs to be valid; where: the operator."""

    where: str
    left: Dim
    right: Dim


@dataclass(frozen=True)
class Plan:
    """All that the runtime needs to know of a partition, except the contents of the constants.

    device: where it runs, 'cpu' or 'cuda'. checks: a run with other sizes is refused.
    """

    symbols: tuple[Var, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    buffers: tuple[Buffer, ...]
    kernels: tuple[KernelCode, ...]
    launches: tuple[Launch, ...]
    name: str
    device: str = "cpu"
    checks: tuple[SizeCheck, ...] = ()
