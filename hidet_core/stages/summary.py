"""What HIDET_DEBUG tells of a compiled graph: its kernels, their estimates, how long it took."""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.ir.expr import Const
from hidet_core.ir.printer import text

from .kernel import Kernel
from .ladder import KERNELS, MODELS, tell
from .trace import Trace


def tell_model(trace: Trace, kernels: Sequence[Kernel], cached: int, seconds: float) -> None:
    """The summary of a compiled graph, as much of it as the level asks for."""
    debug, name = trace.settings.debug, trace.path.partition("/")[0]
    if debug >= KERNELS:
        for number, kernel in enumerate(kernels):
            tell(f"{name}: kernel {number:03} {kernel_line(kernel)}")
    if debug >= MODELS:
        count = f"{len(kernels)} kernel{'s' * (len(kernels) != 1)}"
        tell(f"{name}: {count}, {cached} of them cached, {seconds:.2f} s")


def kernel_line(kernel: Kernel) -> str:
    """One kernel: what is in it, its config and the estimate for one core."""
    scheduled, tasks = kernel.scheduled, kernel.program.tasks
    ops = " + ".join(kernel.report.ops)
    if isinstance(tasks, Const):
        estimate = f"{scheduled.task_ns * tasks.value / 1e3:.1f} us"
    else:
        estimate = f"{scheduled.task_ns / 1e3:.2f} us x ({text(tasks)})"
    return f"{kernel.program.name}: {ops} | {scheduled.config or 'rule-based'} | {estimate}"
