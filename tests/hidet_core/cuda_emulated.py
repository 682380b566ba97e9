"""Generated CUDA C++, run by the emulated driver, which checks bounds, races and barriers.

run_emulated(lowered, arrays, scalars)
"""

import ctypes

from hidet_core.codegen import emit_cuda, launch_of
from hidet_core.emulator import compiler
from hidet_core.ir.expr import wrap
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.substitute import substitute
from tests.emulator.cuda import Cuda, private_library

HAS_COMPILER = compiler() is not None
MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


def run_emulated(program, arrays, scalars=(), seed=1):
    """Run all blocks of a lowered program on arrays, in place; seed: of the order of threads."""
    values = dict(zip(program.scalars, map(wrap, scalars), strict=True))
    blocks, launch = simplify_dim(substitute(program.tasks, values)), launch_of(program)
    if blocks == 0:
        return
    cuda = Cuda(private_library(), seed).start()
    kernel = cuda.kernel(emit_cuda(program), program.name)
    cuda.cuFuncSetAttribute(kernel, MAX_DYNAMIC_SHARED, launch.shared_bytes)
    places = {}  # parts of one tensor are parameters with the same array
    for array in arrays:
        if array.ctypes.data not in places:
            places[array.ctypes.data] = cuda.upload(array) if array.nbytes else cuda.alloc(1)
    pointers = [places[array.ctypes.data] for array in arrays]
    arguments = [*pointers, *(ctypes.c_longlong(int(n)) for n in scalars)]
    start = cuda.launch_early if launch.dependent else cuda.launch
    start(kernel, blocks, launch.threads, *arguments, shared=launch.shared_bytes)
    for pointer, array in zip(pointers, arrays, strict=True):
        if array.nbytes and array.flags.writeable:
            array[...] = cuda.download(pointer, array.shape, array.dtype)
