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
    "mobilenet_v2": lambda **how: zoo.mobilenet_v2(64, share=0.25, classes=20, **how),
    "inception_v3": lambda **how: zoo.inception_v3(75, share=0.25, classes=20, **how),
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
        assert 0.02 < output.std() < 30 and abs(output).max() < 100


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


@pytest.mark.parametrize("make", [zoo.bert, zoo.gpt2])
def test_halves(make):
    model = make(TINY, dtype="float16")
    onnx.checker.check_model(model, full_check=True)
    kinds = {output.type.tensor_type.elem_type for output in model.graph.output}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_the_published_sizes():
    """Multiplications of one image, by the shapes of all filters."""
    sizes = {"mobilenet_v2": (zoo.mobilenet_v2, 3.5e6), "inception_v3": (zoo.inception_v3, 23.8e6)}
    for make, parameters in sizes.values():
        total = sum(int(np.prod(tensor.dims)) for tensor in make().graph.initializer)
        assert total == pytest.approx(parameters, rel=0.02)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="hidden 30 is no multiple of heads 4"):
        zoo.Sizes(hidden=30, heads=4)
    with pytest.raises(ValueError, match="sequence 20 > 16 positions"):
        zoo.Sizes(sequence=20, positions=16)
    with pytest.raises(ValueError, match="mask 'some' is unknown"):
        zoo.bert(TINY, mask="some")


def test_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDET_CACHE_DIR", str(tmp_path))
    assert not set(zoo.written()) & set(zoo.names())
    path = zoo.path("mobilenet_v2", image=32)
    assert path == zoo.path("mobilenet_v2", image=32)
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in shape] == [1, 3, 32, 32]
