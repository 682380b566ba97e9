"""Symbolic dims of every kind: one session, many sizes, compared with the CPU provider."""

import numpy as np
import pytest

from hidet_ep.bench.compare import max_relative_error
from tests.ep.models import model, node, value
from tests.ep.real.sessions import check, floats, reference

ALL = {"claim": "all"}


def check_sizes(made, feeds, expect_all=True, tolerance=2e-5):
    """One session for all feeds; HidetEP takes every node (unless told otherwise)."""
    checked = check(made, feeds[0], ALL, tolerance=tolerance)
    if expect_all:
        assert (checked.claimed, checked.partitions) == (checked.nodes, 1)
    for feed in feeds[1:] + feeds[:1]:
        error = max_relative_error(checked.session.run(None, feed), reference(made, feed))
        shapes = {name: array.shape for name, array in feed.items()}
        assert error <= tolerance, f"{shapes}: error {error:.1e} of the output's scale"
    return checked


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 8])
def test_images_of_any_size(rng, stride, groups):
    """Batch, height and width are symbols; padding depends on none of them."""
    constants = {"w": floats(rng, 16, 8 // groups, 3, 3), "b": floats(rng, 16)}
    nodes = [
        node("Conv", ["x", "w", "b"], ["a"], pads=[1] * 4, strides=[stride] * 2, group=groups),
        node("Relu", ["a"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        node("GlobalAveragePool", ["p"], ["g"]),
        node("Flatten", ["g"], ["y"]),
    ]
    outputs = [value("y", ("N", 16)), value("p", ("N", 16, None, None))]
    made = model(nodes, [value("x", ("N", 8, "H", "W"))], outputs, constants)
    sizes = [(1, 16, 16), (2, 7, 33), (3, 5, 5), (1, 64, 9), (2, 16, 16)]
    check_sizes(made, [{"x": floats(rng, n, 8, h, w)} for n, h, w in sizes])


def test_skip_connections_of_any_size(rng):
    constants = {f"w{k}": floats(rng, 8, 8, 3, 3) / 8 for k in range(3)}
    nodes = [node("Conv", ["x", "w0"], ["a"], pads=[1] * 4)]
    nodes += [
        node("Conv", ["a", "w1"], ["b"], pads=[1] * 4),
        node("Add", ["a", "b"], ["c"]),
        node("Relu", ["c"], ["d"]),
        node("Conv", ["d", "w2"], ["e"], pads=[2] * 4, dilations=[2, 2]),
        node("Concat", ["a", "d", "e"], ["f"], axis=1),
        node("AveragePool", ["f"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    ]
    outputs = [value("y", ("N", 24, None, None))]
    made = model(nodes, [value("x", ("N", 8, "H", "W"))], outputs, constants)
    sizes = [(1, 12, 12), (2, 5, 17), (4, 12, 12), (1, 3, 3)]
    check_sizes(made, [{"x": floats(rng, n, 8, h, w)} for n, h, w in sizes])


def attention_model(rng, hidden=32, heads=4):
    """Self attention as exporters write it: shapes are computed with Shape, Gather, Concat."""
    size = hidden // heads
    constants = {name: floats(rng, hidden, hidden) / 6 for name in ("wq", "wk", "wv", "wo")}
    constants |= {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "first": np.array([0], np.int64),
        "heads": np.array([heads], np.int64),
        "size": np.array([size], np.int64),
        "hidden": np.array([hidden], np.int64),
        "scale": np.float32(size**-0.5),
        "gamma": np.ones(hidden, np.float32),
        "beta": floats(rng, hidden),
    }
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["n"], axis=0),
        node("Gather", ["shape", "one"], ["s"], axis=0),
        node("Unsqueeze", ["n", "first"], ["n1"]),
        node("Unsqueeze", ["s", "first"], ["s1"]),
        node("Concat", ["n1", "s1", "heads", "size"], ["split"], axis=0),
        node("Concat", ["n1", "s1", "hidden"], ["joined"], axis=0),
    ]
    for name in "qkv":
        perm = [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
        nodes += [
            node("MatMul", ["x", f"w{name}"], [f"{name}1"]),
            node("Reshape", [f"{name}1", "split"], [f"{name}2"]),
            node("Transpose", [f"{name}2"], [name], perm=perm),
        ]
    nodes += [
        node("MatMul", ["q", "k"], ["scores"]),
        node("Mul", ["scores", "scale"], ["scaled"]),
        node("Add", ["scaled", "mask"], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=-1),
        node("MatMul", ["weights", "v"], ["mixed"]),
        node("Transpose", ["mixed"], ["back"], perm=[0, 2, 1, 3]),
        node("Reshape", ["back", "joined"], ["flat"]),
        node("MatMul", ["flat", "wo"], ["out"]),
        node("Add", ["out", "x"], ["sum"]),
        node("LayerNormalization", ["sum", "gamma", "beta"], ["y"], axis=-1),
    ]
    inputs = [value("x", ("N", "S", hidden)), value("mask", ("N", 1, 1, "S"))]
    return model(nodes, inputs, [value("y", ("N", "S", hidden))], constants)


def test_attention_of_any_length(rng):
    sizes = [(1, 8), (2, 1), (3, 17), (1, 130), (1, 8)]
    feeds = [
        {
            "x": floats(rng, n, s, 32),
            "mask": np.where(rng.random((n, 1, 1, s)) < 0.2, -1e4, 0).astype(np.float32),
        }
        for n, s in sizes
    ]
    check_sizes(attention_model(rng), feeds)


def test_unequal_symbols_broadcast_with_ones(rng):
    nodes = [node("Mul", ["x", "w"], ["a"]), node("Exp", ["a"], ["y"])]
    inputs = [value("x", ("N", 1, "K")), value("w", ("M", 1))]
    made = model(nodes, inputs, [value("y", ("N", "M", "K"))])
    feeds = [
        {"x": floats(rng, n, 1, k), "w": floats(rng, m, 1)}
        for n, m, k in [(2, 3, 4), (1, 1, 1), (5, 1, 7), (1, 9, 33)]
    ]
    check_sizes(made, feeds)


def test_symbols_that_are_one_at_run_time(rng):
    """Symbols that may differ cannot be shown to broadcast: refused, and right all the same."""
    nodes = [node("Add", ["x", "w"], ["a"]), node("Exp", ["a"], ["y"])]
    inputs = [value("x", ("N", 4)), value("w", ("M", 4))]
    made = model(nodes, inputs, [value("y", (None, 4))])
    feeds = [{"x": floats(rng, n, 4), "w": floats(rng, m, 4)} for n, m in [(3, 3), (1, 3), (3, 1)]]
    check_sizes(made, feeds, expect_all=False)


@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_any_size(rng, transposed):
    nodes = [node("MatMul", ["a", "t"], ["y"])]
    if transposed:
        nodes.insert(0, node("Transpose", ["b"], ["t"], perm=[0, 2, 1]))
    else:
        nodes.insert(0, node("Neg", ["b"], ["t"]))
    inner = ("B", "N", "K") if transposed else ("B", "K", "N")
    inputs = [value("a", ("B", "M", "K")), value("b", inner)]
    made = model(nodes, inputs, [value("y", ("B", "M", "N"))])
    feeds = []
    for b, m, k, n in [(1, 4, 8, 16), (2, 1, 1, 1), (3, 33, 7, 17), (1, 100, 65, 3)]:
        shape = (b, n, k) if transposed else (b, k, n)
        feeds.append({"a": floats(rng, b, m, k), "b": floats(rng, *shape)})
    check_sizes(made, feeds)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMean", "ReduceL2"])
@pytest.mark.parametrize("axes", [[0], [1], [2], [0, 2], [0, 1, 2]])
def test_reductions_over_symbols(rng, op, axes):
    constants = {"axes": np.array(axes, np.int64)} if op == "ReduceSum" else {}
    names, attributes = (["x", "axes"], {}) if constants else (["x"], {"axes": axes})
    nodes = [node(op, names, ["t"], keepdims=0, **attributes), node("Exp", ["t"], ["y"])]
    left = [("A", 5, "C")[k] for k in range(3) if k not in axes]
    made = model(nodes, [value("x", ("A", 5, "C"))], [value("y", left)], constants)
    feeds = [{"x": floats(rng, a, 5, c) / 8} for a, c in [(2, 3), (1, 1), (7, 40), (30, 2)]]
    check_sizes(made, feeds)


def test_pieces_of_any_size(rng):
    """Slices from the end, a split into halves, a concat of both and a flip."""
    constants = {
        "one": np.array([1], np.int64),
        "minus": np.array([-1], np.int64),
        "far": np.array([np.iinfo(np.int64).min], np.int64),
        "end": np.array([np.iinfo(np.int64).max], np.int64),
        "shape": np.array([0, -1, 2], np.int64),
        "axis": np.array([1], np.int64),
    }
    nodes = [
        node("Slice", ["x", "one", "end", "axis"], ["tail"]),
        node("Slice", ["x", "minus", "far", "axis", "minus"], ["flip"]),
        node("Concat", ["tail", "flip", "x"], ["all"], axis=1),
        node("Reshape", ["all", "shape"], ["pairs"]),
        node("Exp", ["pairs"], ["y"]),
    ]
    made = model(nodes, [value("x", ("N", "K", 4))], [value("y", ("N", None, 2))], constants)
    feeds = [{"x": floats(rng, n, k, 4)} for n, k in [(2, 3), (1, 2), (3, 17)]]
    check_sizes(made, feeds, expect_all=False)


def joined_features():
    """Features at half the size go up again and are joined with the image, as in a U-Net."""
    constants = {"scales": np.array([1, 1, 2, 2], np.float32)}
    nodes = [
        node("MaxPool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        node(
            "Resize",
            ["half", "", "scales"],
            ["up"],
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        node("Concat", ["x", "up"], ["both"], axis=1, name="join"),
        node("Exp", ["both"], ["y"]),
    ]
    return model(
        nodes, [value("x", ("N", 2, "H", "W"))], [value("y", ("N", 4, "H", "W"))], constants
    )


def test_features_whose_sizes_agree_at_run_time(rng):
    sizes = [(1, 4, 6), (2, 2, 2), (0, 4, 4), (3, 10, 2)]
    checked = check_sizes(joined_features(), [{"x": floats(rng, n, 2, h, w)} for n, h, w in sizes])
    with pytest.raises(Exception, match=r"join.*sizes 5 and 4"):
        checked.session.run(None, {"x": floats(rng, 1, 2, 5, 6)})


def test_shape_as_data(rng):
    """The mean by hand: a sum divided by a size that is only known at run time."""
    constants = {"one": np.array(1, np.int64), "axes": np.array([1], np.int64)}
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "one"], ["k"], axis=0),
        node("Cast", ["k"], ["count"], to=1),
        node("ReduceSum", ["x", "axes"], ["sum"]),
        node("Div", ["sum", "count"], ["y"]),
    ]
    made = model(nodes, [value("x", ("N", "K"))], [value("y", ("N", 1))], constants)
    check_sizes(made, [{"x": floats(rng, n, k)} for n, k in [(2, 3), (1, 1), (5, 77)]])


def test_sizes_named_only_by_position(rng):
    """Nameless dims that must agree are compared at run time."""
    nodes = [node("Relu", ["x"], ["a"]), node("Softmax", ["a"], ["y"], axis=1)]
    made = model(nodes, [value("x", (None, None, 3))], [value("y", (None, None, 3))])
    check_sizes(made, [{"x": floats(rng, n, k, 3)} for n, k in [(2, 3), (4, 1), (1, 50)]])
