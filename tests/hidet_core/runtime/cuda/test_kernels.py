"""Single kernels and arrays on the emulated GPU, as tuning and benchmarks use them."""

import numpy as np
import pytest

from hidet_core import _runtime
from hidet_core._runtime import CudaArray, CudaKernel, Error


def test_a_kernel_on_arrays(gpu, image, rng):
    kernel = CudaKernel(image, "row_sum", threads=32)
    x = rng.integers(-9, 9, (6, 7)).astype(np.float32)
    array, out = CudaArray(x), CudaArray(np.zeros(6, np.float32))
    kernel.launch([array, out], [7], 6)
    np.testing.assert_array_equal(out.numpy(), x.sum(axis=1))
    kernel.launch([array.address, out.address], [6], 5)  # addresses: the first five rows of six
    expected = x.reshape(-1)[:30].reshape(5, 6).sum(axis=1)
    np.testing.assert_array_equal(out.numpy()[:5], expected)
    kernel.launch([array, out], [7], 0)


@pytest.mark.parametrize("flush", [False, True])
def test_measure(gpu, image, rng, flush):
    kernel = CudaKernel(image, "ticket", threads=32)
    x, zero = np.ones(4, np.float32), np.zeros(4, np.float32)
    arrays = [CudaArray(x), CudaArray(zero), CudaArray(zero)]
    before = gpu.count("launches")
    seconds = kernel.measure(arrays, [], 4, repeats=3, launches=2, flush=flush)
    assert len(seconds) == 3 and all(second >= 0 for second in seconds)
    assert gpu.count("launches") - before == 6
    np.testing.assert_array_equal(arrays[2].numpy(), x)


def test_attributes(gpu, image):
    facts = CudaKernel(image, "large", threads=32, shared_bytes=65536).attributes
    assert set(facts) == {"registers", "local_bytes", "static_shared_bytes", "max_threads"}
    assert facts["max_threads"] == 1024


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda image: CudaKernel(image, "none", 32), Error, r"kernel 'none'.*NOT_FOUND"),
        (lambda image: CudaKernel(b"no image", "none", 32), Error, r"CUDA_ERROR_INVALID_IMAGE"),
        (
            lambda image: CudaKernel(image, "large", 32, shared_bytes=300_000),
            Error,
            r"kernel 'large': cuFuncSetAttribute: CUDA_ERROR_INVALID_VALUE",
        ),
        (lambda image: CudaKernel(image, "add", 2048).launch([], [], 1), Error, "launch limits"),
        (lambda image: CudaKernel(image, "add", 32).launch([], [], -1), ValueError, "got -1"),
    ],
)
def test_errors(gpu, image, make, error, message):
    with pytest.raises(error, match=message):
        make(image)


def test_a_kernel_that_fails(gpu, image):
    kernel = CudaKernel(image, "beyond", threads=32)
    arrays = [CudaArray(np.zeros(4, np.float32)) for _ in range(2)]
    with pytest.raises(Error, match=r"kernel 'beyond'.*CUDA_ERROR_ILLEGAL_ADDRESS"):
        kernel.launch(arrays, [], 1)
    with pytest.raises(Error, match="cannot be used by this process any more"):
        kernel.launch(arrays, [], 1)
    del kernel, arrays
    gpu.reset()


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.bool_, np.uint8])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (0, 4)])
def test_arrays(gpu, dtype, shape):
    x = (np.arange(np.prod(shape, dtype=int)) % 2).astype(dtype).reshape(shape)
    array = CudaArray(x)
    assert (array.shape, array.dtype, array.nbytes) == (x.shape, x.dtype, x.nbytes)
    np.testing.assert_array_equal(array.numpy(), x)
    twice = np.asarray(x + x)
    array.fill(twice)
    np.testing.assert_array_equal(array.numpy(), twice)
    with pytest.raises(ValueError, match="cannot take"):
        array.fill(np.zeros(99, dtype))


def test_what_the_device_is(gpu):
    assert _runtime.cuda_device_count() == 1
    facts = _runtime.cuda_device(0)
    assert facts["emulated"] and facts["compute_capability"] == (9, 0)
    assert facts["shared_bytes_per_block"] == 227 * 1024
    with pytest.raises(Error, match="CUDA device 1: the driver has 1 devices"):
        _runtime.cuda_device(1)
