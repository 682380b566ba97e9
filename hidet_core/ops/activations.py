"""Activations, composed from IR operations; attrs carry ONNX's names (alpha, beta, gamma, lambd,
bias).

Each is one elementwise operator, so that it fuses as one expression.
"""

from __future__ import annotations

import math

from hidet_core.ir.expr import Expr, maximum, minimum, select, unary

from .elementwise import elementwise
from .registry import Attrs


def _relu(attrs: Attrs, x: Expr) -> Expr:
    return maximum(x, 0)


def _leaky_relu(attrs: Attrs, x: Expr) -> Expr:
    return select(x < 0, x * attrs["alpha"], x)


def _prelu(attrs: Attrs, x: Expr, slope: Expr) -> Expr:
    return select(x < 0, x * slope, x)


def _elu(attrs: Attrs, x: Expr) -> Expr:
    return select(x < 0, unary("expm1", minimum(x, 0)) * attrs["alpha"], x)


def _selu(attrs: Attrs, x: Expr) -> Expr:
    below = unary("expm1", minimum(x, 0)) * attrs["alpha"]
    return select(x > 0, x, below) * attrs["gamma"]


def _celu(attrs: Attrs, x: Expr) -> Expr:
    alpha = attrs["alpha"]
    return select(x < 0, unary("expm1", minimum(x, 0) / alpha) * alpha, x)


def _hard_sigmoid(attrs: Attrs, x: Expr) -> Expr:
    return maximum(0.0, minimum(1.0, x * attrs["alpha"] + attrs["beta"]))


def _hard_swish(attrs: Attrs, x: Expr) -> Expr:
    return x * maximum(0.0, minimum(1.0, x * (1 / 6) + 0.5))


def _gelu(attrs: Attrs, x: Expr) -> Expr:
    return x * 0.5 * (unary("erf", x * math.sqrt(0.5)) + 1.0)


def _gelu_tanh(attrs: Attrs, x: Expr) -> Expr:
    inner = (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)
    return x * 0.5 * (unary("tanh", inner) + 1.0)


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x)), without overflow."""
    return maximum(x, 0) + unary("log1p", unary("exp", -unary("abs", x)))


def _mish(attrs: Attrs, x: Expr) -> Expr:
    return x * unary("tanh", softplus(x))


def _softsign(attrs: Attrs, x: Expr) -> Expr:
    return x / (unary("abs", x) + 1.0)


def _thresholded_relu(attrs: Attrs, x: Expr) -> Expr:
    return select(x > attrs["alpha"], x, 0)


def _swish(attrs: Attrs, x: Expr) -> Expr:
    return x * unary("sigmoid", x * attrs["alpha"])


def _shrink(attrs: Attrs, x: Expr) -> Expr:
    low, high = x + attrs["bias"], x - attrs["bias"]
    return select(x < -attrs["lambd"], low, select(x > attrs["lambd"], high, 0))


def _register() -> None:
    elementwise("relu", _relu)
    elementwise("leaky_relu", _leaky_relu)
    elementwise("prelu", _prelu)
    elementwise("elu", _elu)
    elementwise("selu", _selu)
    elementwise("celu", _celu)
    elementwise("hard_sigmoid", _hard_sigmoid)
    elementwise("hard_swish", _hard_swish)
    elementwise("gelu", _gelu)
    elementwise("gelu_tanh", _gelu_tanh)
    elementwise("softplus", lambda attrs, x: softplus(x))
    elementwise("mish", _mish)
    elementwise("softsign", _softsign)
    elementwise("thresholded_relu", _thresholded_relu)
    elementwise("swish", _swish)
    elementwise("shrink", _shrink)


_register()
