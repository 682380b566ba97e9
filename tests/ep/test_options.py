"""The options table: what is read, and what a wrong option says, with and without a session."""

import onnxruntime as ort
import pytest

import hidet_ep
from hidet_core import BadOption
from hidet_ep.options import Options, describe, parse
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
        ("target", "cuda", "this build has no CUDA target"),
        ("tuning", "fast", "this build has no tuner"),
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


def test_provider_makes_texts():
    assert hidet_ep.provider(cache=False, debug=2) == ("HidetEP", {"cache": "off", "debug": "2"})


def test_without_enable_fallback_the_user_still_sees_the_reason(capfd):
    sess = ort.InferenceSession(models.relu_chain(), providers=[("HidetEP", {"tuning": "fast"})])
    assert sess.get_providers() == ["CPUExecutionProvider"]
    shown = capfd.readouterr()
    assert "this build has no tuner" in shown.out + shown.err
