"""What joins the packages, so that pipeline.py fits on a page: groups in terms of the IR, plans
from kernels, options, reports, the trace of all stages.
"""

from .assemble import assemble
from .describe import config_text, group_text
from .draft import Draft, draft_group
from .kernel import Kernel, KernelReport, PartitionReport, settle
from .options import CompileOptions
from .repro import repro_text
from .summary import tell_model
from .trace import Trace

__all__ = [
    "CompileOptions",
    "Draft",
    "Kernel",
    "KernelReport",
    "PartitionReport",
    "Trace",
    "assemble",
    "config_text",
    "draft_group",
    "group_text",
    "repro_text",
    "settle",
    "tell_model",
]
