"""A fusion group on its way from a program to a launch, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from hidet_core.base.errors import Rejected, Unsupported
from hidet_core.ir.stmt import Program
from hidet_core.schedule.problem import Scheduled

from .draft import Draft
from .trace import Trace


@dataclass(frozen=True)
class KernelReport:
    """One kernel: its name, the operators fused into it, the schedule config."""

    name: str
    ops: tuple[str, ...]
    config: str


@dataclass(frozen=True)
class PartitionReport:
    """The kernels of a partition, in the order in which they run."""

    kernels: tuple[KernelReport, ...]


@dataclass(frozen=True, eq=False)
class Kernel:
    """program: scheduled and fused; image: its machine code, once compiled; trace: its own.

    launch: threads of a block, its bytes of shared memory, and whether it waits by itself for the
    kernels before it; on a CPU 0, the bytes of a thread's workspace, False. others: the same draft
    with the next configs, should the compiler reject this one.
    """

    draft: Draft
    scheduled: Scheduled
    program: Program
    image: Future[bytes]
    trace: Trace
    launch: tuple[int, int, bool] = (0, 0, False)
    others: Iterator[Kernel] = field(default_factory=lambda: iter(()))

    @property
    def report(self) -> KernelReport:
        ops = tuple(operator.op.name for operator in self.draft.group.operators)
        return KernelReport(self.program.name, ops, self.scheduled.config)


def settle(kernel: Kernel) -> Kernel:
    """The kernel once it is compiled: the first of its configs that the compiler does not reject.
    Raises CompilerBug where the compiler failed, Unsupported where it rejected all configs.
    """
    with kernel.trace as trace:
        tried, current = [], kernel
        while isinstance(error := current.image.exception(), Rejected):
            tried.append(f"{current.scheduled.config}: {error}")
            trace.note("rejected.txt", "\n".join(tried) + "\n")
            following = next(kernel.others, None)
            if following is None:
                raise Unsupported(kernel.program.name, f"no config compiles; {tried[0]}")
            current = following
        current.image.result()
    return current
