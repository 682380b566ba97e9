"""Which target a session has, who says so, and targets that cannot be."""

import numpy as np
import onnxruntime as ort
import pytest

import hidet_ep
from hidet_core import BadOption
from hidet_ep.cli import main
from hidet_ep.options import parse
from hidet_ep.settings import settle
from tests.ep import models
from tests.ep.real.sessions import open_session, settings

GPU = "CUDA device 0 (HidetEP emulated GPU)"
INFO = 1


@pytest.mark.parametrize("target", ["auto", "cuda", "sm_80", "sm_90a"])
def test_targets_that_run_on_the_gpu(target):
    settled = settle(parse({"target": target, "gpu_mem_limit": "1000", "enable_cuda_graph": "0"}))
    assert settled.on_gpu and settled.target.endswith(GPU)
    assert (settled.memory_limit, settled.use_graph) == (1000, False)
    assert target in ("auto", "cuda") or target in settled.target


def test_the_log_says_for_what_a_session_is_compiled(capfd):
    loud = settings()
    ort.set_default_logger_severity(INFO)
    try:
        open_session(models.relu_chain(), {"target": "cuda"}, loud)
    finally:
        ort.set_default_logger_severity(2)
    assert f"on {GPU}" in "".join(capfd.readouterr())


def test_inspect_shows_it(tmp_path, capsys):
    path = tmp_path / "model.onnx"
    path.write_bytes(models.relu_chain())
    assert main(["inspect", str(path), "-o", "target=cuda"]) == 0
    assert f"on {GPU}" in capsys.readouterr().out


def test_gpus_are_not_tuned_by_sessions():
    with pytest.raises(BadOption, match=r"'tuning': got 'fast', allowed: off for GPUs"):
        hidet_ep.provider(target="cuda", tuning="fast")


def test_a_gpu_that_is_not_there_is_named():
    with pytest.raises(BadOption, match=r"option 'device_id': got 3, .*1 device"):
        hidet_ep.provider(target="cuda", device_id=3)
    with pytest.raises(BadOption, match="'device_id'"):
        hidet_ep.provider(device_id=3)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    gpu = next(d for d in ort.get_ep_devices() if d.ep_name == "HidetEP")
    options.add_provider_for_devices([gpu], {"device_id": "3"})
    with pytest.raises(Exception, match="CUDA device 3"):
        ort.InferenceSession(models.relu_chain(), options, enable_fallback=0)


def test_a_gpu_may_be_picked_by_hand():
    options = ort.SessionOptions()
    options.log_severity_level = 4
    gpu = next(d for d in ort.get_ep_devices() if d.ep_name == "HidetEP")
    options.add_provider_for_devices([gpu], {"target": "cuda"})
    session = ort.InferenceSession(models.relu_chain(), options)
    x = np.ones((2, 8), np.float32)
    assert session.run(None, {"x": x})[0].shape == (2, 8)
    assert session.get_providers()[0] == "HidetEP"
