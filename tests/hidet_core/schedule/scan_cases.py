"""Graphs with scans and sorts, for the templates of all targets."""

from hidet_core.ir.dtypes import f16, f32, f64, i8, i32
from tests.hidet_core.compiled import Net


def scan(*shape, axis, dtype=f32, op="sum", exclusive=False, reverse=False, fused=False):
    net = Net()
    x = net.x(*shape, dtype=dtype)
    x = net.tanh(x) if fused else x
    y = net.scan(x, op=op, axis=axis, exclusive=exclusive, reverse=reverse)
    return net.done(net.transpose(net.relu(y), perm=(1, 0)) if fused else y)


def top_k(*shape, k, axis, dtype=f32, largest=True):
    net = Net()
    return net.done(net.top_k(net.x(*shape, dtype=dtype), k=k, axis=axis, largest=largest))


SCANS = {
    "rows": scan(3, 137, axis=1),
    "columns": scan(13, 21, axis=0, reverse=True),
    "middle": scan(2, 9, 35, axis=1, exclusive=True, dtype=i32),
    "both ways": scan(2, 300, axis=1, exclusive=True, reverse=True, dtype=f64),
    "product": scan(2, 20, axis=1, op="prod", exclusive=True, dtype=i8),
    "halves": scan(3, 40, axis=0, dtype=f16),
    "nothing": scan(3, 0, axis=1),
    "fused": scan(5, 70, axis=1, fused=True),
}
SYMBOLIC_SCANS = {
    "rows": (scan("n", "m", axis=1), [{"n": 3, "m": 70}, {"n": 0, "m": 3}, {"n": 2, "m": 0}]),
    "columns": (scan("n", "m", axis=0), [{"n": 30, "m": 17}, {"n": 1, "m": 1}]),
}
SORTS = {
    "few": top_k(3, 137, k=5, axis=1),
    "one": top_k(9, 14, k=1, axis=0, largest=False),
    "all": top_k(2, 101, 3, k=101, axis=1, dtype=i8),
    "most": top_k(2, 130, k=65, axis=1, dtype=f16, largest=False),
    "none": top_k(2, 13, k=0, axis=1),
    "one element": top_k(3, 1, k=1, axis=1),
}
SYMBOLIC_SORTS = {
    "few": (top_k("n", "m", k=3, axis=1), [{"n": 3, "m": 70}, {"n": 0, "m": 3}, {"n": 1, "m": 3}]),
    "many": (top_k("n", "m", k=70, axis=0, dtype=i32), [{"n": 130, "m": 3}, {"n": 70, "m": 1}]),
}
