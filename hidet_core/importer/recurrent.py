"""RNN, GRU and LSTM: the projection of all inputs is one matmul, the rest is `recurrent`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import Dim, same_shape, simplify
from hidet_core.compute.recurrence import ACTIVATIONS, GATES, Activation, Cell
from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op

DEFAULTS = {"rnn": ["tanh"], "gru": ["sigmoid", "tanh"], "lstm": ["sigmoid", "tanh", "tanh"]}
ALPHA = {"leakyrelu": 0.01, "thresholdedrelu": 1.0, "hardsigmoid": 0.2, "elu": 1.0,
         "affine": 1.0, "scaledtanh": 1.0}  # fmt: skip
BETA = {"hardsigmoid": 0.5, "affine": 0.0, "scaledtanh": 1.0}
REVERSE = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def _activations(ctx: Context, kind: str, directions: int) -> list[tuple[Activation, ...]]:
    """Those of each direction. Parameters are listed for those activations that have some. The
    default of RNN names two, of which one direction uses the first.
    """
    given = ctx.attr("activations") or DEFAULTS[kind] * directions
    count = len(DEFAULTS[kind])
    names = [(n.decode() if isinstance(n, bytes) else n).lower() for n in given]
    names = names[: count * directions]
    unknown = set(names) - set(ACTIVATIONS)
    if unknown or len(names) != count * directions:
        ctx.fail(f"activations {', '.join(names)} are not supported")
    alphas, betas = (iter(ctx.attr(f"activation_{name}") or ()) for name in ("alpha", "beta"))

    def parameter(name: str, defaults: dict[str, float], values: Iterator[float]) -> float:
        return float(next(values, defaults[name])) if name in defaults else 0.0

    found = [Activation(n, parameter(n, ALPHA, alphas), parameter(n, BETA, betas)) for n in names]
    return [tuple(found[k : k + count]) for k in range(0, len(found), count)]


@dataclass(frozen=True)
class _Layer:
    """A node: inputs with the steps first, and its cells."""

    ctx: Context
    x: Value  # [steps, batch, features]
    cells: tuple[Cell, ...]
    reverse: tuple[bool, ...]

    @property
    def kind(self) -> str:
        return self.cells[0].kind

    def gates(self) -> Value:
        """[steps, batch, directions * gates * units]: what does not depend on h."""
        ctx, builder = self.ctx, self.ctx.builder
        w = ctx.value(1)
        directions, columns, features = w.type.shape
        width = simplify(directions * columns)
        flat = builder.reshape(w, (width, features))
        steps, batch, _ = self.x.type.shape
        rows = builder.reshape(self.x, (simplify(steps * batch), features))
        y = ctx.wide(ctx.emit("matmul", rows, builder.permuted(flat, (1, 0))))
        if ctx.has(3):
            bias = builder.reshape(self._bias(columns), (width,))
            y = ctx.emit("add", y, ctx.wide(bias))
        return builder.reshape(y, (steps, batch, width))

    def _bias(self, columns: Dim) -> Value:
        """Of x and h together, but for the hidden gate of a GRU that resets after."""
        w, r = self._biases(columns)
        if self.cells[0].reset_after:
            before = simplify(columns // 3 * 2)
            kept = self._part(r, 0, before)
            left = self.ctx.emit("add", self._part(w, 0, before), kept)
            return self.ctx.emit("concat", left, self._part(w, before, columns - before), axis=1)
        return self.ctx.emit("add", w, r)

    def _biases(self, columns: Dim) -> tuple[Value, Value]:
        both = self.ctx.value(3)
        return self._part(both, 0, columns), self._part(both, columns, columns)

    def _part(self, value: Value, start: Dim, size: Dim) -> Value:
        rows = value.type.shape[0]
        return self.ctx.emit("slice", value, starts=(0, start), steps=(1, 1), sizes=(rows, size))

    def more(self, transposed: bool) -> dict[str, Value]:
        """The inputs of `recurrent` that may be absent."""
        ctx, found = self.ctx, dict[str, Value]()
        if ctx.has(4):
            found["lengths"] = ctx.value(4)
        for place, name in ((5, "h0"), (6, "c0")):
            if ctx.has(place) and (place == 5 or self.kind == "lstm"):
                state = ctx.value(place)
                found[name] = ctx.builder.transpose(state, (1, 0, 2)) if transposed else state
        if self.kind == "lstm" and ctx.has(7):
            found["peephole"] = ctx.value(7)
        if self.cells[0].reset_after and ctx.has(3):
            columns = ctx.value(1).type.shape[1]
            units = columns // 3
            found["bias"] = self._part(self._biases(columns)[1], units * 2, units)
        return found


def _recurrent(ctx: Context, kind: str) -> tuple[Value, ...]:
    x, r = ctx.value(0), ctx.value(2)
    direction, transposed = ctx.attr("direction", "forward"), bool(ctx.attr("layout", 0))
    if direction not in REVERSE:
        ctx.fail(f"direction {direction!r} is not supported")
    reverse = REVERSE[direction]
    directions, columns, units = r.type.shape
    if directions != len(reverse) or not same_shape((columns,), (units * GATES[kind],)):
        ctx.fail(f"weights {r.type} do not fit a {direction} {kind}")
    clip = ctx.attr("clip")
    cells = tuple(
        Cell(
            kind,
            activations,
            None if clip is None else float(clip),
            bool(ctx.attr("input_forget", 0)),
            kind == "gru" and bool(ctx.attr("linear_before_reset", 0)),
        )
        for activations in _activations(ctx, kind, len(reverse))
    )
    x = ctx.builder.transpose(x, (1, 0, 2)) if transposed else x
    layer = _Layer(ctx, x, cells, reverse)
    given = layer.more(transposed)
    wanted = [bool(name) for name in (*ctx.node.outputs, "", "", "")]
    states = ctx.emit(
        "recurrent",
        layer.gates(),
        ctx.builder.permuted(r, (0, 2, 1)),
        *given.values(),
        cells=cells,
        reverse=reverse,
        given=tuple(given),
        finals=any(wanted[1:]),
    )
    return _outputs(ctx, states, x.type.shape[0], any(wanted[1:]), transposed)


def _outputs(
    ctx: Context, states: Value, steps: Dim, finals: bool, transposed: bool
) -> tuple[Value, ...]:
    """Y [steps, directions, batch, units], and of the last step Y_h and Y_c without the steps."""
    builder, rest = ctx.builder, states.type.shape[1:]

    def part(start: Dim, size: Dim) -> Value:
        starts, sizes = (start, 0, 0, 0), (size, *rest)
        return ctx.emit("slice", states, starts=starts, steps=(1,) * 4, sizes=sizes)

    y = part(0, steps) if finals else states
    found = [builder.transpose(y, (2, 0, 1, 3)) if transposed else y]
    for k in range(len(ctx.node.outputs) - 1 if finals else 0):
        last = builder.reshape(part(simplify(steps + k), 1), rest)
        found.append(builder.transpose(last, (1, 0, 2)) if transposed else last)
    return tuple(found)


def _register() -> None:
    for name in ("RNN", "GRU", "LSTM"):
        onnx_op(name, since=7)(lambda ctx, kind=name.lower(): _recurrent(ctx, kind))


_register()
