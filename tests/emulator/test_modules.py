"""Modules, functions, launches and their limits."""

import ctypes

import numpy as np
import pytest

from hidet_core.emulator import compile_image
from tests.emulator.cuda import CudaError, address, compiled, parameters

INVALID_VALUE, INVALID_IMAGE, FILE_NOT_FOUND, INVALID_HANDLE = 1, 200, 301, 400
NOT_FOUND, OUT_OF_RESOURCES, NOT_SUPPORTED = 500, 701, 801
THREADS, SHARED, MAX_DYNAMIC = 0, 1, 8

SOURCE = """
extern "C" __global__ void __launch_bounds__(64) fill(float* x, char c, double d, short s) {
  __shared__ float room[16];
  if (threadIdx.x < 16) room[threadIdx.x] = 0;
  x[threadIdx.x] = c + d + s;
}
extern "C" __global__ void dynamic(int* x) {
  extern __shared__ int room[];
  room[threadIdx.x] = threadIdx.x;
  x[threadIdx.x] = room[threadIdx.x];
}
extern "C" __global__ void nothing() {}
"""


class LaunchConfig(ctypes.Structure):
    _fields_ = (
        ("sizes", ctypes.c_uint * 7),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("count", ctypes.c_uint),
    )


class Attribute(ctypes.Structure):
    _fields_ = (("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_uint * 16))


def code(match, call, *arguments, **keywords):
    with pytest.raises(CudaError, match=match) as caught:
        call(*arguments, **keywords)
    return caught.value.code


def attribute(cuda, kernel, number):
    return cuda.out(ctypes.c_int, "cuFuncGetAttribute", number, kernel).value


def test_images_from_a_path(cuda, tmp_path):
    path = tmp_path / "image.so"
    path.write_bytes(compiled(SOURCE))
    for function in ("cuModuleLoad", "cuModuleLoadData"):
        module = cuda.out(ctypes.c_void_p, function, str(path).encode())
        cuda.out(ctypes.c_void_p, "cuModuleGetFunction", module, b"fill")
    module = ctypes.c_void_p()
    cuda.cuModuleLoadDataEx(ctypes.byref(module), compiled(SOURCE), 0, None, None)
    missing = str(tmp_path / "none").encode()
    assert code("cannot read", cuda.cuModuleLoad, ctypes.byref(module), missing) == FILE_NOT_FOUND


@pytest.mark.parametrize("image", [b"\x7fELF" + bytes(96), b".version 8.0" + bytes(96)])
def test_what_is_no_image(cuda, image):
    module = ctypes.c_void_p()
    found = code("neither cubin nor PTX", cuda.cuModuleLoadData, ctypes.byref(module), image)
    assert found == INVALID_IMAGE


def test_an_image_of_another_version(cuda):
    image = compile_image(SOURCE.replace("dynamic", "changed"))
    name = b"hidet_emu_attach\0"
    other = image.replace(name, b"other_emu_attach\0")
    assert other != image
    module = ctypes.c_void_p()
    found = code("not made by this version", cuda.cuModuleLoadData, ctypes.byref(module), other)
    assert found == INVALID_IMAGE


def test_unknown_kernel(cuda):
    module = cuda.out(ctypes.c_void_p, "cuModuleLoadData", compiled(SOURCE))
    kernel = ctypes.c_void_p()
    arguments = (ctypes.byref(kernel), module, b"absent")
    text = "no kernel 'absent' in the module; it has: fill dynamic nothing"
    assert code(text, cuda.cuModuleGetFunction, *arguments) == NOT_FOUND


def test_unloading_ends_its_functions(cuda):
    module = cuda.out(ctypes.c_void_p, "cuModuleLoadData", compiled(SOURCE))
    kernel = cuda.out(ctypes.c_void_p, "cuModuleGetFunction", module, b"nothing")
    cuda.launch(kernel, 1, 1)
    cuda.cuModuleUnload(module)
    assert code("is no function", cuda.launch, kernel, 1, 1) == INVALID_HANDLE
    assert code("is no module", cuda.cuModuleUnload, module) == INVALID_HANDLE


def test_attributes_of_functions(cuda):
    fill, dynamic = cuda.kernel(SOURCE, "fill"), cuda.kernel(SOURCE, "dynamic")
    assert [attribute(cuda, fill, n) for n in (THREADS, SHARED, MAX_DYNAMIC)] == [64, 64, 49088]
    assert [attribute(cuda, dynamic, n) for n in (THREADS, SHARED)] == [1024, 0]
    cuda.cuFuncSetAttribute(dynamic, MAX_DYNAMIC, 100000)
    assert attribute(cuda, dynamic, MAX_DYNAMIC) == 100000
    most = 227 * 1024
    assert code("may ask for", cuda.cuFuncSetAttribute, dynamic, MAX_DYNAMIC, most + 1) == 1
    assert code("cannot be set", cuda.cuFuncSetAttribute, dynamic, SHARED, 1) == INVALID_VALUE
    assert code("function attribute 99", attribute, cuda, fill, 99) == INVALID_VALUE


def test_parameters_one_by_one_and_in_a_buffer(cuda_seeds):
    cuda, kernel = cuda_seeds, cuda_seeds.kernel(SOURCE, "fill")
    out = cuda.alloc(256)
    values = (ctypes.c_char(3), ctypes.c_double(0.5), ctypes.c_short(40))
    cuda.launch(kernel, 1, 64, out, *values)
    assert (cuda.download(out, 64, np.float32) == 43.5).all()

    class Buffer(ctypes.Structure):
        _fields_ = (
            ("out", ctypes.c_uint64),
            ("c", ctypes.c_char),
            ("d", ctypes.c_double),
            ("s", ctypes.c_short),
        )

    buffer = Buffer(out.value, 1, 0.25, 2)
    extent = ctypes.c_size_t(ctypes.sizeof(buffer))
    pointers = (1, ctypes.addressof(buffer), 2, ctypes.addressof(extent), 0)
    extra = (ctypes.c_void_p * 5)(*pointers)
    cuda.cuLaunchKernel(kernel, 1, 1, 1, 64, 1, 1, 0, None, None, extra)
    assert (cuda.download(out, 64, np.float32) == 3.25).all()
    extent.value = 16
    arguments = (kernel, 1, 1, 1, 64, 1, 1, 0, None, None, extra)
    assert code("ends before parameter 2", cuda.cuLaunchKernel, *arguments) == INVALID_VALUE


def test_missing_parameters(cuda):
    kernel = cuda.kernel(SOURCE, "fill")
    arguments = (kernel, 1, 1, 1, 64, 1, 1, 0, None)
    assert code("kernelParams is null", cuda.cuLaunchKernel, *arguments, None, None) == 1
    holes = (ctypes.c_void_p * 4)()
    assert code("parameter 0 of 4", cuda.cuLaunchKernel, *arguments, holes, None) == INVALID_VALUE


@pytest.mark.parametrize(
    ("grid", "block", "shared", "expected"),
    [
        (1, 2048, 0, INVALID_VALUE),
        (1, 0, 0, INVALID_VALUE),
        (0, 32, 0, INVALID_VALUE),
        ((1, 65536, 1), 32, 0, INVALID_VALUE),
        (1, (1, 1, 65), 0, INVALID_VALUE),
        (1, (32, 32, 2), 0, INVALID_VALUE),
        (1, 32, 49153, INVALID_VALUE),
    ],
)
def test_launch_limits(cuda, grid, block, shared, expected):
    out = cuda.alloc(4096)
    kernel = cuda.kernel(SOURCE, "dynamic")
    found = code("launch limits", cuda.launch, kernel, grid, block, out, shared=shared)
    assert found == expected
    cuda.launch(kernel, 1, 1024, out, shared=4096)  # not poisoned
    assert (cuda.download(out, 1024, np.int32) == np.arange(1024)).all()


def test_launch_bounds(cuda):
    kernel = cuda.kernel(SOURCE, "fill")
    values = (cuda.alloc(1024), ctypes.c_char(0), ctypes.c_double(0), ctypes.c_short(0))
    text = r"65 threads, but kernel fill has __launch_bounds__\(64\)"
    assert code(text, cuda.launch, kernel, 1, 65, *values) == OUT_OF_RESOURCES


def test_much_dynamic_shared_memory(cuda):
    kernel, out = cuda.kernel(SOURCE, "dynamic"), cuda.alloc(4096)
    cuda.cuFuncSetAttribute(kernel, MAX_DYNAMIC, 200000)
    cuda.launch(kernel, 1, 1024, out, shared=200000)
    assert (cuda.download(out, 1024, np.int32) == np.arange(1024)).all()


def launch_ex(cuda, *attributes):
    array = (Attribute * max(len(attributes), 1))(*attributes)
    sizes = (ctypes.c_uint * 7)(1, 1, 1, 4, 1, 1, 64)
    config = LaunchConfig(sizes, None, ctypes.addressof(array), len(attributes))
    out = cuda.alloc(16)
    kernel = cuda.kernel(SOURCE, "dynamic")
    cuda.cuLaunchKernelEx(ctypes.byref(config), kernel, parameters(out), None)
    return cuda.download(out, 4, np.int32).tolist()


def words(*values):
    return (ctypes.c_uint * 16)(*values)


def test_launch_by_config(cuda):
    assert launch_ex(cuda) == [0, 1, 2, 3]
    assert launch_ex(cuda, Attribute(6, 0, words(1)), Attribute(4, 0, words(1, 1, 1))) == [
        0,
        1,
        2,
        3,
    ]
    cluster, cooperative = Attribute(4, 0, words(2, 1, 1)), Attribute(2, 0, words(1))
    assert code("no clusters", launch_ex, cuda, cluster) == NOT_SUPPORTED
    assert code("one block after the other", launch_ex, cuda, cooperative) == NOT_SUPPORTED
    assert code("launch attribute 77", launch_ex, cuda, Attribute(77, 0, words())) == NOT_SUPPORTED


def test_occupancy(cuda):
    kernel = cuda.kernel(SOURCE, "dynamic")
    name = "cuOccupancyMaxActiveBlocksPerMultiprocessor"
    limits = [
        cuda.out(ctypes.c_int, name, kernel, threads, ctypes.c_size_t(shared)).value
        for threads, shared in ((32, 0), (1024, 0), (100, 0), (32, 100 * 1024))
    ]
    assert limits == [32, 2, 16, 2]
    fill = cuda.kernel(SOURCE, "fill")
    assert cuda.out(ctypes.c_int, name, fill, 65, ctypes.c_size_t(0)).value == 0


def test_variables_of_a_module(cuda_seeds):
    """They can be written and read from outside, constants too."""
    source = (
        "__device__ int counter = 3; __constant__ float scales[4];\n"
        'extern "C" __global__ void kernel(float* out) {\n'
        "  out[threadIdx.x] = scales[threadIdx.x] * counter; }"
    )
    module = cuda_seeds.out(ctypes.c_void_p, "cuModuleLoadData", compiled(source))
    function = cuda_seeds.out(ctypes.c_void_p, "cuModuleGetFunction", module, b"kernel")
    size, places = ctypes.c_size_t(), {}
    for name, expected in (("counter", 4), ("scales", 16)):
        place = ctypes.c_uint64()
        cuda_seeds.cuModuleGetGlobal_v2(
            ctypes.byref(place), ctypes.byref(size), module, name.encode()
        )
        places[name] = place
        assert size.value == expected
    scales = np.array([1, 2, 4, 8], np.float32)
    cuda_seeds.cuMemcpyHtoD_v2(places["scales"], address(scales), ctypes.c_size_t(16))
    assert cuda_seeds.download(places["counter"], 1, np.int32)[0] == 3
    out = cuda_seeds.alloc(16)
    cuda_seeds.launch(function, 1, 4, out)
    np.testing.assert_array_equal(cuda_seeds.download(out, 4, np.float32), 3 * scales)
    with pytest.raises(CudaError, match="no variable 'missing'") as caught:
        cuda_seeds.cuModuleGetGlobal_v2(None, None, module, b"missing")
    assert caught.value.code == 500
