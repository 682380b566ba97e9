"""Shapes computed in the graph, as exporters write them: claimed whole, evaluated in the plan and
not in kernels, right at every size with one compile.
"""

import numpy as np
import onnx
import pytest

from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.providers import Provider, assignment
from hidet_ep.handover import collect_reports
from hidet_ep.zoo.layers import dim, expand, target
from hidet_ep.zoo.nodes import Nodes
from tests.ep.real.sessions import HIDET, open_session, reference

FLOAT, INT64, BOOL = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
SIZES = [(2, 6), (1, 1), (3, 17), (2, 2), (0, 5)]
LAST = np.iinfo(np.int64).max


def size(n, x, axis):
    """A size as a number without dims."""
    return n.op("Gather", n.op("Shape", x), n.const(np.int64(axis)), axis=0)


def one(n, number):
    return n.op("Unsqueeze", number, n.ints(0))


def const(n, number):
    return n.const(np.int64(number))


def view(n, x):
    """x.view(n, -1): flattened by the product of a part of its shape."""
    rest = n.op("Slice", n.op("Shape", x), n.ints(1), n.ints(LAST), n.ints(0))
    count = n.op("ReduceProd", rest, axes=[0], keepdims=1)
    return n.op("Reshape", x, n.op("Concat", dim(n, x, 0, "N"), count, axis=0))


def arange(n, x):
    """torch.arange(s) as floats, added to each row."""
    steps = n.op("Range", const(n, 0), size(n, x, 1), const(n, 1))
    places = n.op("Cast", steps, to=FLOAT)
    return n.op("Add", x, n.op("Unsqueeze", places, n.ints(0, 2)))


def zeros(n, x):
    """torch.zeros(n, 2, 4) in front of x."""
    shape = target(n, dim(n, x, 0, "N"), 2, 4)
    return n.op(
        "Concat", n.op("ConstantOfShape", shape, value=n.tensor(np.float32([0.5]))), x, axis=1
    )


def padded_to(n, x):
    """torch.cat((x, x.new_zeros(n, 20 - s, 4)), 1)."""
    rest = one(n, n.op("Sub", const(n, 20), size(n, x, 1)))
    shape = target(n, dim(n, x, 0, "N"), rest, 4)
    return n.op("Concat", x, n.op("ConstantOfShape", shape), axis=1)


def expanded(n, x):
    """A vector expanded to x's sizes."""
    row = n.const(np.arange(4, dtype=np.float32).reshape(1, 1, 4))
    return n.op("Mul", x, expand(n, row, dim(n, x, 0, "N"), dim(n, x, 1, "S"), 4))


def first_half(n, x):
    """x[:, : (s + 1) // 2]."""
    half = n.op("Div", n.op("Add", size(n, x, 1), const(n, 1)), const(n, 2))
    return n.op("Slice", x, n.ints(0), one(n, half), n.ints(1))


def last_half(n, x):
    """x[:, s // 2 :]."""
    half = n.op("Div", size(n, x, 1), const(n, 2))
    return n.op("Slice", x, one(n, half), n.ints(LAST), n.ints(1))


def from_the_end(n, x):
    """x[:, -(s // 2) - 1 :]: a bound that is computed and negative."""
    half = n.op("Sub", n.op("Neg", n.op("Div", size(n, x, 1), const(n, 2))), const(n, 1))
    return n.op("Slice", x, one(n, half), n.ints(LAST), n.ints(1))


def in_halves(n, x):
    """torch.split by sizes that are computed."""
    half = n.op("Div", size(n, x, 1), const(n, 2))
    rest = n.op("Sub", size(n, x, 1), half)
    parts = n.ops("Split", 2, x, n.op("Concat", one(n, half), one(n, rest), axis=0), axis=1)
    return n.op("Concat", parts[1], parts[0], axis=1)


def tiled(n, x):
    """The mean of each row, repeated s times."""
    mean = n.op("ReduceMean", x, axes=[1], keepdims=1)
    repeats = n.op("Concat", n.ints(1), dim(n, x, 1, "S"), n.ints(1), axis=0)
    return n.op("Sub", x, n.op("Tile", mean, repeats))


def causal(n, x):
    """x x^T with torch.full((s, s), -9).triu(1) added."""
    length = dim(n, x, 1, "S")
    square = n.op("ConstantOfShape", target(n, length, length), value=n.tensor(np.float32([-9])))
    scores = n.op("MatMul", x, n.op("Transpose", x, perm=[0, 2, 1]))
    return n.op("Add", scores, n.op("Trilu", square, n.const(np.int64(1)), upper=1))


def at_most(n, x):
    """x[:, : min(s, 5)]."""
    end = n.op("Min", size(n, x, 1), const(n, 5))
    return n.op("Slice", x, n.ints(0), one(n, end), n.ints(1))


