"""Graphs with scatters, for the templates of all targets; indices in and out of range."""

import numpy as np

from hidet_core.ir.dtypes import boolean, f16, f32, f64, i8, i32, i64
from tests.hidet_core.compiled import Net


def elements(data, indices, axis, op="none", dtype=f32, index=i64):
    net = Net()
    x = net.x(*data, dtype=dtype)
    places = net.x(*indices, dtype=index)
    updates = net.x(*indices, dtype=dtype)
    return net.done(net.scatter_elements(x, places, updates, axis=axis, op=op))


def slices(data, indices, op="none", dtype=f32):
    net = Net()
    x, places = net.x(*data, dtype=dtype), net.x(*indices, dtype=i64)
    updates = net.x(*indices[:-1], *data[indices[-1] :], dtype=dtype)
    return net.done(net.scatter_nd(x, places, updates, op=op))


def with_nan(op):
    """Two runs of updates of every element, NaN among them."""
    net = Net()
    x = net.constant(np.array([1, np.nan, 3, 4], np.float32))
    places = net.constant(np.array([0, 1, 2, 3, 2, 1, 2, 0]))
    updates = net.constant(np.array([np.nan, 2, np.nan, 9, -5, np.nan, -7, -8], np.float32))
    return net.done(net.scatter_elements(x, places, updates, axis=0, op=op))


STATIC = {
    "rows": elements((5, 37), (5, 9), 1),
    "fewer lines": elements((5, 7, 11), (3, 6, 10), 1, "add"),
    "columns": elements((13, 40), (21, 40), 0, "max", f64),
    "one line": elements((1001,), (77,), 0, "mul"),
    "bytes": elements((3, 33), (3, 50), 1, "min", i8, i32),
    "bools": elements((4, 9), (4, 5), 1, "none", boolean),
    "halves": elements((6, 9), (6, 4), 1, "none", f16),
    "no updates": elements((6, 9), (6, 0), 1),
    "nothing": elements((0, 9), (0, 9), 1),
    "slices": slices((9, 37), (5, 1), "add", i64),
    "pairs": slices((4, 5, 19), (3, 7, 2), "none"),
    "whole": slices((6, 7), (2, 9, 2), "max"),
    "one slice": slices((6, 7), (1,)),
    "NaN max": with_nan("max"),
    "NaN min": with_nan("min"),
}
SYMBOLIC = {
    "elements": (elements(("n", "m"), ("n", "k"), 1, "add", i32),
                 [{"n": 3, "m": 20, "k": 7}, {"n": 0, "m": 5, "k": 2}, {"n": 2, "m": 4, "k": 0}]),
    "slices": (slices(("n", "m"), ("k", 1), "max"),
               [{"n": 3, "m": 20, "k": 7}, {"n": 5, "m": 0, "k": 2}, {"n": 50, "m": 1, "k": 90}]),
}  # fmt: skip
