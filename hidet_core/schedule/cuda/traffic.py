"""What a GPU moves for a value: bytes by access, more where neighbouring threads do not read
neighbouring elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hidet_core.ir import poly as P
from hidet_core.ir.address import flat
from hidet_core.ir.expr import Buffer, Expr, Load, Var, wrap
from hidet_core.ir.node import walk
from hidet_core.ir.simplify import Simplifier
from hidet_core.lang import lanes, spatial
from hidet_core.target.nvidia import Cuda

VECTOR_BYTES = 16  # of the widest access
LATENCY_CYCLES = 650.0  # until what a load asks memory for is there
ISSUED = 128  # instructions of threads that a multiprocessor starts in a cycle
SECTOR = 32  # bytes that memory moves at least
LAUNCH_NS = 2000.0
THREADS_TO_FILL = 1024  # of a multiprocessor, from which on memory is busy


def access_bytes(
    simplifier: Simplifier, thread: Var, buffer: Buffer, index: Sequence[Expr]
) -> float:
    """Bytes moved for one element, where `thread` numbers threads side by side."""
    form = simplifier.poly(flat(buffer, index))
    name = next(iter(P.atom(thread).terms))
    step = form.terms.get(name, 0)
    rest = simplifier.expr(P.part(form, lambda mono, _: mono != name))
    if any(node is thread for node in walk(rest)):
        return SECTOR / 2  # somewhere: often near
    size = buffer.dtype.bytes
    return min(max(abs(step) * size, size / 8), SECTOR)


def value_bytes(simplifier: Simplifier, thread: Var, values: Iterable[Expr]) -> float:
    """Bytes moved for the loads of values."""
    loads = {id(n): n for value in values for n in walk(value) if isinstance(n, Load)}
    return sum(access_bytes(simplifier, thread, n.buffer, n.indices) for n in loads.values())


def traffic_ns(total_bytes: float, threads: float, target: Cuda) -> float:
    """The time to move bytes by so many threads in all, which are too few to keep memory busy if
    they do not fill the GPU.
    """
    busy = min(1.0, max(threads, 1.0) / (THREADS_TO_FILL * target.multiprocessors))
    return LAUNCH_NS + total_bytes / (target.bytes_per_ns * busy)


def in_vector(size: int) -> Iterator[Expr]:
    """The elements of a vector, in lanes if it has several."""
    if size == 1:
        yield wrap(0)
        return
    for (lane,) in lanes(spatial(size)):
        yield lane
