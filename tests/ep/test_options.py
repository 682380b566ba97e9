"""The options table: what is read, and what a wrong option says, with and without a session."""

import onnxruntime as ort
import pytest

import hidet_ep
from hidet_core import BadOption
from hidet_ep.options import Options, describe, parse
from hidet_ep.settings import settle
from tests.ep import models
from tests.ep.fake_compiler import FakeCompiler, installed


def test_defaults():
    assert parse({}) == Options()
    assert parse({key: default for key, default, _, _ in describe()}) == Options()


def test_texts_become_values():
    options = parse({"target": "cpu", "cache": "off", "debug": "3", "cache_dir": "/x"})
    assert (options.target, options.cache, options.debug) == ("cpu", False, 3)
    assert options.cache_dir == "/x"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("target", "gpu", "auto, cpu"),
        ("device_id", "-1", "from 0 to 255"),
        ("gpu_mem_limit", "2 GB", "a whole number"),
        ("allow_tf32", "maybe", "on, off"),
        ("tuning", "quick", "off, fast, full"),
        ("tuning_sizes", "batch=4 seq", "NAME=N NAME=N"),
        ("cache", "maybe", "on, off"),
        ("debug", "9", "from 0 to 5"),
        ("debug", "much", "from 0 to 5"),
        ("min_partition_nodes", "0", "from 1"),
        ("targte", "cpu", "did you mean 'target'"),
        ("nothing_like_it", "1", "options: target"),
    ],
)
def test_bad_option_names_option_value_and_allowed(key, value, allowed):
    with pytest.raises(BadOption) as caught:
        parse({key: value})
    for part in (repr(key), repr(value), allowed):
        assert part in str(caught.value)
    with pytest.raises(BadOption):
        hidet_ep.provider(**{key: value})
    with pytest.raises(Exception, match=allowed.split(",")[0]) as caught:
        with installed(FakeCompiler()):
            ort.InferenceSession(
                models.relu_chain(), providers=[("HidetEP", {key: value})], enable_fallback=0
            )
    assert key in str(caught.value) and value in str(caught.value)


NO_DRIVER = "/nowhere/libcuda.so.1"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"target": "cuda"}, ("'target'", "'cuda'", NO_DRIVER)),
        ({"target": "sm_90a"}, ("'target'", "'sm_90a'", NO_DRIVER)),
    ],
    ids=["cuda", "sm_90a"],
)
def test_a_gpu_that_is_not_there_is_named(options, parts, monkeypatch):
    monkeypatch.setenv("HIDET_CUDA_DRIVER", NO_DRIVER)
    with pytest.raises(BadOption) as caught:
        hidet_ep.provider(**options)
    assert all(part in str(caught.value) for part in parts)
    with pytest.raises(Exception, match="CUDA device") as caught:
        ort.InferenceSession(
            models.relu_chain(), providers=[("HidetEP", options)], enable_fallback=0
        )
    assert all(part in str(caught.value) for part in parts)


def test_a_device_id_that_is_not_there_is_named(monkeypatch):
    """By name alone ONNX Runtime does not even ask us: "Unknown Provider Type"."""
    monkeypatch.setenv("HIDET_CUDA_DRIVER", NO_DRIVER)
    with pytest.raises(BadOption, match=f"option 'device_id': got 3.*{NO_DRIVER}"):
        hidet_ep.provider(device_id=3)


def test_without_a_gpu_auto_is_the_cpu(monkeypatch):
    monkeypatch.setenv("HIDET_CUDA_DRIVER", NO_DRIVER)
    settled = settle(parse({}))
    assert not settled.on_gpu and settled.target.startswith("the CPU (")


def test_numbers_of_the_cuda_provider_are_read():
    options = parse(
        {"gpu_mem_limit": str(2**64 - 1), "user_compute_stream": "0x7f00", "use_tf32": 0}
    )
    assert options.gpu_mem_limit == 2**64 - 1
    assert options.user_compute_stream == 0x7F00
    assert not options.allow_tf32
    with pytest.raises(BadOption, match="allow_tf32"):
        parse({"allow_tf32": "1", "use_tf32": "0"})


def test_provider_makes_texts():
    assert hidet_ep.provider(cache=False, debug=2) == ("HidetEP", {"cache": "off", "debug": "2"})


def test_without_enable_fallback_the_user_still_sees_the_reason(capfd):
    sess = ort.InferenceSession(models.relu_chain(), providers=[("HidetEP", {"tuning": "quick"})])
    assert sess.get_providers() == ["CPUExecutionProvider"]
    shown = capfd.readouterr()
    assert "off, fast, full" in shown.out + shown.err
