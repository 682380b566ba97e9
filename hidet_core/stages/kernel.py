"""A fusion group on its way from a program to a launch, and what is told of it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from hidet_core.ir.stmt import Program
from hidet_core.schedule.problem import Scheduled

from .draft import Draft


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
    """program: scheduled and fused; image: its machine code, once it is compiled."""

    draft: Draft
    scheduled: Scheduled
    program: Program
    image: Future[bytes]

    @property
    def report(self) -> KernelReport:
        ops = tuple(operator.op.name for operator in self.draft.group.operators)
        return KernelReport(self.program.name, ops, self.scheduled.config)
