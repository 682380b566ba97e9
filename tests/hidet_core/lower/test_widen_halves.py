"""16-bit floats are computed in float32 through the statements of a program."""

import numpy as np

from hidet_core.codegen import interpret
from hidet_core.ir.dtypes import f16, f32
from hidet_core.ir.expr import Buffer, cast
from hidet_core.ir.printer import text
from hidet_core.ir.verify import verify
from hidet_core.lang import Tensor, build, let, parallel
from hidet_core.lower import widen_halves

X, Y = Buffer("x", f16, (8,)), Buffer("y", f16, (8,))


def _program(second):
    with build("kernel", [X, Y], ()) as slot:
        for (i,) in parallel(8):
            square = let("square", Tensor(X)[i] * Tensor(X)[i])
            Tensor(Y)[i] = cast(second(square), f16)
    return slot.program


def test_a_variable_is_wide():
    program = widen_halves(_program(lambda square: square * 0.001))
    verify(program, "scheduled")
    shown = text(program)
    assert "square = f32(x[g0]) * f32(x[g0])" in shown
    assert "y[g0] = f16(square * 0.001)" in shown
    x, y = np.full(8, 300, np.float16), np.zeros(8, np.float16)
    interpret(program, [x, y])
    np.testing.assert_array_equal(y, np.float16(90))


def test_a_cast_of_the_program_rounds():
    program = widen_halves(_program(lambda square: cast(cast(cast(square, f32), f16), f32) * 2.0))
    assert "f16(square)" in text(program)


def test_programs_without_stay_as_they_are():
    single = Buffer("x", f32, (8,))
    with build("kernel", [single], ()) as slot:
        for (i,) in parallel(8):
            Tensor(single)[i] = 1.0
    assert widen_halves(slot.program) is slot.program
