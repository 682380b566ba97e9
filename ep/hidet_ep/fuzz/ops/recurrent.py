"""RNN, GRU, LSTM."""

from __future__ import annotations

from ..draft import Draft, Val
from .table import maker

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@maker("RNN", "GRU", "LSTM", since=7, dtypes="f32", weight=0.7)
def recurrent(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    steps, batch = g.dim(g.draws.integer(1, 5)), g.dim(g.draws.integer(1, 3))
    if g.symbols and g.draws.chance(0.6):
        symbol = g.draws.pick(sorted(g.symbols.values()))
        steps, batch = (symbol, batch) if g.draws.chance(0.5) else (steps, symbol)
    features, units = g.draws.integer(1, 9), g.draws.integer(1, 9)
    direction = g.draws.pick(("forward", "forward", "reverse", "bidirectional"))
    count = 2 if direction == "bidirectional" else 1
    if 0 in (*steps, *batch):
        return False
    x = g.source("f32", (steps, batch, g.dim(features)))
    rows = GATES[op] * units
    inputs: list[Val | None] = [
        x,
        g.constant("f32", (count, rows, features), -0.6, 0.6),
        g.constant("f32", (count, rows, units), -0.6, 0.6),
        g.constant("f32", (count, 2 * rows)) if g.draws.chance(0.6) else None,
        None,
    ]
    if g.draws.chance(0.25):
        inputs[4] = g.source("i32", (batch,), 1, min(steps))
    state = (g.dim(count), batch, g.dim(units))
    if g.draws.chance(0.4):
        inputs.append(g.source("f32", state))
        if op == "LSTM":
            inputs.append(g.source("f32", state))
            if g.draws.chance(0.3):
                inputs.append(g.constant("f32", (count, 3 * units), -0.5, 0.5))
    attrs: dict[str, object] = {"hidden_size": units}
    if direction != "forward":
        attrs["direction"] = direction
    if op == "GRU" and g.draws.chance(0.5):
        attrs["linear_before_reset"] = g.draws.integer(0, 1)
    whole = ("f32", (steps, g.dim(count), batch, g.dim(units)), -3.0, 3.0)
    last = ("f32", state, -3.0, 3.0)
    results = [whole, last, ("f32", state, -9.0, 9.0)][: 3 if op == "LSTM" else 2]
    if not g.fits(whole[1]):
        return False
    kept = g.draws.integer(0, len(results))
    shown = [row if kept in (0, k + 1) else None for k, row in enumerate(results)]
    while shown and shown[-1] is None:
        shown.pop()
    g.nodes_of(op, inputs, shown, **attrs)
    return True
