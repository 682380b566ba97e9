"""Initialisation, the device, contexts, names of errors, addresses of functions."""

import ctypes

import pytest

from tests.emulator.cuda import CudaError

NOT_INITIALIZED, INVALID_VALUE, INVALID_DEVICE, INVALID_CONTEXT, INVALID_HANDLE = (
    3,
    1,
    101,
    201,
    400,
)
NOT_FOUND = 500


def code(call, *arguments):
    with pytest.raises(CudaError) as caught:
        call(*arguments)
    return caught.value.code


def test_nothing_works_before_cu_init(fresh):
    count = ctypes.c_int()
    assert code(fresh.cuDeviceGetCount, ctypes.byref(count)) == NOT_INITIALIZED
    assert code(fresh.alloc, 16) == NOT_INITIALIZED
    assert code(fresh.cuInit, 1) == INVALID_VALUE
    assert fresh.out(ctypes.c_int, "cuDriverGetVersion").value >= 12000
    fresh.cuInit(0)
    assert fresh.out(ctypes.c_int, "cuDeviceGetCount").value == 1


def test_a_context_is_needed(fresh):
    fresh.cuInit(0)
    fresh.cuCtxSetCurrent(None)
    assert code(fresh.alloc, 16) == INVALID_CONTEXT
    assert code(fresh.cuCtxSynchronize) == INVALID_CONTEXT


def test_the_device(cuda):
    assert cuda.out(ctypes.c_int, "cuDeviceGet", 0).value == 0
    assert code(cuda.cuDeviceGet, ctypes.byref(ctypes.c_int()), 1) == INVALID_DEVICE
    name = ctypes.create_string_buffer(64)
    cuda.cuDeviceGetName(name, 64, 0)
    assert name.value == b"HidetEP emulated GPU"
    assert cuda.out(ctypes.c_size_t, "cuDeviceTotalMem_v2", 0).value == 16 << 30
    assert cuda.out(ctypes.c_char * 16, "cuDeviceGetUuid_v2", 0).raw == b"hidet-emulated-0"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [(1, 1024), (8, 49152), (10, 32), (16, 132), (75, 9), (97, 227 * 1024), (115, 1)],
)
def test_attributes(cuda, attribute, value):
    assert cuda.out(ctypes.c_int, "cuDeviceGetAttribute", attribute, 0).value == value


def test_unknown_attribute(cuda):
    with pytest.raises(CudaError, match="no attribute 9999"):
        cuda.out(ctypes.c_int, "cuDeviceGetAttribute", 9999, 0)


def test_primary_context_is_counted(fresh):
    fresh.cuInit(0)
    first = fresh.out(ctypes.c_void_p, "cuDevicePrimaryCtxRetain", 0)
    assert fresh.out(ctypes.c_void_p, "cuDevicePrimaryCtxRetain", 0).value == first.value
    flags, active = ctypes.c_uint(), ctypes.c_int()

    def is_active():
        fresh.cuDevicePrimaryCtxGetState(0, ctypes.byref(flags), ctypes.byref(active))
        return active.value

    fresh.cuDevicePrimaryCtxRelease_v2(0)
    assert is_active() == 1
    fresh.cuDevicePrimaryCtxRelease_v2(0)
    assert is_active() == 0
    assert code(fresh.cuDevicePrimaryCtxRelease_v2, 0) == INVALID_CONTEXT
    assert code(fresh.cuCtxSetCurrent, first) == INVALID_HANDLE


def test_stack_of_contexts(cuda):
    primary = cuda.out(ctypes.c_void_p, "cuCtxGetCurrent")
    made = cuda.out(ctypes.c_void_p, "cuCtxCreate_v2", 0, 0)
    assert cuda.out(ctypes.c_void_p, "cuCtxGetCurrent").value == made.value
    cuda.cuCtxPushCurrent_v2(primary)
    assert cuda.out(ctypes.c_void_p, "cuCtxPopCurrent_v2").value == primary.value
    cuda.cuCtxDestroy_v2(made)
    assert cuda.out(ctypes.c_void_p, "cuCtxGetCurrent").value == primary.value
    assert code(cuda.cuCtxDestroy_v2, primary) == INVALID_CONTEXT
    assert code(cuda.cuCtxPushCurrent_v2, made) == INVALID_HANDLE
    assert cuda.out(ctypes.c_int, "cuCtxGetDevice").value == 0


def test_names_of_errors(cuda):
    name, text = ctypes.c_char_p(), ctypes.c_char_p()
    cuda.cuGetErrorName(700, ctypes.byref(name))
    cuda.cuGetErrorString(700, ctypes.byref(text))
    assert name.value == b"CUDA_ERROR_ILLEGAL_ADDRESS"
    assert text.value == b"an illegal memory access was encountered"
    assert code(cuda.cuGetErrorName, 12345, ctypes.byref(ctypes.c_char_p())) == INVALID_VALUE


@pytest.mark.parametrize(
    ("name", "version", "exported"),
    [
        ("cuMemAlloc", 12000, "cuMemAlloc_v2"),
        ("cuLaunchKernel", 12000, "cuLaunchKernel"),
        ("cuCtxCreate", 12000, "cuCtxCreate_v2"),
        ("cuCtxCreate", 13000, "cuCtxCreate_v4"),
        ("cuGraphAddDependencies", 12000, "cuGraphAddDependencies"),
        ("cuGraphAddDependencies", 13000, "cuGraphAddDependencies_v2"),
    ],
)
def test_addresses_of_functions(cuda, name, version, exported):
    found, status = ctypes.c_void_p(), ctypes.c_int(-1)
    cuda.cuGetProcAddress_v2(
        name.encode(), ctypes.byref(found), version, ctypes.c_uint64(0), ctypes.byref(status)
    )
    function = getattr(cuda.library, exported)
    assert found.value == ctypes.cast(function, ctypes.c_void_p).value
    assert status.value == 0


def test_unknown_function(cuda):
    found, status = ctypes.c_void_p(), ctypes.c_int()
    arguments = (b"cuNothing", ctypes.byref(found), 12000, ctypes.c_uint64(0), ctypes.byref(status))
    assert code(cuda.cuGetProcAddress_v2, *arguments) == NOT_FOUND
    assert (found.value, status.value) == (None, 1)
