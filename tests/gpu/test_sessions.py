"""Sessions on the GPU against the CPU provider: every kind of kernel, at odd sizes."""

import threading

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from tests.ep.models import model, node, value
from tests.ep.real.sessions import check, classifier, floats, open_session, reference

EXACT = {"target": "cuda", "allow_tf32": "0"}
TF32_TOLERANCE = 5e-3
TYPES = {
    "f32": (np.float32, onnx.TensorProto.FLOAT, 1e-5),
    "f16": (np.float16, onnx.TensorProto.FLOAT16, 4e-3),
}
SIZES = [(1, 1, 1), (1, 300, 65), (17, 64, 33), (64, 64, 64), (129, 257, 65)]
CONVOLUTIONS = {
    "1x1": ((2, 16, 7, 7), (24, 16, 1, 1), {}),
    "3x3": ((1, 5, 9, 11), (7, 5, 3, 3), {"pads": [1, 1, 1, 1]}),
    "stem": ((1, 3, 23, 23), (16, 3, 7, 7), {"pads": [3, 3, 3, 3], "strides": [2, 2]}),
    "dilated": ((1, 8, 13, 13), (8, 8, 3, 3), {"dilations": [2, 2]}),
    "depthwise": ((1, 24, 9, 9), (24, 1, 3, 3), {"pads": [1, 1, 1, 1], "group": 24}),
    "grouped": ((1, 12, 6, 6), (8, 6, 3, 3), {"group": 2}),
    "deep": ((1, 256, 4, 4), (32, 256, 3, 3), {"pads": [1, 1, 1, 1]}),
}
ROWS = {
    "softmax": ("Softmax", {"axis": -1}, 0),
    "layer_norm": ("LayerNormalization", {"axis": -1}, 2),
    "reduce_mean": ("ReduceMean", {"axes": [-1]}, 0),
    "reduce_max": ("ReduceMax", {"axes": [0]}, 0),
}


def run(rng, op, shapes, kind="f32", options=EXACT, tolerance=None, **attrs):
    """One operator, then a Relu; the first shape is the input's, the others those of constants."""
    dtype, onnx_type, bound = TYPES[kind]
    x, *others = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    constants = {f"c{number}": array for number, array in enumerate(others)}
    made = model(
        [node(op, ["x", *constants], ["t"], **attrs), node("Relu", ["t"], ["y"])],
        [value("x", x.shape, onnx_type)],
        [value("y", [f"d{axis}" for axis in range(x.ndim)], onnx_type)],
        constants,
    )
    checked = check(made, {"x": x}, options, tolerance=tolerance or bound)
    assert checked.claimed == checked.nodes == 2


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_matmul(rng, sizes, kind):
    m, n, k = sizes
    run(rng, "MatMul", [(m, k), (k, n)], kind)


@pytest.mark.parametrize("sizes", SIZES[2:], ids=str)
def test_matmul_in_tf32(rng, sizes):
    m, n, k = sizes
    options = {"target": "cuda", "allow_tf32": "1"}
    run(rng, "MatMul", [(m, k), (k, n)], "f32", options, TF32_TOLERANCE)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolution(rng, case, kind):
    image, weights, attrs = CONVOLUTIONS[case]
    run(rng, "Conv", [image, weights, weights[:1]], kind, **attrs)


@pytest.mark.parametrize("size", [1, 31, 1000, 4097])
@pytest.mark.parametrize("case", ROWS)
def test_rows(rng, case, size):
    op, attrs, constants = ROWS[case]
    run(rng, op, [(3, 5, size), *[(size,)] * constants], **attrs)


@pytest.mark.parametrize("kind", TYPES)
def test_elementwise_and_layout(rng, kind):
    dtype, onnx_type, tolerance = TYPES[kind]
    x = rng.standard_normal((3, 17, 33)).astype(dtype)
    made = model(
        [
            node("Sigmoid", ["x"], ["a"]),
            node("Transpose", ["a"], ["b"], perm=[2, 0, 1]),
            node("Mul", ["b", "c"], ["d"]),
            node("Concat", ["d", "b"], ["e"], axis=2),
            node("Tanh", ["e"], ["y"]),
        ],
        [value("x", x.shape, onnx_type)],
        [value("y", (33, 3, 34), onnx_type)],
        {"c": rng.standard_normal((3, 17)).astype(dtype)},
    )
    check(made, {"x": x}, EXACT, tolerance=tolerance)


def test_gather(rng):
    indices = rng.integers(0, 50, (2, 9))
    made = model(
        [node("Gather", ["table", "x"], ["t"]), node("Relu", ["t"], ["y"])],
        [value("x", (2, 9), onnx.TensorProto.INT64)],
        [value("y", (2, 9, 31))],
        {"table": floats(rng, 50, 31)},
    )
    check(made, {"x": indices}, EXACT)


@pytest.mark.parametrize("graphs", ["0", "1"])
def test_any_batch_with_and_without_graphs(rng, graphs):
    made = classifier(rng)
    session = open_session(made, {**EXACT, "enable_cuda_graph": graphs})
    for batch in (2, 5, 1, 5, 2):
        feeds = {"x": floats(rng, batch, 3, 8, 8)}
        want = reference(made, feeds)[0]
        np.testing.assert_allclose(session.run(None, feeds)[0], want, atol=1e-5)


def test_tensors_on_the_device(rng):
    made = classifier(rng, 4)
    session = open_session(made, EXACT)
    x = floats(rng, 4, 3, 8, 8)
    given = ort.OrtValue.ortvalue_from_numpy(x, "cuda", 0)
    result = ort.OrtValue.ortvalue_from_shape_and_type((4, 10), np.float32, "cuda", 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", given)
    binding.bind_ortvalue_output("y", result)
    for scale in (1.0, -2.0, 0.5):
        given.update_inplace(np.float32(scale) * x)
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        want = reference(made, {"x": np.float32(scale) * x})[0]
        np.testing.assert_allclose(result.numpy(), want, atol=1e-5)


def test_threads_and_sessions(rng):
    made = classifier(rng)
    sessions = [open_session(made, EXACT) for _ in range(2)]
    feeds = [{"x": floats(rng, 1 + number % 3, 3, 8, 8)} for number in range(4)]
    wanted = [reference(made, feed)[0] for feed in feeds]
    wrong = []

    def work(number):
        for _ in range(10):
            out = sessions[number % 2].run(None, feeds[number])[0]
            if not np.allclose(out, wanted[number], atol=1e-5):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
