"""Hand-made lowered programs for the tests of code generation, and ways to run them on NumPy
arrays.
"""

import ctypes

import numpy as np

from hidet_core._runtime import Module
from hidet_core.build.llvm import compile_object
from hidet_core.codegen import emit
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Broadcast, Const, Load, Ramp, Var
from hidet_core.ir.stmt import Program
from hidet_core.target import host


def k(value, dtype=i64):
    return Const(value, dtype)


def ramp(base, lanes, stride=1):
    base = base if not isinstance(base, int) else k(base)
    return Ramp(base, k(stride), i64.vector(lanes))


def splat(a, lanes):
    return Broadcast(a, a.dtype.vector(lanes))


def load(buffer, index, mask=None):
    index = index if not isinstance(index, int) else k(index)
    return Load(buffer, (index,), buffer.dtype.vector(index.dtype.lanes), mask)


def program(params, body, scalars=(), tasks=1, task=None, local=(), name="kernel"):
    tasks = tasks if not isinstance(tasks, int) else k(tasks)
    task = Var("task") if task is None else task
    return Program(name, tuple(params), tuple(scalars), task, tasks, tuple(local), body)


def compiled(prog, cpu=None, may_alias=(), named=None):
    """A Python function of (arrays, scalars, begin, end). named: the CPU whose instructions may be
    called by name.
    """
    module = Module(compile_object(emit(prog, may_alias, named), cpu or host()))
    address = module.address(prog.name)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(address)

    def call(arrays, scalars=(), begin=0, end=1):
        pointers = (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])
        numbers = (ctypes.c_int64 * max(len(scalars), 1))(*scalars)
        function(pointers, numbers, begin, end)
        assert module  # its memory holds the code

    return call


def aligned(shape, dtype=np.float32):
    """Zeros at a 64-byte boundary."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
