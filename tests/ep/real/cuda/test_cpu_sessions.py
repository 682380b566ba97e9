"""Sessions with target=cpu on a machine with a GPU: tensors stay in host memory."""

import numpy as np
import onnxruntime as ort

from tests.emulated import Counted
from tests.ep.real.sessions import check, classifier, floats, open_session


def test_nothing_touches_the_device(rng):
    with Counted() as counted:
        checked = check(classifier(rng), {"x": floats(rng, 3, 3, 8, 8)}, {"target": "cpu"})
    assert checked.claimed == checked.nodes
    assert not any(counted.made.values())


def test_a_tensor_of_the_gpu_is_copied_in(rng):
    model, x = classifier(rng), floats(rng, 2, 3, 8, 8)
    session = open_session(model, {"target": "cpu"})
    want = session.run(None, {"x": x})[0]
    binding, value = session.io_binding(), ort.OrtValue.ortvalue_from_numpy(x, "cuda", 0)
    with Counted() as counted:
        binding.bind_ortvalue_input("x", value)
        binding.bind_output("y")
        session.run_with_iobinding(binding)
        assert np.array_equal(binding.copy_outputs_to_cpu()[0], want)
    assert counted.copies == {"copies_to_device": 0, "copies_to_host": 1, "copies_on_device": 0}


def test_the_devices_of_the_api_may_be_picked_by_hand(rng):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    cpu = next(
        device
        for device in ort.get_ep_devices()
        if device.ep_name == "HidetEP" and device.device.type == ort.OrtHardwareDeviceType.CPU
    )
    options.add_provider_for_devices([cpu], {"target": "cpu"})
    session = ort.InferenceSession(classifier(rng), options)
    x = floats(rng, 2, 3, 8, 8)
    assert np.isfinite(session.run(None, {"x": x})[0]).all()
    assert session.get_providers()[0] == "HidetEP"
