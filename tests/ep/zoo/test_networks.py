"""The networks that are written here: valid ONNX, seeded, of the sizes asked for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from hidet_ep import zoo
from tests.ep.decoding import SIZES as LLAMA
from tests.ep.transformers import SYMBOLIC, TINY

NETWORKS = {
    **{f"bert {s}": lambda s=s, **how: zoo.bert(TINY, s, **how) for s in zoo.SPELLINGS},
    **{f"gpt2 {s}": lambda s=s, **how: zoo.gpt2(TINY, s, **how) for s in zoo.SPELLINGS},
    "bert optimized": lambda **how: zoo.bert(TINY, zoo.OPTIMIZED, **how),
    "llama": lambda **how: zoo.llama(LLAMA, **how),
    **{name: lambda n=name, **how: zoo.build_network(n, "reduced", **how) for name in zoo.NETWORKS},
}


def run(model, **dims):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, zoo.inputs(model, 0, dims))


@pytest.mark.parametrize("name", NETWORKS)
def test_valid_and_alive(name):
    """Outputs are finite, of order one, and differ between their elements."""
    model = NETWORKS[name]()
    onnx.checker.check_model(model, full_check=True)
    for output in run(model):
        assert np.isfinite(output).all()
        inside = output[..., 4:] if name == "yolo" else output  # boxes are in pixels
        assert 0.02 < inside.std() < 30 and abs(inside).max() < 100


def test_seeds():
    first, again, other = (
        NETWORKS["bert traced"](seed=seed).SerializeToString() for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("make", [zoo.bert, zoo.gpt2])
def test_symbolic_sizes(make):
    model = make(SYMBOLIC)
    onnx.checker.check_model(model, full_check=True)
    for batch, sequence in ((1, 1), (2, 9), (3, 16)):
        assert run(model, b=batch, s=sequence)[0].shape == (batch, sequence, 32)


@pytest.mark.parametrize(
    "name", sorted({*zoo.NETWORKS} - {"inception_v3", "mobilenet_v2", "resnet50_int8"})
)
def test_halves(name):
    """Builders that take a data type (of the others zoo.in_half makes one)."""
    model = zoo.build_network(name, "reduced", dtype="float16")
    onnx.checker.check_model(model, full_check=True)
    kinds = {output.type.tensor_type.elem_type for output in model.graph.output}
    assert kinds == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_symbols(name):
    """Every size of `runs` is a symbol of the inputs, and the network runs with it."""
    model = zoo.build_network(name, "symbolic", batch="N")
    onnx.checker.check_model(model, full_check=True)
    network = zoo.NETWORKS[name]
    dims = (dim for value in model.graph.input for dim in value.type.tensor_type.shape.dim)
    assert {dim.dim_param for dim in dims} - {""} == set(network.runs[0])
    for sizes in network.runs:
        assert all(output.shape[0] == sizes["N"] for output in run(model, **sizes))


MILLIONS = {"mobilenet_v2": 3.5, "efficientnet_b0": 5.3, "whisper_encoder": 8.2}


@pytest.mark.parametrize("name", MILLIONS)
def test_the_published_sizes(name):
    """By the number of parameters."""
    tensors = zoo.build_network(name).graph.initializer
    total = sum(int(np.prod(tensor.dims)) for tensor in tensors)
    assert total == pytest.approx(MILLIONS[name] * 1e6, rel=0.02)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="hidden 30 is no multiple of heads 4"):
        zoo.Sizes(hidden=30, heads=4)
    with pytest.raises(ValueError, match="sequence 20 > 16 positions"):
        zoo.Sizes(sequence=20, positions=16)
    with pytest.raises(ValueError, match="mask 'some' is unknown"):
        zoo.bert(TINY, mask="some")
    with pytest.raises(ValueError, match="network 'vgg' is unknown; there are bert, "):
        zoo.build_network("vgg")
    with pytest.raises(ValueError, match="scale 'tiny' is unknown; there are full, reduced, "):
        zoo.build_network("vit", "tiny")
    with pytest.raises(ValueError, match="stage 0 of 10 pixels, no multiple of 7"):
        zoo.SwinSizes(image=40)
    with pytest.raises(ValueError, match="up 'none' is unknown"):
        zoo.unet(up="none")


def test_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDET_CACHE_DIR", str(tmp_path))
    assert not set(zoo.written()) & set(zoo.names())
    path = zoo.path("mobilenet_v2", image=32)
    assert path == zoo.path("mobilenet_v2", image=32)
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in shape] == [1, 3, 32, 32]
