"""Recurrent layers, for the templates of all targets."""

from hidet_core.compute.recurrence import Activation, Cell
from hidet_core.ir.dtypes import f16, f32, f64, i32
from tests.hidet_core.compiled import Net

DEFAULTS = {"rnn": ("tanh",), "gru": ("sigmoid", "tanh"), "lstm": ("sigmoid", "tanh", "tanh")}
FORWARD, REVERSE, BOTH = (False,), (True,), (False, True)


def cell(kind, *activations, **attrs):
    found = tuple(Activation(name) for name in activations or DEFAULTS[kind])
    return Cell(kind, found, **attrs)


def layer(one, steps, batch, units, reverse=FORWARD, given=(), **attrs):
    """attrs: finals, dtype, other (the cell of the second direction), constant (weights)."""
    net, d, width = Net(), len(reverse), one.gates * units
    dtype = attrs.get("dtype", f32)
    shapes = {
        "lengths": (batch,), "h0": (d, batch, units), "c0": (d, batch, units),
        "peephole": (d, 3 * units), "bias": (d, units),
    }  # fmt: skip
    gates = net.x(steps, batch, d * width, dtype=dtype)
    if attrs.get("constant", True):
        weights = net.constant(
            (0.5 * net.rng.standard_normal((d, units, width))).astype(dtype.numpy)
        )
    else:
        weights = net.x(d, units, width, dtype=dtype)
    more = [net.x(*shapes[name], dtype=i32 if name == "lengths" else dtype) for name in given]
    cells = (one,) if d == 1 else (one, attrs.get("other", one))
    wanted = {"given": given, "finals": attrs.get("finals", True)}
    return net.done(net.recurrent(gates, weights, *more, cells=cells, reverse=reverse, **wanted))


LSTM, GRU, AFTER, RNN = cell("lstm"), cell("gru"), cell("gru", reset_after=True), cell("rnn")
STATIC = {
    "lstm": layer(LSTM, 5, 3, 21),
    "lstm of all": layer(LSTM, 6, 18, 9, BOTH, ("lengths", "h0", "c0", "peephole")),
    "lstm of f64": layer(LSTM, 3, 5, 10, REVERSE, ("h0",), finals=False, dtype=f64),
    "lstm of weights computed": layer(LSTM, 3, 4, 13, BOTH, ("c0",), constant=False),
    "lstm of f16": layer(LSTM, 3, 5, 12, BOTH, ("h0",), dtype=f16),
    "gru": layer(GRU, 4, 7, 19, REVERSE, ("lengths", "h0")),
    "gru reset after": layer(AFTER, 4, 17, 33, BOTH, ("lengths", "bias")),
    "rnn": layer(RNN, 7, 1, 40, BOTH, finals=False),
    "rnn of two cells": layer(cell("rnn", "relu", clip=0.5), 4, 5, 6, BOTH, other=RNN),
    "rnn of few units": layer(RNN, 2, 1, 3, given=("h0",)),
    "no steps": layer(GRU, 0, 2, 5, given=("h0",)),
}
SYMBOLIC = {
    "lstm": (layer(LSTM, "t", "n", 12, BOTH, ("lengths", "h0", "c0")),
             [{"t": 5, "n": 6}, {"t": 1, "n": 1}, {"t": 3, "n": 0}]),
    "gru": (layer(GRU, "t", "n", 7, finals=False), [{"t": 4, "n": 9}]),
}  # fmt: skip
