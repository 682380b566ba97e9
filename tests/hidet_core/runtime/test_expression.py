"""The native evaluator against Python's integers, on random expressions."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidet_core._runtime import Executable
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Binary, Const, Var
from hidet_core.plan import (
    Argument,
    Buffer,
    BufferKind,
    KernelCode,
    Launch,
    Plan,
    TensorSpec,
    serialize,
)

SYMBOLS = Var("n"), Var("m")
OPERATIONS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "min": min,
    "max": max,
}

leaves = st.one_of(
    st.sampled_from(SYMBOLS), st.integers(-9, 9), st.integers(-(1 << 63), (1 << 63) - 1)
)


def wrapped(side):
    return Const(side, i64) if isinstance(side, int) else side


expressions = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda op, a, b: Binary(op, wrapped(a), wrapped(b), i64),
        st.sampled_from(sorted(OPERATIONS)),
        inner,
        inner,
    ),
    max_leaves=12,
)


def value_of(dim, values):
    """Python's answer. Raises ArithmeticError where int64 has none."""
    match dim:
        case int():
            result = dim
        case Const():
            result = dim.value
        case Var():
            result = values[dim]
        case Binary():
            result = OPERATIONS[dim.op](value_of(dim.a, values), value_of(dim.b, values))
    if not -(1 << 63) <= result < 1 << 63:
        raise OverflowError
    return result


def scalar_plan(image, dim):
    """y[0] = dim, for an input of shape [n, m]."""
    return Plan(
        symbols=SYMBOLS,
        inputs=(TensorSpec("x", f32, SYMBOLS),),
        outputs=(TensorSpec("y", i64, (1,)),),
        buffers=(Buffer(BufferKind.OUTPUT, 0, 8),),
        kernels=(KernelCode("scalars", image),),
        launches=(Launch(0, (Argument(0),), (dim,), 1, 1.0, "scalars"),),
        name="scalar",
    )


@settings(max_examples=300, deadline=None)
@given(dim=expressions, n=st.integers(0, 9), m=st.integers(0, 9))
def test_as_python(objects, dim, n, m):
    executable = Executable(serialize(scalar_plan(objects["scalars"], dim)), [])
    x = np.zeros((n, m), np.float32)
    try:
        expected = value_of(dim, dict(zip(SYMBOLS, (n, m), strict=True)))
    except ArithmeticError:
        with pytest.raises(ValueError, match=r"overflow|division by zero"):
            executable.run([x])
    else:
        assert executable.run([x])[0][0] == expected
