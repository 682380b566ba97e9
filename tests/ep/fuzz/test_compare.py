"""What counts as the same: ulps, places of NaN and inf, what the twin's noise allows."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from hidet_ep.fuzz.compare import against_twin, close, same_type
from hidet_ep.fuzz.twin import run_twin

ONE = np.float32(1)
ULP = np.float32(2**-23)


def test_close():
    x = np.array([1, -2, np.nan, np.inf], np.float32)
    assert close(x, x) == ""
    assert close(x * (1 + 4 * ULP), x) == ""
    assert "1 of 4" in close(x * np.array([1 + 64 * ULP, 1, 1, 1], np.float32), x)
    assert "first at [2]" in close(np.array([1, -2, 0, np.inf], np.float32), x)
    assert "first at [3]" in close(np.array([1, -2, np.nan, -np.inf], np.float32), x)
    assert close(np.array([1, 2]), np.array([1, 3]))
    assert close(np.float32(0), np.float32(1e-20))


def test_same_type():
    assert same_type(np.zeros((2, 1)), np.zeros((1, 2))) == "float64[2, 1], expected float64[1, 2]"
    assert same_type(np.zeros(2, np.float32), np.zeros(2))


def model(nodes, shape, result=TensorProto.FLOAT):
    """x, y -> z; every value is float32."""
    made = [name for node in nodes for name in node.output if name != "z"]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    graph = helper.make_graph(
        nodes,
        "graph",
        infos,
        [helper.make_tensor_value_info("z", result, None)],
        value_info=[helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in made],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def judged(nodes, x, y, mine, result=TensorProto.FLOAT):
    """The excess of `mine` over what the noise allows."""
    graph = model(nodes, x.shape, result)
    feeds = [{"x": x.astype(np.float32), "y": y.astype(np.float32)}]
    exact = run_twin(graph, feeds)[0][0]
    noisy = [run_twin(graph, feeds, seed)[0][0] for seed in range(1, 6)]
    return against_twin(np.asarray(mine), exact, noisy, 0.0).excess


def test_cancellation_is_allowed_for_and_errors_are_not(rng):
    nodes = [
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Sub", ["e", "y"], ["z"]),
    ]
    x = rng.uniform(4, 5, 20)
    y = np.exp(x.astype(np.float32).astype(np.float64)) * (1 - 1e-5)
    z = np.exp(x.astype(np.float32).astype(np.float64)) - y.astype(np.float32)
    assert judged(nodes, x, y, (z + 50 * ULP).astype(np.float32)) <= 1
    assert judged(nodes, x, y, (z * 4).astype(np.float32)) > 1


def test_a_sum_of_many_may_round(rng):
    nodes = [helper.make_node("MatMul", ["x", "y"], ["z"])]
    x, y = rng.normal(size=(2, 64, 64)).astype(np.float32)
    exact = x.astype(np.float64) @ y.astype(np.float64)
    assert judged(nodes, x, y, x @ y) <= 1
    assert judged(nodes, x, y, (exact + 1e-4).astype(np.float32)) > 1


def test_what_noise_flips_may_differ_and_nothing_else():
    nodes = [
        helper.make_node("Mul", ["x", "y"], ["p"]),
        helper.make_node("Floor", ["p"], ["z"]),
    ]
    x, y = np.array([3, 2.5, 1.7]), np.array([1 / 3, 2.1, 1])
    assert judged(nodes, x, y, np.array([0, 5, 1], np.float32)) <= 1
    assert judged(nodes, x, y, np.array([1, 5, 1], np.float32)) <= 1
    assert judged(nodes, x, y, np.array([1, 4, 1], np.float32)) > 1


@pytest.mark.parametrize("wrong", [np.inf, np.nan])
def test_infinities_have_their_places(wrong):
    nodes = [helper.make_node("Div", ["x", "y"], ["z"])]
    x, y = np.ones(3), np.array([1.0, 0.0, 2.0])
    assert judged(nodes, x, y, np.array([1, np.inf, 0.5], np.float32)) <= 1
    assert judged(nodes, x, y, np.array([wrong, np.inf, 0.5], np.float32)) > 1
