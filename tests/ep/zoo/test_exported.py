"""Exports by torch: what is asked of it (a stand-in records that), and what is said without it."""

import sys
from types import SimpleNamespace

import onnx
import pytest

from hidet_ep import zoo
from hidet_ep.zoo import exported


class Network:
    def __init__(self, config=None, **arguments):
        self.config, self.arguments, self.encoder = config, arguments, self

    def eval(self):
        return self


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for torch and the model libraries; the exports that were asked for."""
    seen = []

    def export(network, arguments, file, kwargs, **how):
        seen.append((arguments, kwargs, how))
        onnx.save(zoo.lstm(zoo.LstmSizes(1, 4, 4, 10, 2, 3)), file)

    fake = SimpleNamespace(
        manual_seed=lambda seed: seen.append(seed),
        randint=lambda low, high, sizes: ("ids", tuple(sizes)),
        ones=lambda sizes, dtype: ("ones", tuple(sizes)),
        randn=lambda sizes: ("floats", tuple(sizes)),
        int64="int64",
        onnx=SimpleNamespace(export=export),
        export=SimpleNamespace(Dim=lambda name: f"Dim {name}"),
    )
    monkeypatch.setitem(sys.modules, "torch", fake)
    config = dict.fromkeys({s.config for s in exported.EXPORTS.values() if s.config}, dict)
    makes = dict.fromkeys({s.make for s in exported.EXPORTS.values()}, Network)
    for library in ("transformers", "torchvision.models"):
        monkeypatch.setitem(sys.modules, library, SimpleNamespace(**config, **makes))
    return seen


def test_every_export_is_a_network_of_the_zoo():
    assert set(exported.EXPORTS) <= set(zoo.NETWORKS)


@pytest.mark.parametrize("name", exported.EXPORTS)
@pytest.mark.parametrize("exporter", exported.EXPORTERS)
def test_what_is_asked_of_torch(calls, name, exporter):
    assert exported.export(name, exporter, seed=5).graph.name == "lstm"
    seed, (arguments, named, how) = calls
    examples = (*arguments, *named.values())
    assert seed == 5
    assert how["dynamo"] == (exporter == "dynamo")
    assert len(examples) == len(how["input_names"])
    assert list(named) == (how["input_names"] if exported.EXPORTS[name].config else [])
    axes = how["dynamic_shapes" if how["dynamo"] else "dynamic_axes"]
    first = [dims[0] for dims in (axes.values() if isinstance(axes, dict) else axes)]
    assert set(first) == ({"Dim N"} if how["dynamo"] else {"N"})
    assert all(sizes[0] == exported.EXAMPLE_BATCH for _, sizes in examples)


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"torch is not installed.*\[zoo\]"):
        exported.export("vit")


def test_wrong_names():
    with pytest.raises(ValueError, match="network 'yolo' is unknown; there are resnet50"):
        exported.export("yolo")
    with pytest.raises(ValueError, match="exporter 'jit' is unknown; there are dynamo, traced"):
        exported.export("vit", "jit")
