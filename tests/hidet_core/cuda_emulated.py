"""Generated CUDA C++, run by the emulated driver, which checks bounds, races and barriers.

run_emulated(lowered, arrays, scalars)
"""

import ctypes

from hidet_core.codegen import emit_cuda, launch_of
from hidet_core.emulator import compiler
from hidet_core.ir.expr import wrap
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.substitute import substitute
from hidet_core.ir.tensor_map import TensorMap
from tests.emulator.cuda import Cuda, private_library
from tests.emulator.hopper import BFLOAT16, FLOAT16, FLOAT32, tensor_map

HAS_COMPILER = compiler() is not None
MAX_DYNAMIC_SHARED = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES


def encoded(cuda, param, pointer, values):
    """The tensor map that a parameter is, of memory at a pointer."""
    sizes, strides = (
        [int(simplify_dim(substitute(wrap(dim), values))) for dim in reversed(dims)]
        for dims in (param.shape, param.strides)
    )
    bytes_ = [stride * param.dtype.bytes for stride in strides]
    kind = {"f16": FLOAT16, "bf16": BFLOAT16, "f32": FLOAT32}[param.dtype.name]
    return tensor_map(cuda, kind, pointer, sizes, bytes_[1:], param.box[::-1], param.swizzle)


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
    given = [
        encoded(cuda, param, pointer, values) if isinstance(param, TensorMap) else pointer
        for param, pointer in zip(program.params, pointers, strict=True)
    ]
    arguments = [*given, *(ctypes.c_longlong(int(n)) for n in scalars)]
    start = cuda.launch_early if launch.dependent else cuda.launch
    start(kernel, blocks, launch.threads, *arguments, shared=launch.shared_bytes)
    for param, pointer, array in zip(program.params, pointers, arrays, strict=True):
        is_map = isinstance(param, TensorMap)
        if array.nbytes and array.flags.writeable and not is_map:
            array[...] = cuda.download(pointer, array.shape, array.dtype)
