"""The compiler of HidetEP: what the execution provider (and nobody else above it) may use."""

try:
    from . import _runtime  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"hidet_core in {__path__[0]} has no native part ({error}). In the source tree: "
        "`pip install -e .`. To use what is installed, start Python in another folder."
    ) from error

from .arrays import ArrayKernel, BadArgument, compile_kernel, kernel
from .base.errors import BadOption, CompilerBug, HidetError, ProgramError, Rejected, Unsupported
from .build import KernelCache, is_installed
from .importer import (
    OnnxGraph,
    OnnxNode,
    OnnxValue,
    OperatorSupport,
    describe_operators,
    explain_node,
    from_model,
)
from .pipeline import CompiledPartition, choose_target, compile_graph, compile_partition
from .stages import CompileOptions, KernelReport, PartitionReport
from .target import TARGETS, Target, gpu, runs_on
from .tune import Progress as TuneProgress
from .tune import TuneOptions, TuneReport, tune_partition

__all__ = [
    "TARGETS",
    "ArrayKernel",
    "BadArgument",
    "BadOption",
    "CompileOptions",
    "CompiledPartition",
    "CompilerBug",
    "HidetError",
    "KernelCache",
    "KernelReport",
    "OnnxGraph",
    "OnnxNode",
    "OnnxValue",
    "OperatorSupport",
    "PartitionReport",
    "ProgramError",
    "Rejected",
    "Target",
    "TuneOptions",
    "TuneProgress",
    "TuneReport",
    "Unsupported",
    "choose_target",
    "compile_graph",
    "compile_kernel",
    "compile_partition",
    "describe_operators",
    "explain_node",
    "from_model",
    "gpu",
    "is_installed",
    "kernel",
    "runs_on",
    "tune_partition",
]
