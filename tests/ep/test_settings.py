"""What options come to on a machine with a GPU, which is made up here."""

from dataclasses import replace

import pytest

import hidet_core
from hidet_core import BadOption, Unsupported
from hidet_core.target import CUDAS, host, resolve
from hidet_ep.options import parse
from hidet_ep.settings import Settings, settle

HERE = replace(CUDAS["sm_86"], device="NVIDIA A10")


@pytest.fixture
def machine(monkeypatch):
    """machine(nvrtc): with one GPU, device 0."""

    def make(nvrtc=True):
        def gpu(ordinal=0):
            if ordinal > 0:
                raise Unsupported(f"CUDA device {ordinal}", "the driver has 1 devices")
            return HERE

        def choose(options):
            if options.target in ("auto", "cuda"):
                found = gpu(options.device_id) if options.target == "cuda" else HERE
                return found if nvrtc or options.target == "cuda" else host()
            return resolve(options.target)

        monkeypatch.setattr(hidet_core, "gpu", gpu)
        monkeypatch.setattr(hidet_core, "choose_target", choose)
        monkeypatch.setattr(hidet_core, "is_installed", lambda target: nvrtc)

    return make


def test_the_gpu_is_taken_and_its_options_are_passed_on(machine):
    machine()
    given = {"gpu_mem_limit": "7", "user_compute_stream": "0x10", "enable_cuda_graph": "off"}
    wanted = Settings("sm_86 on CUDA device 0 (NVIDIA A10)", True, 0, 7, False, 16)
    assert settle(parse(given)) == settle(parse({**given, "target": "cuda"})) == wanted
    assert not settle(parse({"target": "cpu"})).on_gpu


def test_code_that_the_device_cannot_run_is_refused(machine):
    machine()
    assert settle(parse({"target": "sm_80"})).target == "sm_80 on CUDA device 0 (NVIDIA A10)"
    with pytest.raises(BadOption, match=r"got 'sm_90a'.*device 0 is NVIDIA A10 \(sm_86\)"):
        settle(parse({"target": "sm_90a"}))


def test_without_nvrtc_auto_is_the_cpu_and_a_gpu_is_refused(machine):
    machine(nvrtc=False)
    assert not settle(parse({})).on_gpu
    with pytest.raises(BadOption, match=r"got 'cuda'.*NVRTC: pip install .*\[cuda\]"):
        settle(parse({"target": "cuda"}))


@pytest.mark.parametrize("target", ["auto", "cuda"])
def test_a_device_that_is_not_there(machine, target):
    machine()
    with pytest.raises(BadOption, match=r"'device_id': got 1.*the driver has 1 devices"):
        settle(parse({"target": target, "device_id": "1"}))
