"""Cells of recurrent networks, one step of one unit: shared by the reference and by schedules.

ONNX's definitions of RNN, GRU and LSTM. `pre` are the gates before activation, in ONNX's order:
x W + h R + biases.  LSTM (gates i o f c):

    i = f(pre_i + p_i c)    f = f(pre_f + p_f c), or 1 - i    c' = f c + i g(pre_c)
    o = f(pre_o + p_o c')   h' = o h(c')

GRU (gates z r h): h' = (1 - z) g(pre_h) + z h.  RNN: h' = f(pre).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hidet_core.ir.expr import Expr, maximum, minimum, select, unary


@dataclass(frozen=True)
class Activation:
    """name: a key of ACTIVATIONS; alpha, beta: its parameters, where it has any."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    def __call__(self, x: Expr) -> Expr:
        return ACTIVATIONS[self.name](x, self.alpha, self.beta)


def _sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    return unary("sigmoid", x)


def _softplus(x: Expr, alpha: float, beta: float) -> Expr:
    return maximum(x, 0.0) + unary("log1p", unary("exp", -unary("abs", x)))


ACTIVATIONS: dict[str, Callable[[Expr, float, float], Expr]] = {
    "relu": lambda x, alpha, beta: maximum(x, 0.0),
    "tanh": lambda x, alpha, beta: unary("tanh", x),
    "sigmoid": _sigmoid,
    "affine": lambda x, alpha, beta: x * alpha + beta,
    "leakyrelu": lambda x, alpha, beta: select(x < 0.0, x * alpha, x),
    "thresholdedrelu": lambda x, alpha, beta: select(x > alpha, x, 0.0),
    "scaledtanh": lambda x, alpha, beta: unary("tanh", x * beta) * alpha,
    "hardsigmoid": lambda x, alpha, beta: minimum(maximum(x * alpha + beta, 0.0), 1.0),
    "elu": lambda x, alpha, beta: select(x < 0.0, (unary("exp", x) - 1.0) * alpha, x),
    "softsign": lambda x, alpha, beta: x / (unary("abs", x) + 1.0),
    "softplus": _softplus,
}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Cell:
    """kind: a key of GATES. clip: what goes into activations is cut to [-clip, clip]. reset_after:
    the reset gate of a GRU scales h R, not h (ONNX: linear_before_reset).
    """

    kind: str
    activations: tuple[Activation, ...]
    clip: float | None = None
    input_forget: bool = False
    reset_after: bool = False

    @property
    def gates(self) -> int:
        return GATES[self.kind]

    @property
    def phases(self) -> tuple[int, ...]:
        """Gates that are computed from h, then those that need the reset gate first."""
        if self.kind == "gru" and not self.reset_after:
            return (2, 1)
        return (self.gates,)

    def activate(self, which: int, x: Expr) -> Expr:
        return self.activations[which](self._clipped(x))

    def _clipped(self, x: Expr) -> Expr:
        return x if self.clip is None else maximum(minimum(x, self.clip), -self.clip)

    def lstm(
        self, pre: Sequence[Expr], c: Expr, peephole: Sequence[Expr] | None
    ) -> tuple[Expr, Expr]:
        """The new h and c; peephole: of i, o, f."""
        into, out, forget, cell = pre
        if peephole is not None:
            into, forget = into + peephole[0] * c, forget + peephole[2] * c
        into = self.activate(0, into)
        kept = 1.0 - into if self.input_forget else self.activate(0, forget)
        new = kept * c + into * self.activate(1, cell)
        if peephole is not None:
            out = out + peephole[1] * new
        return self.activate(0, out) * self.activations[2](new), new

    def reset(self, pre: Expr) -> Expr:
        """The reset gate of a GRU."""
        return self.activate(0, pre)

    def gru(self, update: Expr, hidden: Expr, h: Expr) -> Expr:
        """The new h; update, hidden: the gates z and h before activation."""
        z = self.activate(0, update)
        return (1.0 - z) * self.activate(1, hidden) + z * h

    def rnn(self, pre: Expr) -> Expr:
        return self.activate(0, pre)
