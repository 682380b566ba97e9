"""Provider specs: text both ways, sessions that never fall back in silence, who runs what."""

import pytest

from hidet_ep.bench import providers
from hidet_ep.bench.providers import (
    Provider,
    alike,
    assignment,
    open_session,
    parse_provider,
    preload_libraries,
)

CPU = Provider("CPUExecutionProvider")


@pytest.mark.parametrize(
    ("text", "provider"),
    [
        ("cpu", CPU),
        ("CPUExecutionProvider", CPU),
        (
            "hidet:target=cpu,tuning=off",
            Provider("HidetEP", (("target", "cpu"), ("tuning", "off"))),
        ),
        ("SomeEP:key=a=b", Provider("SomeEP", (("key", "a=b"),))),
    ],
)
def test_parse(text, provider):
    assert parse_provider(text) == provider
    assert parse_provider(provider.text) == provider


@pytest.mark.parametrize("text", ["", ":a=b", "cpu:tuning", "cpu:=off"])
def test_a_wrong_spec_is_named(text):
    with pytest.raises(ValueError, match="expected name or name:key=value"):
        parse_provider(text)


def test_labels_are_short_and_tell_options_apart():
    assert CPU.label == "CPU"
    assert parse_provider("hidet:tuning=off").label == "HidetEP tuning=off"


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_missing_provider_is_an_error(tiny):
    with pytest.raises(Exception, match="NoSuchEP"):
        open_session(tiny, Provider("NoSuchEP"), threads=1)


def test_assignment_counts_nodes_and_partitions(tiny):
    session = open_session(tiny, CPU, threads=1)
    counted = assignment(session, CPU)
    assert (counted.nodes, counted.claimed, counted.share) == (2, 2, 1.0)
    assert counted.elsewhere == ()
    other = assignment(session, Provider("HidetEP"))
    assert (other.claimed, other.partitions) == (0, 0)
    assert other.elsewhere == ("MatMul", "Relu")


def test_the_cuda_providers_best_is_a_name():
    best = parse_provider("cuda-best")
    assert best.name == "CUDAExecutionProvider"
    assert (best.option("enable_cuda_graph"), best.option("prefer_nhwc")) == ("1", "1")
    assert parse_provider("cuda-best:use_tf32=0").option("use_tf32") == "0"
    assert best.label == "CUDA enable_cuda_graph=1,prefer_nhwc=1"


@pytest.mark.parametrize(
    ("text", "on_gpu"),
    [
        ("cpu", False),
        ("hidet", False),
        ("hidet:target=cpu", False),
        ("hidet:target=cuda", True),
        ("hidet:target=sm_90a,device_id=1", True),
        ("cuda", True),
        ("tensorrt", True),
    ],
)
def test_where_a_provider_runs(text, on_gpu):
    assert parse_provider(text).is_on_gpu == on_gpu


def test_all_providers_get_the_same_choices():
    given = ["cpu", "cuda", "cuda:use_tf32=1", "tensorrt", "hidet", "hidet:target=cpu"]
    chosen = alike([parse_provider(text) for text in given], target="cuda", tf32="0")
    assert [provider.text for provider in chosen] == [
        "CPUExecutionProvider",
        "CUDAExecutionProvider:use_tf32=0",
        "CUDAExecutionProvider:use_tf32=1",
        "TensorrtExecutionProvider",
        "HidetEP:target=cuda,allow_tf32=0",
        "HidetEP:target=cpu,allow_tf32=0",
    ]
    assert alike([CPU]) == [CPU]


def test_libraries_are_preloaded_for_the_providers_that_need_them(monkeypatch):
    called = []
    monkeypatch.setattr(providers.ort, "preload_dlls", lambda: called.append(1), raising=False)
    monkeypatch.setattr(providers.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    preload_libraries(CPU)
    preload_libraries(parse_provider("tensorrt"))
    assert not called
    preload_libraries(parse_provider("cuda"))
    assert called
