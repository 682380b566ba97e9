"""Injective operators: each layout change, gathers, all dtypes, any sizes."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import ALL, bf16, boolean, f32, f64, i8, i32, i64
from tests.hidet_core.compiled import Net, check

SHAPES = [(), (1,), (16,), (37,), (3, 5), (4, 16), (2, 3, 17), (1, 1, 1, 1), (5, 1, 33), (600,)]


@pytest.mark.parametrize("shape", SHAPES)
def test_elementwise(shape):
    net = Net()
    check(net.done(net.tanh(net.add(net.x(*shape), net.x(*shape)))), interpreted=True)


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 17), (17,)), ((3, 17), (3, 1)), ((3, 1), (1, 17)), ((2, 3, 5), ()), ((2, 1, 5), (3, 1)),
     ((5,), (2, 3, 5)), ((1, 1), (1,)), ((2, 3, 16), (3, 1)), ((17, 1), (17, 1))],
)  # fmt: skip
def test_broadcasts(a, b):
    net = Net()
    check(net.done(net.sub(net.x(*a), net.x(*b))), interpreted=True)


@pytest.mark.parametrize("dtype", [d for d in ALL if d is not bf16 and not d.is_float8], ids=str)
def test_dtypes(dtype):
    net = Net()
    x, y = net.x(3, 37, dtype=dtype), net.x(37, dtype=dtype)
    chosen = net.where(net.x(3, 1, dtype=boolean), x, y)
    outs = [net.eq(x, y), chosen, net.transpose(x, perm=(1, 0)), net.concat(x, chosen, axis=1)]
    if dtype is not boolean:
        outs += [
            net.add(x, y),
            net.emit("cast", x, to=i8),
            net.emit("cast", x, to=f64),
            net.lt(x, y),
        ]
    check(net.done(*outs), interpreted=True)


PERMS = [(1, 0, 2), (0, 2, 1), (2, 1, 0), (2, 0, 1), (1, 2, 0)]


@pytest.mark.parametrize("perm", PERMS)
@pytest.mark.parametrize("shape", [(3, 5, 7), (16, 2, 32), (1, 17, 3)])
def test_transposes(shape, perm):
    net = Net()
    check(net.done(net.transpose(net.x(*shape), perm=perm)), interpreted=True)


LAYOUTS = {
    "reshape": lambda net, x: net.reshape(x, shape=(6, 2, 5)),
    "split axis": lambda net, x: net.reshape(x, shape=(2, 2, 15)),
    "reshape of transpose": lambda net, x: net.reshape(net.transpose(x, perm=(1, 0)), shape=(60,)),
    "slice": lambda net, x: net.slice(x, starts=(1, 2), steps=(1, 1), sizes=(2, 9)),
    "stepped slice": lambda net, x: net.slice(x, starts=(0, 1), steps=(2, 3), sizes=(2, 5)),
    "reverse": lambda net, x: net.slice(x, starts=(3, 14), steps=(-1, -1), sizes=(4, 15)),
    "broadcast": lambda net, x: net.broadcast_to(x, shape=(3, 4, 15)),
    "tile": lambda net, x: net.tile(x, repeats=(2, 3)),
    "upsample": lambda net, x: net.upsample(x, scales=(3, 2)),
    "upper triangle": lambda net, x: net.trilu(x, upper=True, k=2),
    "lower triangle": lambda net, x: net.trilu(x, upper=False, k=-1),
    "concat": lambda net, x: net.concat(net.relu(x), x, net.neg(x), axis=1),
    "concat of rows": lambda net, x: net.concat(x, net.neg(x), x, axis=0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [f32, i64], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, dtype):
    net = Net()
    check(net.done(LAYOUTS[layout](net, net.x(4, 15, dtype=dtype))), interpreted=True)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pads(mode):
    net = Net()
    attrs = {"before": (2, 0, 3), "after": (1, 0, 2), "mode": mode, "value": 1.5}
    check(net.done(net.pad(net.x(4, 3, 5), **attrs)), interpreted=True)


@pytest.mark.parametrize("index", [i32, i64], ids=str)
def test_gathers(index):
    net = Net()
    x = net.x(5, 18)
    picked = net.cast(net.x(3, 2), to=index)  # -2..2, and beyond: clamped
    outs = [net.gather(x, picked, axis=0), net.gather(x, picked, axis=1)]
    outs.append(net.gather_elements(x, net.cast(net.x(4, 18), to=index), axis=0))
    outs.append(net.gather_nd(x, picked, batch_dims=0))
    outs.append(net.one_hot(picked, net.const(2), depth=4, axis=1))
    check(net.done(*outs), interpreted=True)


def test_values_of_indices_and_sizes():
    net = Net()
    n = net.dim("n")
    x = net.x("n", 3)
    dims = net.emit("dims", dims=(n, n * 2 + 1, 7), shape=(3,))
    numbers = net.emit("range", start=2, step=3, size=n, dtype=i64)
    check(net.done(net.relu(x), dims, numbers), {"n": 1}, {"n": 20}, interpreted=True)


@pytest.mark.parametrize("layout", ["transpose", "flip", "pad", "concat", "tile"])
def test_symbolic_sizes(layout):
    net = Net()
    x = net.x("n", 3, "m")
    n, m = x.type.shape[0], x.type.shape[2]
    y = {
        "transpose": lambda: net.transpose(x, perm=(2, 0, 1)),
        "flip": lambda: net.reshape(x, shape=(n * 3, m)),
        "pad": lambda: net.pad(x, before=(0, 1, 2), after=(1, 0, 0), mode="constant", value=0.0),
        "concat": lambda: net.concat(net.relu(x), net.neg(x), net.tanh(x), axis=2),
        "tile": lambda: net.tile(x, repeats=(1, 2, 3)),
    }[layout]()
    sizes = [(1, 1), (2, 16), (3, 37), (1, 300)]
    if layout not in ("pad", "tile"):  # they would read what there is not
        sizes += [(0, 4), (4, 0)]
    check(net.done(y), *({"n": a, "m": b} for a, b in sizes), interpreted=True)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5, 2)])
def test_no_elements(shape):
    net = Net()
    check(net.done(net.tanh(net.x(*shape))), interpreted=True)


def test_deep_chains_stay_small():
    """Each operator reads the one before several times."""
    net = Net()
    x = net.x(3, 17)
    for _ in range(6):
        x = net.mul(net.gelu_tanh(x), net.add(x, net.sigmoid(x)))
    result = check(net.done(x), tolerance=1e-4)
    assert len(result.kernels) == 1


def test_results_of_mixed_width():
    """f64, i8 and bool in one expression: the lanes of the widest."""
    net = Net()
    x = net.where(
        net.x(3, 21, dtype=boolean), net.cast(net.x(21, dtype=i8), to=f64), net.x(3, 1, dtype=f64)
    )
    y = net.constant(np.arange(21).astype(np.float64))
    check(net.done(net.add(x, y)), interpreted=True)
