"""OrtValues in the GPU's memory, without any session."""

import numpy as np
import onnxruntime as ort
import pytest

import hidet_ep
from tests.emulated import Counted, count

SHAPE = (3, 5, 7)


def ours():
    return [device for device in ort.get_ep_devices() if device.ep_name == "HidetEP"]


def test_a_gpu_that_onnxruntime_does_not_see_is_declared_before_the_cpu():
    hidet_ep.register()
    kinds = [device.device.type for device in ours()]
    assert kinds == [ort.OrtHardwareDeviceType.GPU, ort.OrtHardwareDeviceType.CPU]
    assert ours()[0].device.vendor_id == 0x10DE
    assert dict(ours()[0].ep_options)["device_id"] == "0"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.bool_, np.uint8])
def test_values_go_to_the_device_and_come_back(rng, dtype):
    array = (rng.normal(size=SHAPE) * 4).astype(dtype)
    with Counted() as counted:
        value = ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
        assert value.device_name() == "cuda"
        assert np.array_equal(value.numpy(), array)
    assert counted.copies == {"copies_to_device": 1, "copies_to_host": 1, "copies_on_device": 0}


def test_a_value_is_overwritten_in_place(rng):
    first, second = (rng.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    value = ort.OrtValue.ortvalue_from_numpy(first, "cuda", 0)
    pointer = value.data_ptr()
    value.update_inplace(second)
    assert value.data_ptr() == pointer
    assert np.array_equal(value.numpy(), second)


def test_copies_within_the_device(rng):
    array = rng.normal(size=SHAPE).astype(np.float32)
    value = ort.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
    other = ort.OrtValue.ortvalue_from_shape_and_type(SHAPE, np.float32, "cuda", 0)
    with Counted() as counted:
        ort.copy_tensors([value], [other])
    assert counted["copies_on_device"] == 1
    assert np.array_equal(other.numpy(), array)


def test_memory_is_kept_and_used_again():
    held = [ort.OrtValue.ortvalue_from_shape_and_type(SHAPE, np.float32, "cuda", 0)]
    before = count("allocations")
    for _ in range(20):
        held[0] = ort.OrtValue.ortvalue_from_shape_and_type(SHAPE, np.float32, "cuda", 0)
    assert count("allocations") <= before + 1
    assert held[0].data_ptr() % 256 == 0


def test_a_tensor_larger_than_the_device_is_an_error():
    value = ort.OrtValue.ortvalue_from_shape_and_type((5 << 30,), np.float32, "cuda", 0)
    with pytest.raises(Exception, match=r"no memory on the GPU for .* of 21474836480 bytes"):
        ort.copy_tensors([value], [value])
