"""A fusion group on its way from a program to a launch, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass

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


@dataclass(frozen=True)
class BlockShape:
    """threads and dynamic shared memory of a block of a kernel on a GPU; 0 threads: CPU code.

    dependent: the kernel itself waits for those before it (`plan.KernelCode`).
    """

    threads: int = 0
    shared_bytes: int = 0
    dependent: bool = False


@dataclass(frozen=True, eq=False)
class Kernel:
    """program: scheduled and fused; image: its machine code, once compiled; trace: its own;
    launch: for a GPU, of the lowered program (`codegen.launch_of`).
    """

    draft: Draft
    scheduled: Scheduled
    program: Program
    image: Future[bytes]
    trace: Trace
    launch: BlockShape = BlockShape()

    @property
    def report(self) -> KernelReport:
        ops = tuple(operator.op.name for operator in self.draft.group.operators)
        return KernelReport(self.program.name, ops, self.scheduled.config)


def wait(kernels: Iterable[Kernel]) -> None:
    """Until all are compiled. Raises CompilerBug where LLVM refused one."""
    for kernel in kernels:
        with kernel.trace:
            kernel.image.result()
