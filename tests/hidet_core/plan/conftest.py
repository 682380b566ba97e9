"""A plan with every feature of the file format. Its kernel images are no real objects."""

import pytest

from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Var, maximum, minimum
from hidet_core.plan import (
    Argument,
    Buffer,
    BufferKind,
    KernelCode,
    Launch,
    Plan,
    SizeCheck,
    TensorSpec,
)


@pytest.fixture
def plan():
    n = Var("n")
    size = n * 4
    return Plan(
        symbols=(n,),
        inputs=(TensorSpec("eingang-ä", f32, (n, 3)),),
        outputs=(TensorSpec("y", i64, ()),),
        buffers=(
            Buffer(BufferKind.INPUT, 0, size, alignment=16),
            Buffer(BufferKind.TEMP, 0, size, "halo1"),
            Buffer(BufferKind.TEMP, 0, maximum(size, 64)),
            Buffer(BufferKind.TEMP, 0, size, "halo1"),
            Buffer(BufferKind.TEMP, 0, 640),
            Buffer(BufferKind.CONSTANT, 0, 12),
            Buffer(BufferKind.OUTPUT, 0, 8),
        ),
        kernels=(KernelCode("a", b"one image"), KernelCode("b", b"one image")),
        launches=(
            Launch(
                0,
                (Argument(0, stored=False), Argument(1, 16, part=3), Argument(5)),
                (n, 7),
                (n + 15) // 16,
                2.5,
                "A",
            ),
            Launch(1, (Argument(1), Argument(2)), (), 1, 0.0, "B"),
            Launch(0, (Argument(2), Argument(3, size), Argument(6)), (n % 3,), n, 1e9, "C"),
        ),
        name="all",
        checks=(SizeCheck("Add_1", n, minimum(n, 16)),),
    )
