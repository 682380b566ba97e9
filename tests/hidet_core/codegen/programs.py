"""Hand-made lowered programs for the tests of code generation, and ways to run them on NumPy
arrays.
"""

import ctypes

import numpy as np
from llvmlite import binding

from hidet_core.build.llvm import compile_object
from hidet_core.codegen import emit
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Broadcast, Const, Load, Ramp, Var
from hidet_core.ir.stmt import Program
from hidet_core.target import host

_ALIVE = []  # execution engines own their code and crash when freed


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


def address_of(image, name):
    """Load an object file into this process."""
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
    engine.add_object_file(binding.ObjectFileRef.from_data(image))
    engine.finalize_object()
    _ALIVE.append(engine)
    return engine.get_function_address(name)


def _machine():
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        reloc="pic", codemodel="small", jit=True
    )
    _ALIVE.append(machine)
    return machine


def compiled(prog, cpu=None, may_alias=()):
    """A Python function of (arrays, scalars, begin, end)."""
    address = address_of(compile_object(emit(prog, may_alias), cpu or host()), prog.name)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(address)

    def call(arrays, scalars=(), begin=0, end=1):
        pointers = (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])
        numbers = (ctypes.c_int64 * max(len(scalars), 1))(*scalars)
        function(pointers, numbers, begin, end)

    return call


def aligned(shape, dtype=np.float32):
    """Zeros at a 64-byte boundary."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
