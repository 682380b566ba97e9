"""A user's kernel: a tensor program, compiled for this machine, called with NumPy arrays.

@kernel
def scale(x: f32["n"], y: f32["n"]): ...
scale(x, y)                       # compiled at the first call, kept in the kernel cache
scale.interpret(x, y)             # the same in NumPy, every access checked
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from hidet_core import _runtime
from hidet_core.base.errors import BadOption
from hidet_core.build import Builder, KernelCache, assembly
from hidet_core.codegen import emit, interpret, workspace_bytes
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Program
from hidet_core.lang import program as record
from hidet_core.lower import LOWERING, expand_mapping
from hidet_core.stages import Trace
from hidet_core.target import host

from .arguments import Signature

TARGETS = ("cpu", "interp")


class ArrayKernel:
    """Call it with one C-contiguous array per parameter; it stores into them in place.

    Thread-safe. Raises BadArgument for arrays that do not fit.
    """

    def __init__(self, program: Program, target: str = "cpu") -> None:
        if target not in TARGETS:
            raise BadOption("target", target, TARGETS)
        self.program = program
        self.target = target
        self._signature = Signature(program)
        self._lock = threading.Lock()
        self._module: Any = None  # keeps the code of _address mapped
        self._address = 0

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def text(self) -> str:
        """The program as it was written, before any lowering."""
        return text(self.program).rstrip("\n")

    @property
    def source(self) -> str:
        """The LLVM IR generated for this machine."""
        return emit(_lower(self.program))

    @property
    def assembly(self) -> str:
        """The machine code as text."""
        return assembly(self.source, host())

    def compile(self) -> ArrayKernel:
        """Compile now rather than at the first call; the kernel itself."""
        with self._lock:
            if self._module is None:
                self._module = _runtime.Module(_image(self.program))
                self._address = self._module.address(self.name)
        return self

    def __call__(self, *arrays: np.ndarray, threads: int = 1) -> None:
        """Run on these arrays, the parallel tasks on so many threads."""
        if self.target == "interp":
            return self.interpret(*arrays)
        scalars, tasks = self._signature.bind(arrays)
        address, need = self.compile()._address, workspace_bytes(self.program)
        _runtime.launch(address, list(arrays), scalars, tasks, threads, need)

    def interpret(self, *arrays: np.ndarray) -> None:
        """Run in NumPy, slowly: accesses out of bounds, reads of what was never written and tasks
        that disturb each other raise ProgramError with the author's file and line.
        """
        scalars, _ = self._signature.bind(arrays)
        interpret(expand_mapping(self.program), arrays, scalars)

    def measure(self, *arrays: np.ndarray, threads: int = 1, repeats: int = 20) -> list[float]:
        """The seconds that each of `repeats` runs took, after one that is not counted."""
        self(*arrays, threads=threads)
        scalars, tasks = self._signature.bind(arrays)
        address, need = self.compile()._address, workspace_bytes(self.program)
        return _runtime.measure(address, list(arrays), scalars, tasks, threads, repeats, need)

    def __repr__(self) -> str:
        return f"<kernel {self.name} for {self.target}>"


def compile_kernel(program: Program, target: str = "cpu") -> ArrayKernel:
    """A kernel of a program (see hidet_core.lang). target "interp": calls are interpreted."""
    built = ArrayKernel(program, target)
    return built if target == "interp" else built.compile()


def kernel(fn: Callable[..., None]) -> ArrayKernel:
    """Decorator: a function with annotated tensor parameters becomes a kernel.

    Mistakes that show while it is written down raise ProgramError here, with file and line.
    """
    return ArrayKernel(record(fn))


def _lower(program: Program, trace: Trace | None = None) -> Program:
    for lower in LOWERING:
        program = lower(program)
        if trace is not None:
            trace(lower.__name__, program, lower.gives)
    return program


def _image(program: Program) -> bytes:
    """Machine code: from the cache, or compiled here and now."""
    # the text of a custom mapping does not say what it maps: its expansion does
    expanded = text(expand_mapping(program))
    with (
        KernelCache.open() as cache,
        Builder(host(), cache, workers=0) as builder,
        Trace.user(program.name, expanded) as trace,
    ):
        edited = trace.override()
        key = builder.key(expanded, edited)
        found = builder.find(key)
        if found is not None and not trace.is_active:
            return found.result()
        lowered = _lower(trace("program", program, "scheduled"), trace)
        source = trace.source(edited or emit(lowered))
        trace.note("kernel.s", lambda: assembly(source, builder.target))
        done: Future[bytes] = builder.compile(key, source)
        return done.result()