def chosen(n, x):
    """x.new_zeros(n, s if s > 4 else 4, 4)."""
    length = size(n, x, 1)
    count = n.op("Where", n.op("Greater", length, const(n, 4)), length, const(n, 4))
    made = n.op("ConstantOfShape", target(n, dim(n, x, 0, "N"), one(n, count), 4))
    return n.op("Concat", x, made, axis=1)


def mean_by_hand(n, x):
    """sum / s."""
    total = n.op("ReduceSum", x, n.ints(1), keepdims=1)
    return n.op("Div", total, n.op("Cast", size(n, x, 1), to=FLOAT))


def narrow_integers(n, x):
    """Sizes as int32, as tf2onnx writes them."""
    shape = n.op("Cast", n.op("Shape", x), to=onnx.TensorProto.INT32)
    batch = n.op("Slice", shape, n.ints(0), n.ints(1), n.ints(0))
    whole = n.op("Concat", batch, n.const(np.int32([-1])), axis=0)
    return n.op("Reshape", x, n.op("Cast", whole, to=INT64))


def root_of_size(n, x):
    """x / sqrt(size), as torch scales attention."""
    width = n.op("Cast", n.op("Slice", n.op("Shape", x), n.ints(1), n.ints(2)), to=FLOAT)
    return n.op("Div", x, n.op("Sqrt", n.op("Add", width, n.const(np.float32(1)))))


IDIOMS = (
    view, arange, zeros, padded_to, expanded, first_half, last_half, from_the_end, in_halves, tiled,
    causal, at_most, chosen, mean_by_hand, narrow_integers, root_of_size,
)  # fmt: skip
NO_ZERO = ("view", "narrow_integers")  # -1 in a shape allows no size of 0


def bound(n, x, start, end, step=1):
    """x[:, start:end:step]; a str is a computed bound: "s - 4"."""
    ends = []
    for place in (start, end):
        if isinstance(place, str):
            factor, shift = (int(word) for word in place.split(" s "))
            scaled = n.op("Mul", size(n, x, 1), const(n, factor))
            ends.append(one(n, n.op("Add", scaled, const(n, shift))))
        else:
            ends.append(n.ints(place))
    return n.op("Slice", x, *ends, n.ints(1), n.ints(step))


# bounds on either side of both ends; "a s b" is a * s + b
BOUNDS = [
    (1, LAST), (0, 1), (-1, LAST), (0, -1), (3, -2), (0, "1 s -4"), ("1 s -4", LAST),
    ("-1 s 4", LAST), ("0 s 2", "1 s -1"), ("-1 s -1", "1 s 1"), ("1 s -2", "0 s 0", -1),
]  # fmt: skip


@pytest.mark.parametrize("idiom", IDIOMS, ids=lambda f: f.__name__)
def test_shapes_are_no_kernels(rng, idiom):
    n = Nodes("shapes", 0, "float32", 17)
    x = n.input("x", ("N", "S", 4), np.float32)
    y = idiom(n, n.op("Exp", x))
    made = n.model({"y": (n.op("Exp", y), (None,) * (2 if idiom.__name__ in NO_ZERO else 3))})
    sizes = [pair for pair in SIZES if pair[0] or idiom.__name__ not in NO_ZERO]
    reports = equal_at(rng, made, sizes)
    (part,) = reports[-1].result.partitions
    for kernel in part.compiled.report.kernels:
        assert "dims" not in kernel.ops or set(kernel.ops) & {"exp", "div"}, kernel.ops


@pytest.mark.parametrize("ends", BOUNDS, ids=str)
def test_bounds_of_any_sign(rng, ends):
    """They count from the end where they are negative at run time, and are cut to the size."""
    n = Nodes("bounds", 0, "float32", 17)
    y = bound(n, n.input("x", ("N", "S", 4), np.float32), *ends)
    made = n.model({"y": (n.op("Exp", y), (None,) * 3)})
    equal_at(rng, made, [(2, 5), (1, 1), (2, 0), (1, 2), (1, 9)])


def equal_at(rng, made, sizes):
    """Claimed whole and right at all sizes; the reports of the session."""
    with collect_reports() as reports:
        session = open_session(made, {"claim": "all"})
    claims = assignment(session, Provider(HIDET))
    assert (claims.claimed, claims.partitions) == (claims.nodes, 1), reports[-1].result.refused
    for batch, length in sizes:
        feed = {"x": rng.normal(size=(batch, length, 4)).astype(np.float32) / 4}
        error = max_relative_error(session.run(None, feed), reference(made, feed))
        assert error <= 2e-5, f"{batch}, {length}: {error}"
    return reports
