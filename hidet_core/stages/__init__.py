"""What joins the packages, so that pipeline.py fits on a page: groups in terms of the IR, plans
from kernels, options, reports, the trace of all stages.
"""

from .assemble import assemble
from .draft import Draft, draft_group
from .kernel import Kernel, KernelReport, PartitionReport
from .options import CompileOptions
from .trace import Trace

__all__ = [
    "CompileOptions",
    "Draft",
    "Kernel",
    "KernelReport",
    "PartitionReport",
    "Trace",
    "assemble",
    "draft_group",
]
